#include "cosim/platform/machine.h"

#include <fmt/format.h>

#include "hw/smmu/smmu.h"

namespace shootdown::cosim {

namespace {

/// Where the registers of the first secondary MMU are; the others follow.
constexpr arch::PhysAddr kMmuRegisters{0x2b400000};

}  // namespace

Machine::Machine(const Config& config, unsigned signals) : config_(config) {
  const HardwareConfig& hardware = config.hardware;
  const auto period = sc_core::sc_time::from_value(hardware.clock_period_ps);
  simulation_ = std::make_unique<hw::Simulation>(period);
  simulation_->set_quantum(period * hardware.quantum_cycles);
  log_ = std::make_unique<EventLog>(*simulation_);
  rtl_context_ = std::make_unique<RtlContext>();
  signals_ = std::make_unique<hw::SignalBoard>(*simulation_, signals);
  build_interconnect();
  build_cpus();
  build_mmus();
  build_devices();
}

Machine::~Machine() { kernel_.make_current(); }

void Machine::make_current() {
  kernel_.make_current();
  rtl_context_->make_current();
}

void Machine::probe(hw::EventPort& port, ActorId actor) {
  probes_.push_back(std::make_unique<HardwareProbe>(*log_, actor));
  port.bind(*probes_.back());
}

hw::TlbEngine* Machine::engine_for(const std::string& name, TlbModel model,
                                   const hw::TlbGeometry& geometry, ActorId actor) {
  if (model == TlbModel::kSystemc) return nullptr;
  rtl_.push_back(std::make_unique<RtlTlbEngine>(*simulation_, *rtl_context_, name, geometry,
                                                model == TlbModel::kLockstep));
  probe(rtl_.back()->events, actor);
  if (!rtl_.back()->reports_evictions()) log_->set_silent_evictions(actor);
  return rtl_.back().get();
}

void Machine::build_interconnect() {
  const HardwareConfig& hardware = config_.hardware;
  const sc_core::sc_time& period = simulation_->clock_period();
  memory_ = std::make_unique<hw::PhysicalMemory>(hardware.memory.base, hardware.memory.size_bytes);
  memory_controller_ = std::make_unique<hw::MemoryController>(
      "memory", *memory_, period * hardware.memory.latency_cycles);
  interconnect_ = std::make_unique<hw::Interconnect>("interconnect",
                                                     period * hardware.interconnect_latency_cycles);
  dvm_ = std::make_unique<hw::DvmNetwork>(*simulation_, hardware.dvm_latency_cycles);
  interconnect_->add_window(hardware.memory.base, hardware.memory.size_bytes, false);
  interconnect_->out.bind(memory_controller_->in);
}

void Machine::build_cpus() {
  const HardwareConfig& hardware = config_.hardware;
  for (unsigned i = 0; i < hardware.cpus; ++i) {
    const std::string name = fmt::format("cpu{}", i);
    cpu_actors_.push_back(log_->add_actor(ActorRole::kCpu, name));
    hw::TlbEngine* engine = engine_for(name + "_tlb", hardware.cpu_tlb_model,
                                       hardware.cpu.translator.tlb, cpu_actors_.back());
    cores_.push_back(
        std::make_unique<hw::CpuCore>(name.c_str(), *simulation_, *dvm_, hardware.cpu, engine));
    cores_.back()->bus.out.bind(interconnect_->in);
    probe(cores_.back()->events, cpu_actors_.back());
  }
}

void Machine::build_mmus() {
  const HardwareConfig& hardware = config_.hardware;
  // Another kind is made here, by its own configuration; nothing below knows which kind it is.
  const ActorId actor = log_->add_actor(ActorRole::kSecondaryMmu, "smmu0");
  hw::TlbEngine* engine =
      engine_for("smmu0_tlb", hardware.smmu_tlb_model, hardware.smmu.mmu.translator.tlb, actor);
  mmus_.push_back(
      {.model = std::make_unique<hw::Smmu>("smmu0", *simulation_, *dvm_, hardware.smmu, engine),
       .actor = actor,
       .registers = {}});
  arch::PhysAddr registers = kMmuRegisters;
  for (MmuInMachine& mmu : mmus_) {
    log_->set_words(mmu.actor, mmu.model->words());
    mmu.registers = registers;
    registers = registers + mmu.model->register_bytes();
    mmu.model->memory_bus().out.bind(interconnect_->in);
    interconnect_->add_window(mmu.registers, mmu.model->register_bytes(), true);
    interconnect_->out.bind(mmu.model->register_socket());
    probe(mmu.model->event_port(), mmu.actor);
  }
}

void Machine::build_devices() {
  for (const DeviceConfig& device : config_.devices) {
    MmuInMachine& mmu = mmus_[device.mmu];
    devices_.push_back(
        std::make_unique<hw::DmaDevice>(device.name.c_str(), *simulation_, *signals_, device.dma));
    hw::DmaDevice& model = *devices_.back();
    model.out.bind(mmu.model->device_socket());
    const ActorId actor =
        log_->add_actor(ActorRole::kDevice, device.name, mmu.actor, device.dma.stream_id.value);
    probe(model.events, actor);
    if (device.dma.atc) {
      probe(model.atc_events, log_->add_actor(ActorRole::kAtc, device.name + ".atc", actor));
      mmu.model->attach_atc(device.dma.stream_id, model);
    }
  }
  for (const DeviceThread& thread : config_.device_threads) {
    devices_[thread.device]->set_program(thread.steps);
  }
}

void Machine::reset() {
  memory_->reset();
  dvm_->reset();
  signals_->reset();
  for (MmuInMachine& mmu : mmus_) mmu.model->reset();
  for (auto& core : cores_) core->reset();
  for (auto& device : devices_) device->reset();
}

void Machine::power_on() {
  for (auto& engine : rtl_) engine->start();
  dvm_->start();
  for (MmuInMachine& mmu : mmus_) mmu.model->start();
  for (auto& device : devices_) device->power_on();
}

}  // namespace shootdown::cosim
