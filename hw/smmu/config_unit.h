// The configuration look-up in simulated time: caches first, then stream table and CD table in
// memory, through stage 2 where there is one.
#ifndef SHOOTDOWN_HW_SMMU_CONFIG_UNIT_H
#define SHOOTDOWN_HW_SMMU_CONFIG_UNIT_H

#include <optional>

#include "hw/interconnect/bus.h"
#include "hw/mmu/mmu.h"
#include "hw/smmu/config_cache.h"
#include "hw/smmu/config_walk.h"
#include "hw/smmu/register_file.h"

namespace shootdown::hw {

class ConfigUnit {
 public:
  /// All arguments outlive this object.
  ConfigUnit(BusMaster& bus, Mmu& mmu, const RegisterFile& registers, const SmmuFeatures& features,
             const ConfigCacheConfig& config)
      : bus_(bus), mmu_(mmu), registers_(registers), features_(features), cache_(config) {}

  /// The configuration, copied: what is cached may change while an access is on its way. Blocks.
  ConfigResult find(std::uint64_t access_id, arch::StreamId sid,
                    std::optional<arch::SubstreamId> ssid);
  /// What the STE says by itself: no CD is read, and of the context only stage 2 is there. Blocks.
  ConfigResult find_stream_entry(std::uint64_t access_id, arch::StreamId sid);
  ConfigCache& cache() { return cache_; }
  void reset() { cache_.reset(); }

 private:
  class Source;
  StructureRules rules() const;
  StreamTable stream_table() const {
    namespace reg = arch::smmuv3::reg;
    return StreamTable::of(registers_.get64(reg::kStrtabBase), registers_.get(reg::kStrtabBaseCfg),
                           features_);
  }

  BusMaster& bus_;
  Mmu& mmu_;
  const RegisterFile& registers_;
  SmmuFeatures features_;
  ConfigCache cache_;
};

}  // namespace shootdown::hw

#endif
