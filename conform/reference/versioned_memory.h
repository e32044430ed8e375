// RAM that forgets nothing: every 64-bit word with all its values and when each was current.
#ifndef SHOOTDOWN_CONFORM_REFERENCE_VERSIONED_MEMORY_H
#define SHOOTDOWN_CONFORM_REFERENCE_VERSIONED_MEMORY_H

#include <array>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "conform/reference/time_interval.h"

namespace shootdown::conform::reference {

inline constexpr unsigned kStructureWords = 8;  ///< of an STE or CD
using StructureWords = std::array<std::uint64_t, kStructureWords>;

struct WordVersion {
  std::uint64_t value{};
  Interval current;
};

/// What one read of 64 bytes gives. Between two writes it is seen whole (section 3.21: software may
/// not change several words of a live structure; a state between its writes may be cached, though).
struct StructureVersion {
  StructureWords words{};
  Interval current;
};

class VersionedMemory {
 public:
  VersionedMemory(std::uint64_t base, std::uint64_t bytes);

  bool contains(std::uint64_t address, std::uint64_t bytes) const;
  /// False: the word has this value already (or there is no memory), nothing has changed.
  bool write(std::uint64_t address, std::uint64_t word, Time now);
  std::uint64_t read(std::uint64_t address) const;

  /// Oldest first; the last one is current.
  std::span<const WordVersion> versions(std::uint64_t address) const;
  /// Newest first; those that ended before `not_before` are left out.
  std::vector<StructureVersion> structure_versions(std::uint64_t address, Time not_before) const;

  /// True: perhaps a descriptor with the Contiguous bit was once in this KiB (the size of the
  /// largest contiguous group, 128 descriptors).
  bool may_be_contiguous(std::uint64_t address) const;

 private:
  std::uint64_t base_;
  std::uint64_t bytes_;
  std::unordered_map<std::uint64_t, std::vector<WordVersion>> words_;
  std::unordered_set<std::uint64_t> contiguous_;
};

}  // namespace shootdown::conform::reference

#endif
