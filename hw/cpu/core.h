// A simulated CPU: loads and stores through its MMU for user code, physical accesses for the kernel
// (its linear map is taken as always mapped), TLB maintenance, barriers, MMIO.
//
// The instructions run in whichever thread calls them; one at a time. In order, without a store
// buffer: a store is visible when the call returns. Not modelled: instruction fetch, speculation.
#ifndef SHOOTDOWN_HW_CPU_CORE_H
#define SHOOTDOWN_HW_CPU_CORE_H

#include <cstdint>
#include <optional>
#include <systemc>

#include "hw/arch/tlbi.h"
#include "hw/events.h"
#include "hw/interconnect/bus.h"
#include "hw/interconnect/dvm.h"
#include "hw/mmu/mmu.h"
#include "hw/sim/simulation.h"

namespace shootdown::hw {

/// A data abort: what ESR and FAR would hold.
struct CpuFault {
  arch::VirtAddr address{};
  arch::Access access{};
  arch::FaultKind type{};
};

class CpuCore : public sc_core::sc_module, private DvmTarget {
 public:
  /// `dvm` and `simulation` outlive this object. `engine` may be null.
  CpuCore(const sc_core::sc_module_name& name, Simulation& simulation, DvmNetwork& dvm,
          const MmuConfig& config, TlbEngine* engine);
  BusMaster bus;
  EventPort events{"events"};

  /// TTBR0_EL1 with its ASID, and TCR. No TLB maintenance happens by itself.
  void set_context(const Stage1Context& context);

  /// A user load or store of `bytes` (1 to 8, not crossing a page). Returns the fault, if any; a
  /// load leaves its result in `data`.
  std::optional<CpuFault> user_access(arch::VirtAddr va, arch::Access access, std::uint64_t& data,
                                      unsigned bytes);

  /// TLBI ...IS: leaves at once for every observer, completes at a later dsb().
  void tlbi(arch::TlbiOp op, std::uint64_t operand);
  /// Invalidates here and nowhere else; complete when it returns, accesses on their way included.
  void tlbi_local(const arch::Invalidation& what);
  /// DSB ISH: blocks until this CPU's TLBIs are complete everywhere.
  void dsb();
  void spend_cycles(std::uint64_t cycles) { simulation_.sleep_cycles(cycles); }

  Mmu& mmu() { return mmu_; }
  void reset();

 private:
  void dvm_operation(const DvmOperation& operation) override;
  void dvm_complete() override { mmu_.drain(); }

  Simulation& simulation_;
  DvmNetwork& dvm_;
  Mmu mmu_;
  unsigned dvm_number_;
  TranslationContext context_;
  std::uint64_t access_id_{};
  std::uint64_t last_dvm_id_{};
};

}  // namespace shootdown::hw

#endif
