// Cache of decoded stream configurations, by StreamID and SubstreamID.
//
// One entry holds what STE and CD say together, so that a CFGI_CD also drops what was read of the
// STE (removing more is always permitted). Faults are not cached. Plain C++.
#ifndef SHOOTDOWN_HW_SMMU_CONFIG_CACHE_H
#define SHOOTDOWN_HW_SMMU_CONFIG_CACHE_H

#include <cstdint>
#include <optional>
#include <vector>

#include "hw/arch/types.h"
#include "hw/smmu/config_decode.h"

namespace shootdown::hw {

class ConfigCache {
 public:
  explicit ConfigCache(unsigned entries) : capacity_(entries) { entries_.reserve(entries); }

  const StreamConfig* lookup(arch::StreamId sid, std::optional<arch::SubstreamId> ssid) {
    const std::uint64_t key = key_of(sid, ssid);
    if (last_ < entries_.size() && entries_[last_].key == key) return &entries_[last_].config;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if (entries_[i].key != key) continue;
      last_ = i;
      return &entries_[i].config;
    }
    return nullptr;
  }
  /// Installs what was fetched since `epoch`; dropped if an invalidation came in between.
  void fill(arch::StreamId sid, std::optional<arch::SubstreamId> ssid, const StreamConfig& config,
            std::uint64_t epoch) {
    if (epoch != epoch_ || capacity_ == 0) return;
    // Two accesses of a stream may have fetched at the same time.
    const std::uint64_t key = key_of(sid, ssid);
    std::erase_if(entries_, [&](const Entry& entry) { return entry.key == key; });
    if (entries_.size() == capacity_) entries_.erase(entries_.begin());
    entries_.push_back({key, config});
  }
  std::uint64_t epoch() const { return epoch_; }

  void invalidate_all() {
    ++epoch_;
    entries_.clear();
  }
  /// The 2^log2_count StreamIDs that share the upper bits of `sid`, whatever the SubstreamID.
  void invalidate_streams(arch::StreamId sid, unsigned log2_count) {
    ++epoch_;
    std::erase_if(entries_, [&](const Entry& entry) {
      return (entry.key >> kSidBit) >> log2_count == std::uint64_t{sid.value} >> log2_count;
    });
  }
  void invalidate_substream(arch::StreamId sid, arch::SubstreamId ssid) {
    ++epoch_;
    std::erase_if(entries_, [&](const Entry& entry) {
      // A stream without substreams uses CD 0.
      return entry.key == key_of(sid, ssid) ||
             (ssid.value == 0 && entry.key == key_of(sid, std::nullopt));
    });
  }
  void reset() {
    entries_.clear();
    epoch_ = 0;
  }

 private:
  static constexpr unsigned kSidBit = 21;
  struct Entry {
    std::uint64_t key{};
    StreamConfig config;
  };
  static std::uint64_t key_of(arch::StreamId sid, std::optional<arch::SubstreamId> ssid) {
    return std::uint64_t{sid.value} << kSidBit | (ssid ? std::uint64_t{ssid->value} << 1 | 1 : 0);
  }

  unsigned capacity_;
  std::vector<Entry> entries_;
  std::size_t last_{};
  std::uint64_t epoch_{};
};

}  // namespace shootdown::hw

#endif
