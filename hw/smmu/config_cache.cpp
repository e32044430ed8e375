#include "hw/smmu/config_cache.h"

namespace shootdown::hw {

void ConfigCache::remember(arch::StreamId sid, std::optional<arch::SubstreamId> ssid,
                           const StreamConfig& config) {
  if (ste(sid) == nullptr) return;
  if (config.context.has_stage1 && config.kind == StreamConfig::Kind::kTranslate &&
      cd(sid, ssid.value_or(arch::SubstreamId{})) == nullptr) {
    return;
  }
  const std::uint64_t key = key_of(sid, ssid);
  decoded_[slot_of(key)] = {generation_, key, config};
}

void ConfigCache::remember_stream_entry(arch::StreamId sid, const StreamConfig& config) {
  if (ste(sid) == nullptr) return;
  const std::uint64_t key = stream_entry_key(sid);
  decoded_[slot_of(key)] = {generation_, key, config};
}

void ConfigCache::invalidate_all() {
  ++epoch_;
  ++generation_;
  stes_.clear();
  cds_.clear();
  l1stds_.clear();
  l1cds_.clear();
}

void ConfigCache::invalidate_streams(arch::StreamId sid, unsigned log2_count, bool leaf) {
  ++epoch_;
  ++generation_;
  const auto in_range = [&](std::uint64_t stream) {
    return stream >> log2_count == std::uint64_t{sid.value} >> log2_count;
  };
  stes_.erase_if(in_range);
  cds_.erase_if([&](std::uint64_t key) { return in_range(key >> kSsidBits); });
  l1cds_.erase_if([&](std::uint64_t key) { return in_range(key >> kSsidBits); });
  if (leaf) return;
  // The descriptor on the way starts at or below the StreamID; which split it has is not kept, so
  // that every one from the largest split's start on goes.
  constexpr unsigned kLargestSplit = 10;
  const std::uint64_t from = std::uint64_t{sid.value} >> kLargestSplit << kLargestSplit;
  const std::uint64_t to = sid.value | ((std::uint64_t{1} << log2_count) - 1);
  l1stds_.erase_if([&](std::uint64_t first) { return first >= from && first <= to; });
}

void ConfigCache::invalidate_cd(arch::StreamId sid, arch::SubstreamId ssid, bool leaf) {
  ++epoch_;
  ++generation_;
  const std::uint64_t wanted = cd_key(sid, ssid);
  cds_.erase_if([&](std::uint64_t key) { return key == wanted; });
  if (leaf) return;
  constexpr unsigned kLargestLeaf = 10;
  const std::uint64_t from = wanted >> kLargestLeaf << kLargestLeaf;
  l1cds_.erase_if([&](std::uint64_t key) { return key >= from && key <= wanted; });
}

void ConfigCache::invalidate_cds(arch::StreamId sid) {
  ++epoch_;
  ++generation_;
  const auto of_stream = [&](std::uint64_t key) { return key >> kSsidBits == sid.value; };
  cds_.erase_if(of_stream);
  l1cds_.erase_if(of_stream);
}

void ConfigCache::faulted(arch::StreamId sid, std::optional<arch::SubstreamId> ssid) {
  if (config_.cache_illegal) return;
  const std::uint64_t wanted = cd_key(sid, ssid.value_or(arch::SubstreamId{}));
  stes_.erase_if([&](std::uint64_t key) { return key == sid.value; });
  cds_.erase_if([&](std::uint64_t key) { return key == wanted; });
  l1stds_.clear();
  l1cds_.clear();
  ++generation_;
}

void ConfigCache::reset() {
  invalidate_all();
  epoch_ = 0;
}

}  // namespace shootdown::hw
