// The SMMU's configuration caches: STEs, CDs and first-level descriptors as they were read, each
// dropped by the commands that have to drop it and by no others, so that a missing CMD_CFGI shows.
//
// In front of them stands what an STE and a CD mean together, decoded once, for as long as both are
// cached. Source: Arm IHI 0070, sections 3.21 and 4.3. Plain C++.
#ifndef SHOOTDOWN_HW_SMMU_CONFIG_CACHE_H
#define SHOOTDOWN_HW_SMMU_CONFIG_CACHE_H

#include <array>
#include <cstdint>
#include <optional>

#include "hw/arch/smmuv3_tables.h"
#include "hw/arch/types.h"
#include "hw/smmu/config_cache_config.h"
#include "hw/smmu/config_walk.h"
#include "hw/smmu/stream_config.h"
#include "hw/smmu/structure_cache.h"

namespace shootdown::hw {

class ConfigCache {
 public:
  explicit ConfigCache(const ConfigCacheConfig& config)
      : config_(config),
        stes_(config.ste),
        cds_(config.cd),
        l1stds_(config.l1),
        l1cds_(config.l1) {}

  /// What is known of a stream without looking at tables again, or nullptr. Valid until the next
  /// call that changes something.
  const StreamConfig* lookup(arch::StreamId sid, std::optional<arch::SubstreamId> ssid) {
    return decoded(key_of(sid, ssid));
  }
  /// As above, for what the STE says without a CD.
  const StreamConfig* lookup_stream_entry(arch::StreamId sid) const {
    return decoded(stream_entry_key(sid));
  }
  void remember_stream_entry(arch::StreamId sid, const StreamConfig& config);
  /// Puts a decoded configuration in front, if everything it was made of is cached.
  void remember(arch::StreamId sid, std::optional<arch::SubstreamId> ssid,
                const StreamConfig& config);

  const arch::smmuv3::Ste* ste(arch::StreamId sid) const { return stes_.find(sid.value); }
  const arch::smmuv3::Cd* cd(arch::StreamId sid, arch::SubstreamId ssid) const {
    return cds_.find(cd_key(sid, ssid));
  }
  const std::uint64_t* l1std(arch::StreamId first) const { return l1stds_.find(first.value); }
  const std::uint64_t* l1cd(arch::StreamId sid, arch::SubstreamId first) const {
    return l1cds_.find(cd_key(sid, first));
  }

  /// Counts invalidations. A fetch remembers it at its start.
  std::uint64_t epoch() const { return epoch_; }
  // Install what was fetched since `epoch`; dropped if an invalidation came in between.
  void fill_ste(arch::StreamId sid, const arch::smmuv3::Ste& ste, std::uint64_t epoch) {
    if (epoch == epoch_ && stes_.fill(sid.value, ste)) ++generation_;
  }
  void fill_cd(arch::StreamId sid, arch::SubstreamId ssid, const arch::smmuv3::Cd& cd,
               std::uint64_t epoch) {
    if (epoch == epoch_ && cds_.fill(cd_key(sid, ssid), cd)) ++generation_;
  }
  void fill_l1std(arch::StreamId first, std::uint64_t descriptor, std::uint64_t epoch) {
    if (epoch == epoch_) l1stds_.fill(first.value, descriptor);
  }
  void fill_l1cd(arch::StreamId sid, arch::SubstreamId first, std::uint64_t descriptor,
                 std::uint64_t epoch) {
    if (epoch == epoch_) l1cds_.fill(cd_key(sid, first), descriptor);
  }

  /// CMD_CFGI_ALL.
  void invalidate_all();
  /// CMD_CFGI_STE and CMD_CFGI_STE_RANGE: the 2^log2_count StreamIDs that share the upper bits of
  /// `sid`, with every CD reached through them. `leaf`: L1STDs may stay.
  void invalidate_streams(arch::StreamId sid, unsigned log2_count, bool leaf);
  /// CMD_CFGI_CD. `leaf`: L1CDs may stay.
  void invalidate_cd(arch::StreamId sid, arch::SubstreamId ssid, bool leaf);
  /// CMD_CFGI_CD_ALL.
  void invalidate_cds(arch::StreamId sid);
  /// A register changed that configurations are decoded by: they are decoded again.
  void forget_decoded() { ++generation_; }
  /// What led to a configuration fault is not to be found again, unless illegal structures are
  /// cached.
  void faulted(arch::StreamId sid, std::optional<arch::SubstreamId> ssid);
  void reset();

 private:
  static constexpr unsigned kSsidBits = 20;
  static constexpr unsigned kDecoded = 64;
  struct Decoded {
    std::uint64_t generation{};
    std::uint64_t key{};
    StreamConfig config;
  };
  static std::uint64_t cd_key(arch::StreamId sid, arch::SubstreamId ssid) {
    return std::uint64_t{sid.value} << kSsidBits | ssid.value;
  }
  static std::uint64_t key_of(arch::StreamId sid, std::optional<arch::SubstreamId> ssid) {
    return std::uint64_t{sid.value} << (kSsidBits + 1) |
           (ssid ? std::uint64_t{ssid->value} << 1 | 1 : 0);
  }
  /// None of key_of(): those with a SubstreamID are odd, those without one have zeros there.
  static std::uint64_t stream_entry_key(arch::StreamId sid) { return key_of(sid, {}) | 2; }
  const StreamConfig* decoded(std::uint64_t key) const {
    const Decoded& found = decoded_[slot_of(key)];
    return found.generation == generation_ && found.key == key ? &found.config : nullptr;
  }
  static std::size_t slot_of(std::uint64_t key) {
    return (key ^ key >> (kSsidBits + 1)) % kDecoded;
  }

  ConfigCacheConfig config_;
  StructureCache<arch::smmuv3::Ste> stes_;
  StructureCache<arch::smmuv3::Cd> cds_;
  StructureCache<std::uint64_t> l1stds_;
  StructureCache<std::uint64_t> l1cds_;
  std::array<Decoded, kDecoded> decoded_{};
  std::uint64_t generation_{1};  ///< of the decoded ones; older ones are void
  std::uint64_t epoch_{};
};

/// The cached half of a StructureSource: one look-up's view of the caches, which remembers the
/// epoch before anything is read.
class CachedStructures : public StructureSource {
 public:
  /// `cache` outlives this object.
  explicit CachedStructures(ConfigCache& cache) : cache_(cache), epoch_(cache.epoch()) {}
  const arch::smmuv3::Ste* cached_ste(arch::StreamId sid) override { return cache_.ste(sid); }
  const arch::smmuv3::Cd* cached_cd(arch::StreamId sid, arch::SubstreamId ssid) override {
    return cache_.cd(sid, ssid);
  }
  const std::uint64_t* cached_l1std(arch::StreamId first) override { return cache_.l1std(first); }
  const std::uint64_t* cached_l1cd(arch::StreamId sid, arch::SubstreamId first) override {
    return cache_.l1cd(sid, first);
  }
  void fetched_ste(arch::StreamId sid, const arch::smmuv3::Ste& ste) override {
    cache_.fill_ste(sid, ste, epoch_);
  }
  void fetched_cd(arch::StreamId sid, arch::SubstreamId ssid, const arch::smmuv3::Cd& cd) override {
    cache_.fill_cd(sid, ssid, cd, epoch_);
  }
  void fetched_l1std(arch::StreamId first, std::uint64_t descriptor) override {
    cache_.fill_l1std(first, descriptor, epoch_);
  }
  void fetched_l1cd(arch::StreamId sid, arch::SubstreamId first,
                    std::uint64_t descriptor) override {
    cache_.fill_l1cd(sid, first, descriptor, epoch_);
  }
  std::uint64_t epoch() const { return epoch_; }

 private:
  ConfigCache& cache_;
  std::uint64_t epoch_;
};

}  // namespace shootdown::hw

#endif
