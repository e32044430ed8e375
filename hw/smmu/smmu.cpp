#include "hw/smmu/smmu.h"

#include <cstring>
#include <utility>

namespace shootdown::hw {

namespace smmuv3 = arch::smmuv3;
namespace reg = arch::smmuv3::reg;

Smmu::Smmu(const sc_core::sc_module_name& name, Simulation& simulation, DvmNetwork& dvm,
           const SmmuConfig& config, TlbEngine* engine)
    : sc_core::sc_module(name),
      bus("bus", simulation),
      simulation_(simulation),
      config_(config),
      registers_(config.features,
                 [this](std::string_view rule, std::uint32_t offset) {
                   events.write(IllegalUse{.rule = rule, .detail = {offset}});
                 }),
      interrupts_(simulation, bus, events, registers_, interrupt),
      mmu_(simulation, bus, events, config.mmu, engine),
      configs_(bus, mmu_, registers_, config.features, config.config_cache),
      stalls_(simulation, config.features.can_stall() ? config.features.stall_max : 0),
      event_queue_(simulation, bus, events, registers_, interrupts_,
                   config.features.event_queue_log2, config.faults.merge_events,
                   config.align_queues),
      pri_queue_(simulation, bus, events, registers_, interrupts_, config.features.pri_queue_log2,
                 config.align_queues),
      transactions_({.simulation = simulation,
                     .bus = bus,
                     .events = events,
                     .registers = registers_,
                     .mmu = mmu_,
                     .configs = configs_,
                     .stalls = stalls_,
                     .event_queue = event_queue_,
                     .pri_queue = pri_queue_},
                    config.features, config.faults),
      commands_("cmdq",
                {.simulation = simulation,
                 .bus = bus,
                 .events = events,
                 .registers = registers_,
                 .mmu = mmu_,
                 .configs = configs_.cache(),
                 .stalls = stalls_,
                 .interrupts = interrupts_,
                 .align_queue = config.align_queues},
                config.features, config.commands),
      updater_(simulation, "update", [this] { update_loop(); }) {
  if (config.features.broadcast) dvm.attach(*this, this->name());
}

void Smmu::start() {
  commands_.start();
  updater_.start();
}

bool Smmu::connect_interrupt(std::string_view wire, std::function<void()> handler) {
  InterruptLine* line = wire == "event"    ? &interrupt.event
                        : wire == "pri"    ? &interrupt.pri
                        : wire == "gerror" ? &interrupt.gerror
                        : wire == "sync"   ? &interrupt.sync
                                           : nullptr;
  if (line == nullptr) return false;
  line->connect(std::move(handler));
  return true;
}

void Smmu::flush_caches() {
  configs_.cache().invalidate_all();
  arch::Invalidation everything;
  everything.with_stage2 = true;
  mmu_.drop(everything);
  everything.regime = arch::Regime::kEl2;
  everything.with_stage2 = false;
  mmu_.drop(everything);
}

void Smmu::device_transport(tlm::tlm_generic_payload& trans, sc_core::sc_time&) {
  transactions_.transport(trans);
}

// ---- Registers -------------------------------------------------------------------------------

void Smmu::register_transport(tlm::tlm_generic_payload& trans, sc_core::sc_time& delay) {
  delay += simulation_.clock_period() * config_.register_latency_cycles;
  const auto offset = static_cast<std::uint32_t>(trans.get_address());
  const unsigned bytes = trans.get_data_length();
  if ((bytes != 4 && bytes != 8) || offset % bytes != 0) {
    trans.set_response_status(tlm::TLM_BURST_ERROR_RESPONSE);
    return;
  }
  std::uint64_t value = 0;
  if (trans.is_read()) {
    value = registers_.read(offset, bytes);
    std::memcpy(trans.get_data_ptr(), &value, bytes);
  } else {
    std::memcpy(&value, trans.get_data_ptr(), bytes);
    registers_.write(offset, value, bytes);
    for (std::uint32_t word = offset; word < offset + bytes; word += 4) register_written(word);
  }
  trans.set_response_status(tlm::TLM_OK_RESPONSE);
}

void Smmu::register_written(std::uint32_t offset) {
  // Index registers answer in both pages.
  switch (offset % smmuv3::kRegisterPageBytes) {
    case reg::kCr0:
    case reg::kIrqCtrl:
    case reg::kGbpa:
      if (!update_pending()) break;
      // What has to wait for something, or takes time, is for the thread that may.
      if (!updating_ && config_.register_update_cycles == 0 &&
          (registers_.get(reg::kCr0Ack) & ~registers_.get(reg::kCr0)) == 0 &&
          !interrupts_.sending()) {
        apply_updates();
      } else {
        updater_.wake();
      }
      break;
    case reg::kCr2:
      configs_.cache().forget_decoded();
      break;
    case reg::kCmdqProd:
      commands_.software_moved();
      break;
    case reg::kGerrorN:
      commands_.software_moved();
      stalls_.retry_unreported();
      break;
    case reg::kEventqCons % smmuv3::kRegisterPageBytes:
      stalls_.retry_unreported();
      break;
    default:
      break;
  }
}

bool Smmu::update_pending() const {
  return registers_.get(reg::kCr0) != registers_.get(reg::kCr0Ack) ||
         registers_.get(reg::kIrqCtrl) != registers_.get(reg::kIrqCtrlAck) ||
         smmuv3::gbpa::Update::get(registers_.get(reg::kGbpa)) != 0;
}

void Smmu::update_loop() {
  for (;;) {
    while (!update_pending()) simulation_.block();
    updating_ = true;
    simulation_.sleep_cycles(config_.register_update_cycles);
    apply_updates();
    updating_ = false;
  }
}

void Smmu::apply_updates() {
  if (const std::uint32_t now = registers_.get(reg::kIrqCtrl);
      now != registers_.get(reg::kIrqCtrlAck)) {
    // What is on its way was sent under the old setting.
    if ((registers_.get(reg::kIrqCtrlAck) & ~now) != 0) interrupts_.drain();
    registers_.set(reg::kIrqCtrlAck, now);
  }
  registers_.set(reg::kGbpa, registers_.get(reg::kGbpa) &
                                 ~static_cast<std::uint32_t>(smmuv3::gbpa::Update::kMask));
  const std::uint32_t now = registers_.get(reg::kCr0);
  if (now != registers_.get(reg::kCr0Ack)) write_cr0(now);
}

void Smmu::write_cr0(std::uint32_t now) {
  const std::uint32_t falls = registers_.get(reg::kCr0Ack) & ~now;
  // What is switched off takes nothing new, and CR0ACK says so when what was taken has ended. In
  // this order: transactions that end may still have events to write.
  std::uint32_t closed = 0;
  const auto closes = [&](std::uint64_t mask) {
    closed |= falls & static_cast<std::uint32_t>(mask);
    registers_.close(closed);
    return (falls & mask) != 0;
  };
  if (closes(smmuv3::cr0::Smmuen::kMask)) {
    // From here on transactions follow GBPA. Those on their way end first, stalled ones at once.
    stalls_.terminate(std::nullopt);
    mmu_.drain();
    stalls_.terminate(std::nullopt);  // what has stalled since
  }
  if (closes(smmuv3::cr0::Eventqen::kMask)) event_queue_.drain();
  if (closes(smmuv3::cr0::Priqen::kMask)) pri_queue_.drain();
  if (closes(smmuv3::cr0::Cmdqen::kMask)) commands_.drain();
  // What software has written since comes next.
  registers_.set(reg::kCr0Ack, now);
  registers_.close(0);
  configs_.cache().forget_decoded();
  commands_.software_moved();
  stalls_.retry_unreported();
}

// ---- Broadcast TLB maintenance ---------------------------------------------------------------

bool Smmu::takes_part_in_broadcast() const {
  return smmuv3::cr2::Ptm::get(registers_.get(reg::kCr2)) == 0;
}

void Smmu::dvm_operation(const DvmOperation& operation) {
  if (!takes_part_in_broadcast()) return;
  arch::Invalidation what = arch::decode_tlbi(operation.op, operation.operand);
  // Private ASIDs (CD.ASET) are not the CPUs': messages by ASID do not mean them.
  what.spare_private_asids = true;
  mmu_.invalidate(what, InvalidationCause::kDvm, operation.id);
}

void Smmu::dvm_complete() {
  if (takes_part_in_broadcast()) mmu_.drain();
}

void Smmu::reset() {
  updating_ = false;
  registers_.reset();
  interrupts_.reset();
  mmu_.reset();
  configs_.reset();
  stalls_.reset();
  event_queue_.reset();
  pri_queue_.reset();
  commands_.reset();
}

}  // namespace shootdown::hw
