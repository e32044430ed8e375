// An SMMUv3 for stage 1 translation with real registers, queues and tables in memory.
//
// Modelled: linear stream table, CDs with substreams, command queue, event queue with interrupt,
// stall and terminate models, ATS translation requests, broadcast TLB maintenance (IDR0.BTM).
// Not modelled: stage 2, two-level tables, 16K/64K granules, HTTU, PRI, MSI, Secure state; CD.TBI
// and CD.HAD are taken as zero.
#ifndef SHOOTDOWN_HW_SMMU_SMMU_H
#define SHOOTDOWN_HW_SMMU_SMMU_H

#include <cstdint>
#include <optional>
#include <systemc>

#include "hw/events.h"
#include "hw/interconnect/bus.h"
#include "hw/interconnect/dvm.h"
#include "hw/mmu/mmu.h"
#include "hw/sim/interrupt.h"
#include "hw/smmu/command_queue.h"
#include "hw/smmu/config_cache.h"
#include "hw/smmu/event_queue.h"
#include "hw/smmu/register_file.h"
#include "hw/smmu/stall_table.h"
#include "hw/smmu/transaction.h"

namespace shootdown::hw {

class Smmu : public sc_core::sc_module, private DvmTarget {
 public:
  /// `simulation` and `dvm` outlive this object. `engine` may be null.
  Smmu(const sc_core::sc_module_name& name, Simulation& simulation, DvmNetwork& dvm,
       const SmmuConfig& config, TlbEngine* engine);

  /// A machine may have no device behind its SMMU.
  BlockingTarget<Smmu, sc_core::SC_ZERO_OR_MORE_BOUND> devices{"devices", *this,
                                                               &Smmu::device_transport};
  BlockingTarget<Smmu> registers_in{"registers_in", *this, &Smmu::register_transport};
  BusMaster bus;
  EventPort events{"events"};
  InterruptLine event_interrupt;
  InterruptLine gerror_interrupt;

  void attach_atc(arch::StreamId stream_id, AtcPort& atc) { commands_.attach_atc(stream_id, atc); }
  Mmu& mmu() { return mmu_; }
  void start() { commands_.start(); }
  void reset();

 private:
  enum class AccessEnd : std::uint8_t { kDone, kRetry, kTerminated };

  void device_transport(tlm::tlm_generic_payload& trans, sc_core::sc_time& delay);
  void register_transport(tlm::tlm_generic_payload& trans, sc_core::sc_time& delay);
  void register_written(std::uint32_t offset);
  void write_cr0();

  void untranslated(tlm::tlm_generic_payload& trans, StreamExtension& stream);
  AccessEnd attempt(tlm::tlm_generic_payload& trans, StreamExtension& stream);
  AccessEnd fault(const StreamExtension& stream, const Requester& requester, arch::VirtAddr va,
                  arch::Access access, const StreamConfig& config, const Mmu::Outcome& outcome,
                  std::optional<InFlightAccess>& in_flight);
  void translated(tlm::tlm_generic_payload& trans, const StreamExtension& stream);
  void translation_request(tlm::tlm_generic_payload& trans, StreamExtension& stream);
  bool forward(tlm::tlm_generic_payload& trans, arch::PhysAddr pa);
  /// The configuration, copied: what is cached may change while an access is on its way.
  ConfigResult config_of(const StreamExtension& stream);
  void record(arch::smmuv3::EventType type, const StreamExtension& stream, arch::VirtAddr va,
              arch::Access access, arch::PhysAddr fetch_address);
  static void terminate(tlm::tlm_generic_payload& trans, bool abort);

  void dvm_operation(const DvmOperation& operation) override;
  void dvm_complete() override;
  bool takes_part_in_broadcast() const;

  Simulation& simulation_;
  SmmuConfig config_;
  RegisterFile registers_;
  Mmu mmu_;
  ConfigCache configs_;
  StallTable stalls_;
  EventQueue event_queue_;
  CommandQueue commands_;
};

}  // namespace shootdown::hw

#endif
