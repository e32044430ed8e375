// Parameters of the SMMU. Plain data; validated by whoever fills it in.
#ifndef SHOOTDOWN_HW_SMMU_SMMU_CONFIG_H
#define SHOOTDOWN_HW_SMMU_SMMU_CONFIG_H

#include "hw/mmu/mmu_config.h"

namespace shootdown::hw {

/// The capabilities that decide whether a structure is legal.
struct SmmuFeatures {
  bool stall_model{true};  ///< IDR0.STALL_MODEL = 0; false: 1, terminate only
  bool ats{true};
  bool broadcast{};               ///< IDR0.BTM
  bool range_invalidation{true};  ///< IDR3.RIL
  unsigned sid_bits{16};
  unsigned ssid_bits{8};
  unsigned output_bits{48};  ///< IDR5.OAS
};

struct SmmuQueueSizes {
  unsigned command_log2{8};  ///< log2 of the largest queue, 0 to 19
  unsigned event_log2{7};
  unsigned stall_max{64};
};

struct CommandQueueConfig {
  unsigned command_latency_cycles{4};
  bool sync_ignores_invalidations{};  ///< a hardware defect to plant: CMD_SYNC does not wait
};

struct SmmuConfig {
  SmmuFeatures features;
  SmmuQueueSizes queues;
  CommandQueueConfig commands;
  MmuConfig mmu{.translator = {.tlb = {.entries = 32}}, .walkers = 2};
  unsigned config_cache_entries{16};
  unsigned register_latency_cycles{10};
};

}  // namespace shootdown::hw

#endif
