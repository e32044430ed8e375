// What one read of a translation table descriptor may give, through caches.
//
// Source: Arm IHI 0070, section 3.17 (what may be cached), Arm ARM section D8.13 (contiguous).
#ifndef SHOOTDOWN_CONFORM_REFERENCE_DESCRIPTOR_CHOICES_H
#define SHOOTDOWN_CONFORM_REFERENCE_DESCRIPTOR_CHOICES_H

#include <cstdint>
#include <vector>

#include "conform/reference/cached_prefix.h"

namespace shootdown::conform::reference {

struct DescriptorChoice {
  std::uint64_t value{};
  Cached what;      ///< how the walk up to here is cached
  Interval times;   ///< when it can have been read
  Interval usable;  ///< what was made of it
  bool now{};       ///< it can be read from memory as it is now
};

struct DescriptorLimits {
  bool only_now{};    ///< memory has to be read
  bool leaf_ends{};   ///< a leaf ends the walk: it must be usable now
  Interval needed{};  ///< what is not usable at any time in it leads nowhere
};

/// `choices` is what there is after `prefix`, what is in memory now first.
void find_descriptor_choices(const History& history, const Fetch& fetch, const CachedPrefix& prefix,
                             const DescriptorLimits& limits,
                             std::vector<DescriptorChoice>& choices);

/// Bits [63:56] replaced by copies of bit 55, as they are in a TLB.
std::uint64_t canonical_address(std::uint64_t va);

/// How the part of a walk is cached that ends above this fetch: at the table pointer of the CD or
/// STE, which serves the whole input range.
Cached cached_above(const Fetch& fetch);

}  // namespace shootdown::conform::reference

#endif
