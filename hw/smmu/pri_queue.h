// The PRI queue: page requests of endpoints, and the answers the SMMU gives by itself when it
// cannot take one. Source: Arm IHI 0070, sections 8.1 to 8.3.
#ifndef SHOOTDOWN_HW_SMMU_PRI_QUEUE_H
#define SHOOTDOWN_HW_SMMU_PRI_QUEUE_H

#include <cstdint>
#include <optional>

#include "hw/arch/smmuv3_events.h"
#include "hw/arch/types.h"
#include "hw/events.h"
#include "hw/iommu/transaction.h"
#include "hw/sim/arbiter.h"
#include "hw/sim/simulation.h"
#include "hw/smmu/interrupts.h"
#include "hw/smmu/output_queue.h"

namespace shootdown::hw {

class PriQueue {
 public:
  PriQueue(Simulation& simulation, BusMaster& bus, EventPort& events, RegisterFile& registers,
           Interrupts& interrupts, unsigned max_log2, bool align);

  /// Takes a page request; blocks for the memory access. Returns the answer to send at once, if
  /// software is not going to: nothing where the request was queued, or lost without an answer.
  std::optional<PageResponse> push(arch::StreamId sid, std::optional<arch::SubstreamId> ssid,
                                   const PageRequest& request);
  /// Blocks until no record is being written.
  void drain();
  void reset() { writer_.reset(); }

 private:
  EventPort& events_;
  RegisterFile& registers_;
  Interrupts& interrupts_;
  OutputQueue queue_;
  Arbiter writer_;
};

}  // namespace shootdown::hw

#endif
