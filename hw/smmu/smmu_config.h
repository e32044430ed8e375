// Parameters of the SMMU. Plain data; validated by whoever fills it in.
#ifndef SHOOTDOWN_HW_SMMU_SMMU_CONFIG_H
#define SHOOTDOWN_HW_SMMU_SMMU_CONFIG_H

#include "hw/mmu/mmu_config.h"
#include "hw/smmu/config_cache_config.h"
#include "hw/smmu/smmu_features.h"

namespace shootdown::hw {

struct CommandQueueConfig {
  unsigned command_latency_cycles{4};
  unsigned atc_timeout_cycles{1'000'000};  ///< until an ATC invalidation counts as failed
  bool sync_ignores_invalidations{};       ///< a hardware defect to plant: CMD_SYNC does not wait
};

/// What the architecture leaves to the implementation when an access faults.
struct FaultChoices {
  bool merge_events{};            ///< identical events become one where STE.MEV permits it
  bool suppress_duplicates{};     ///< a stall alike to a pending one makes no event of its own
  unsigned early_retry_cycles{};  ///< a stalled access is tried again unasked; 0: never
};

struct SmmuConfig {
  SmmuFeatures features;
  CommandQueueConfig commands;
  MmuConfig mmu{.translator = {.tlb = {.entries = 32}}, .walkers = 2};
  ConfigCacheConfig config_cache;
  FaultChoices faults;
  /// Queue bases are aligned to the size of the queue, as the architecture has it. False: taken as
  /// they are, which is what some emulators do and some software relies on.
  bool align_queues{true};
  unsigned register_latency_cycles{10};
  unsigned register_update_cycles{};  ///< until CR0ACK, IRQ_CTRLACK and GBPA.Update follow
};

}  // namespace shootdown::hw

#endif
