// Which STEs and CDs a stream may be found to have, and when, through configuration caches.
//
// Source: Arm IHI 0070, sections 3.3, 3.21 and 4.3.
#ifndef SHOOTDOWN_CONFORM_REFERENCE_CONFIGURATION_HISTORY_H
#define SHOOTDOWN_CONFORM_REFERENCE_CONFIGURATION_HISTORY_H

#include <cstdint>
#include <map>
#include <optional>
#include <unordered_set>
#include <utility>
#include <vector>

#include "conform/reference/cached_prefix.h"

namespace shootdown::conform::reference {

struct StreamName {
  std::uint32_t stream_id{};
  std::optional<std::uint32_t> substream_id;
  auto operator<=>(const StreamName&) const = default;
};

/// One way to find a stream's configuration.
struct ConfigurationChain {
  struct Answer {
    bool present{};  ///< false: external abort
    StructureWords words{};
  };
  std::vector<Answer> answers;  ///< to all reads, in their order

  StreamTableVersion stream_table;
  Answer l1std;  ///< if there are two levels
  std::optional<StructureWords> ste;
  Interval ste_usable{1, 0};
  /// There is all that a translation needs: the CD, if `stage1`.
  bool complete{};
  bool stage1{};
  StructureWords cd{};
  /// When a transaction of the stream can find it. `complete`: and begin a walk with it.
  Interval usable;
};

class ConfigurationHistory {
 public:
  explicit ConfigurationHistory(const History& history) : history_(history) {}

  /// The one that memory gives now is first.
  const std::vector<ConfigurationChain>& of(const StreamName& stream);

  /// Something has changed that the answers depend on: memory, registers, completed invalidations.
  void memory_changed(std::uint64_t address);
  void changed() { known_.clear(); }
  bool depends_on_translation() const { return depends_on_translation_; }

 private:
  std::vector<ConfigurationChain> find(const StreamName& stream);
  std::vector<ConfigurationChain> read(const StreamName& stream);

  const History& history_;
  std::map<StreamName, std::vector<ConfigurationChain>> known_;
  std::unordered_set<std::uint64_t> lines_;  ///< 64 bytes each, which structures were read from
  bool depends_on_translation_{false};
};

}  // namespace shootdown::conform::reference

#endif
