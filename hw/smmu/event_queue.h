// The event queue: which events are written, lost or have to wait, and the interrupt.
// Source: Arm IHI 0070, sections 3.5.3, 7.2 (merging) and 7.4 (overflow).
#ifndef SHOOTDOWN_HW_SMMU_EVENT_QUEUE_H
#define SHOOTDOWN_HW_SMMU_EVENT_QUEUE_H

#include <cstdint>

#include "hw/arch/smmuv3_events.h"
#include "hw/events.h"
#include "hw/sim/arbiter.h"
#include "hw/sim/simulation.h"
#include "hw/smmu/interrupts.h"
#include "hw/smmu/output_queue.h"

namespace shootdown::hw {

class EventQueue {
 public:
  /// `merge`: identical events of a stream that permits it become one while the first is unread.
  EventQueue(Simulation& simulation, BusMaster& bus, EventPort& events, RegisterFile& registers,
             Interrupts& interrupts, unsigned max_log2, bool merge, bool align);

  bool writable() const { return queue_.enabled() && !queue_.full() && !queue_.aborted(); }
  enum class Written : std::uint8_t {
    kYes,
    kNotWritable,  ///< an ordinary event is lost (and an overflow noted), a stalled one tried again
    kAborted,      ///< the queue is not in memory: GERROR.EVENTQ_ABT_ERR
  };
  /// Writes one record; blocks for the memory access. `may_merge`: STE.MEV.
  Written write(const arch::smmuv3::EventRecord& record, bool may_merge);
  /// Likewise for a transaction that stalls. `fault` is told when the record can be seen, and not
  /// if it has to be tried again.
  Written write_stalled(const arch::smmuv3::EventRecord& record, const TranslationFault& fault);
  /// Blocks until no record is being written.
  void drain();
  void reset();

 private:
  /// `stalled`: null for a transaction that does not.
  Written write(const arch::smmuv3::EventRecord& record, const TranslationFault* stalled,
                bool may_merge);

  EventPort& events_;
  Interrupts& interrupts_;
  OutputQueue queue_;
  bool merge_;
  arch::smmuv3::EventRecord last_{};
  Arbiter writer_;
};

}  // namespace shootdown::hw

#endif
