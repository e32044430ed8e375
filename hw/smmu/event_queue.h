// The SMMU's side of the event queue: writes records to memory, moves PROD, raises the interrupt.
// Source: IHI 0070 sections 3.5.1 and 7.4 (overflow).
#ifndef SHOOTDOWN_HW_SMMU_EVENT_QUEUE_H
#define SHOOTDOWN_HW_SMMU_EVENT_QUEUE_H

#include <cstdint>

#include "hw/arch/smmuv3_events.h"
#include "hw/events.h"
#include "hw/interconnect/bus.h"
#include "hw/sim/interrupt.h"
#include "hw/sim/process.h"
#include "hw/smmu/register_file.h"

namespace shootdown::hw {

class EventQueue {
 public:
  EventQueue(Simulation& simulation, BusMaster& bus, EventPort& events, RegisterFile& registers,
             InterruptLine& interrupt, InterruptLine& gerror_interrupt)
      : bus_(bus),
        events_(events),
        registers_(registers),
        interrupt_(interrupt),
        gerror_interrupt_(gerror_interrupt),
        writer_(simulation),
        space_(simulation) {}

  bool writable() const;
  enum class Written : std::uint8_t {
    kYes,
    kNotWritable,  ///< an ordinary event is lost (and an overflow noted), a stalled one tried again
    kAborted,      ///< the queue is not in memory: GERROR.EVENTQ_ABT_ERR
  };
  /// Writes one record; blocks for the memory access.
  Written write(const arch::smmuv3::EventRecord& record, bool stalled);
  /// Blocks until software has moved CONS or enabled the queue.
  void wait_for_space() { space_.wait(); }
  /// Software wrote CONS or CR0.
  void software_moved() { space_.wake_all(); }
  void reset();

 private:
  unsigned log2_size() const;
  bool full() const;

  BusMaster& bus_;
  EventPort& events_;
  RegisterFile& registers_;
  InterruptLine& interrupt_;
  InterruptLine& gerror_interrupt_;
  Arbiter writer_;
  WaitList space_;
};

}  // namespace shootdown::hw

#endif
