// The hardware that a configuration describes, built and bound: memory, interconnect, CPUs,
// secondary MMUs, devices, with the log that hears of all of it. What runs on it is a Software.
#ifndef SHOOTDOWN_COSIM_PLATFORM_MACHINE_H
#define SHOOTDOWN_COSIM_PLATFORM_MACHINE_H

#include <memory>
#include <string>
#include <vector>

#include "cosim/config/config.h"
#include "cosim/observe/event_log.h"
#include "cosim/rtl/rtl_tlb_engine.h"
#include "hw/cpu/core.h"
#include "hw/device/dma_device.h"
#include "hw/interconnect/bus.h"
#include "hw/interconnect/dvm.h"
#include "hw/iommu/secondary_mmu.h"
#include "hw/sim/sc_kernel.h"
#include "hw/sim/signal_board.h"
#include "hw/sim/simulation.h"

namespace shootdown::cosim {

/// A secondary MMU and its place in the machine.
struct MmuInMachine {
  std::unique_ptr<hw::SecondaryMmu> model;
  ActorId actor{kNoActor};
  arch::PhysAddr registers{};
};

class Machine {
 public:
  /// `config` outlives the machine. `signals`: how many the board has.
  Machine(const Config& config, unsigned signals);
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  hw::Simulation& simulation() { return *simulation_; }
  EventLog& log() { return *log_; }
  hw::SignalBoard& signals() { return *signals_; }
  std::vector<std::unique_ptr<hw::CpuCore>>& cores() { return cores_; }
  ActorId cpu_actor(unsigned cpu) const { return cpu_actors_[cpu]; }
  std::vector<MmuInMachine>& mmus() { return mmus_; }
  std::vector<std::unique_ptr<hw::DmaDevice>>& devices() { return devices_; }
  RtlContext& rtl_context() { return *rtl_context_; }
  const std::vector<std::unique_ptr<RtlTlbEngine>>& rtl() const { return rtl_; }

  /// Makes its SystemC kernel the current one.
  void make_current();
  /// All hardware back to power-on.
  void reset();
  /// A run begins: engines start, devices answer.
  void power_on();

 private:
  void probe(hw::EventPort& port, ActorId actor);
  /// The engine of a TLB in RTL; null for the SystemC one.
  hw::TlbEngine* engine_for(const std::string& name, TlbModel model,
                            const hw::TlbGeometry& geometry, ActorId actor);
  void build_interconnect();
  void build_cpus();
  void build_mmus();
  void build_devices();

  const Config& config_;
  hw::ScKernel kernel_;  // first in, last out: everything below belongs to it
  std::unique_ptr<hw::Simulation> simulation_;
  std::unique_ptr<EventLog> log_;
  std::vector<std::unique_ptr<HardwareProbe>> probes_;
  std::unique_ptr<hw::PhysicalMemory> memory_;
  std::unique_ptr<hw::Interconnect> interconnect_;
  std::unique_ptr<hw::MemoryController> memory_controller_;
  std::unique_ptr<hw::DvmNetwork> dvm_;
  std::unique_ptr<hw::SignalBoard> signals_;
  std::unique_ptr<RtlContext> rtl_context_;
  std::vector<std::unique_ptr<RtlTlbEngine>> rtl_;
  std::vector<std::unique_ptr<hw::CpuCore>> cores_;
  std::vector<ActorId> cpu_actors_;
  std::vector<MmuInMachine> mmus_;
  std::vector<std::unique_ptr<hw::DmaDevice>> devices_;
};

}  // namespace shootdown::cosim

#endif
