// The SMMU's ways to be heard: GERROR, wired interrupts and MSIs.
// Source: Arm IHI 0070, sections 3.18 and 6.3.17 to 6.3.22.
#ifndef SHOOTDOWN_HW_SMMU_INTERRUPTS_H
#define SHOOTDOWN_HW_SMMU_INTERRUPTS_H

#include <cstdint>

#include "hw/events.h"
#include "hw/interconnect/bus.h"
#include "hw/sim/interrupt.h"
#include "hw/sim/simulation.h"
#include "hw/sim/wait_list.h"
#include "hw/smmu/register_file.h"

namespace shootdown::hw {

/// One wire each.
struct InterruptLines {
  InterruptLine event;
  InterruptLine gerror;
  InterruptLine pri;
  InterruptLine sync;  ///< CMD_SYNC with CS = 1
};

class Interrupts {
 public:
  enum class Source : std::uint8_t { kGerror, kEventQueue, kPriQueue };

  /// All arguments outlive this object.
  Interrupts(Simulation& simulation, BusMaster& bus, EventPort& events, RegisterFile& registers,
             InterruptLines& lines)
      : simulation_(simulation),
        bus_(bus),
        events_(events),
        registers_(registers),
        lines_(lines),
        sent_(simulation) {}

  /// Raises an interrupt if IRQ_CTRL has it on: as an MSI where an address is configured, else by
  /// its wire. May block for the write of an MSI.
  void raise(Source source);
  /// Reports a global error (a bit of GERROR) unless it is already active.
  void error(std::uint64_t gerror_mask);
  /// Whether an interrupt is on its way. IRQ_CTRLACK follows IRQ_CTRL when none is (6.3.15).
  bool sending() const { return sending_ != 0; }
  /// Blocks until none is on its way.
  void drain();
  void reset() {
    sending_ = 0;
    sent_.reset();
  }
  /// CMD_SYNC with CS = 1: writes `data` to `address`, or pulses the wire if there is no address.
  void sync_completed(arch::PhysAddr address, std::uint32_t data);

 private:
  bool write_msi(arch::PhysAddr address, std::uint32_t data);

  Simulation& simulation_;
  BusMaster& bus_;
  EventPort& events_;
  RegisterFile& registers_;
  InterruptLines& lines_;
  unsigned sending_{};
  WaitList sent_;
};

}  // namespace shootdown::hw

#endif
