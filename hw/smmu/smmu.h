// An SMMUv3: registers, queues and tables in memory, translation through one or two stages.
//
// Modelled: the Non-secure interface of SMMUv3.2 without Secure state, Realm, MPAM, DPT, ECMDQ,
// AArch32 tables, big-endian tables, 52-bit addresses of 4 and 16 KiB granules, ATOS and memory
// attributes (they are decoded where they decide legality, and lead to nothing). Prefetch commands
// do nothing, as hints may. Source: Arm IHI 0070.
#ifndef SHOOTDOWN_HW_SMMU_SMMU_H
#define SHOOTDOWN_HW_SMMU_SMMU_H

#include <cstdint>
#include <systemc>

#include "hw/events.h"
#include "hw/interconnect/bus.h"
#include "hw/interconnect/dvm.h"
#include "hw/iommu/secondary_mmu.h"
#include "hw/iommu/transaction.h"
#include "hw/mmu/mmu.h"
#include "hw/smmu/command_queue.h"
#include "hw/smmu/config_unit.h"
#include "hw/smmu/event_queue.h"
#include "hw/smmu/interrupts.h"
#include "hw/smmu/pri_queue.h"
#include "hw/smmu/register_file.h"
#include "hw/smmu/smmu_config.h"
#include "hw/smmu/stall_table.h"
#include "hw/smmu/transaction_unit.h"

namespace shootdown::hw {

class Smmu : public sc_core::sc_module, public SecondaryMmu, private DvmTarget {
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
  InterruptLines interrupt;

  Socket& device_socket() override { return devices; }
  Socket& register_socket() override { return registers_in; }
  std::uint64_t register_bytes() const override { return arch::smmuv3::kRegisterBytes; }
  BusMaster& memory_bus() override { return bus; }
  EventPort& event_port() override { return events; }
  arch::MaintenanceWords words() const override {
    return {"SMMU", "CMD_TLBI_NH_VA", "CMD_ATC_INV", "CMD_SYNC"};
  }
  bool connect_interrupt(std::string_view wire, std::function<void()> handler) override;
  void attach_atc(arch::StreamId stream_id, AtcPort& atc) override {
    commands_.attach_atc(stream_id, atc);
  }
  Mmu& mmu() { return mmu_; }
  /// Drops every cached configuration and translation at once, without a command. For test benches.
  void flush_caches();
  void start() override;
  void reset() override;

 private:
  void device_transport(tlm::tlm_generic_payload& trans, sc_core::sc_time& delay);
  void register_transport(tlm::tlm_generic_payload& trans, sc_core::sc_time& delay);
  void register_written(std::uint32_t offset);
  void update_loop();
  bool update_pending() const;
  void apply_updates();
  void write_cr0(std::uint32_t now);

  void dvm_operation(const DvmOperation& operation) override;
  void dvm_complete() override;
  bool takes_part_in_broadcast() const;

  Simulation& simulation_;
  SmmuConfig config_;
  RegisterFile registers_;
  Interrupts interrupts_;
  Mmu mmu_;
  ConfigUnit configs_;
  StallTable stalls_;
  EventQueue event_queue_;
  PriQueue pri_queue_;
  TransactionUnit transactions_;
  CommandQueue commands_;
  SimThread updater_;
  bool updating_{};  ///< updater_ is at work: what software writes meanwhile is for it too
};

}  // namespace shootdown::hw

#endif
