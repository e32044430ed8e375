#include "cosim/platform/task.h"

#include <algorithm>
#include <array>
#include <utility>

#include "hw/arch/check.h"

namespace shootdown::cosim {

namespace {
constexpr unsigned kLineBytes = 64;

/// TTBR0 and TCR of a process: only its lower half.
hw::Stage1Context stage1_of(const sw::UserContext& context) {
  hw::Stage1Context stage1;
  stage1.space.asid = context.asid;
  stage1.half[0].ttb = context.pgd;
  stage1.half[0].tsz = context.t0sz;
  return stage1;
}

}  // namespace

Task::Task(const std::string& name, const Place& place, Priority priority,
           std::function<void(Task&)> body)
    : place_(place),
      name_(name),
      priority_(priority),
      body_(std::move(body)),
      thread_(place.log.add_actor(ActorRole::kThread, name, place.actor)),
      sim_thread_(place.simulation, ("thread_" + name).c_str(), [this] { run(); }) {
  sim_thread_.set_label(thread_);
}

void Task::start() { sim_thread_.start(); }

void Task::reset() {
  owed_ = sc_core::SC_ZERO_TIME;
  preempt_count_ = 0;
  woken_ = false;
  switching_ = false;
  switch_in_ = switch_out_ = nullptr;
  context_.reset();
  flush_depth = 0;
}

void Task::run() {
  take_cpu();
  body_(*this);
  settle();
  give_cpu();
}

void Task::take_cpu() {
  if (place_.scheduler == nullptr) return;
  place_.scheduler->acquire(static_cast<int>(priority_));
  // Kernel threads run in whatever user context is there.
  if (context_) {
    place_.core.set_context(stage1_of(*context_));
  }
  if (!switch_in_ || switching_) return;
  switching_ = true;
  ++preempt_count_;
  switch_in_();
  --preempt_count_;
  switching_ = false;
}

void Task::give_cpu() {
  if (place_.scheduler == nullptr) return;
  if (switch_out_ && !switching_) switch_out_();
  place_.scheduler->release();
}

void Task::settle() { place_.simulation.sleep(std::exchange(owed_, sc_core::SC_ZERO_TIME)); }

void Task::next_instruction() {
  settle();
  if (place_.scheduler == nullptr || preempt_count_ != 0 ||
      !place_.scheduler->wanted_above(static_cast<int>(priority_))) {
    return;
  }
  give_cpu();
  take_cpu();
}

// ---- Memory ----------------------------------------------------------------------------------

void Task::transfer(tlm::tlm_command command, arch::PhysAddr address, void* data, unsigned bytes) {
  next_instruction();
  const bool ok = place_.core.bus.transport(command, address, data, bytes, owed_);
  SHOOTDOWN_CHECK(ok, "kernel access outside memory");
}

std::uint64_t Task::load(arch::PhysAddr address) {
  std::uint64_t value = 0;
  transfer(tlm::TLM_READ_COMMAND, address, &value, 8);
  return value;
}

void Task::store(arch::PhysAddr address, std::uint64_t value) {
  transfer(tlm::TLM_WRITE_COMMAND, address, &value, 8);
}

std::uint64_t Task::compare_exchange(arch::PhysAddr address, std::uint64_t expected,
                                     std::uint64_t desired) {
  next_instruction();
  std::uint64_t found = expected;
  const bool ok = place_.core.bus.compare_exchange(address, found, desired, owed_);
  SHOOTDOWN_CHECK(ok, "kernel access outside memory");
  return found;
}

void Task::clear_page(arch::PhysAddr page) {
  next_instruction();
  std::array<std::uint8_t, arch::kPageSize> zeroes{};
  const bool ok = place_.core.bus.transport(tlm::TLM_WRITE_COMMAND, page, zeroes.data(),
                                            arch::kPageSize, owed_);
  SHOOTDOWN_CHECK(ok, "kernel access outside memory");
  // Stores of whole lines, one a cycle.
  owed_ += place_.simulation.clock_period() * (arch::kPageSize / kLineBytes);
}

void Task::copy_page(arch::PhysAddr to, arch::PhysAddr from) {
  next_instruction();
  std::array<std::uint8_t, arch::kPageSize> data{};
  const bool read =
      place_.core.bus.transport(tlm::TLM_READ_COMMAND, from, data.data(), arch::kPageSize, owed_);
  const bool written =
      place_.core.bus.transport(tlm::TLM_WRITE_COMMAND, to, data.data(), arch::kPageSize, owed_);
  SHOOTDOWN_CHECK(read && written, "kernel access outside memory");
  owed_ += place_.simulation.clock_period() * (2 * arch::kPageSize / kLineBytes);
}

std::uint64_t Task::mmio_read(arch::PhysAddr address, unsigned bytes) {
  std::uint64_t value = 0;
  transfer(tlm::TLM_READ_COMMAND, address, &value, bytes);
  settle();  // the value has to travel back before anything depends on it
  return value;
}

void Task::mmio_write(arch::PhysAddr address, std::uint64_t value, unsigned bytes) {
  next_instruction();
  place_.simulation.synchronize();
  transfer(tlm::TLM_WRITE_COMMAND, address, &value, bytes);
}

// ---- TLB maintenance -------------------------------------------------------------------------

void Task::tlbi(arch::TlbiOp op, std::uint64_t operand) {
  next_instruction();
  place_.core.tlbi(op, operand);
}

void Task::dsb(sw::Barrier barrier) {
  next_instruction();
  // Stores are visible at once: a barrier for stores only has nothing to wait for.
  if (barrier == sw::Barrier::kIsh) place_.core.dsb();
}

void Task::isb() { next_instruction(); }

void Task::tlbi_local(const arch::Invalidation& what) {
  next_instruction();
  place_.core.tlbi_local(what);
}

void Task::local_irq_disable() {
  if (place_.scheduler == nullptr) return;  // a handler is not interrupted
  next_instruction();
  ++preempt_count_;
  place_.interrupts[place_.cpu]->disable();
}

void Task::local_irq_enable() {
  if (place_.scheduler == nullptr) return;
  place_.interrupts[place_.cpu]->enable();
  --preempt_count_;
}

void Task::send_ipi(unsigned target) {
  next_instruction();
  place_.simulation.choice(hw::ChoiceKind::kIpi);
  place_.interrupts[target]->raise();
}

void Task::set_user_context(const sw::UserContext& context) {
  next_instruction();
  context_ = context;
  place_.core.set_context(stage1_of(context));
  owed_ += place_.simulation.clock_period() * place_.context_switch_cycles;
}

// ---- Scheduling ------------------------------------------------------------------------------

void Task::wake() {
  woken_ = true;
  sim_thread_.wake();
}

void Task::wait_until_woken(sw::WaitQueue& queue) {
  woken_ = false;
  queue.waiters.push_back(this);
  while (!woken_) place_.simulation.block();
  std::erase(queue.waiters, this);
}

void Task::sleep_on(sw::WaitQueue& queue) {
  SHOOTDOWN_CHECK(preempt_count_ == 0, "sleeping with preemption disabled");
  // The condition was checked just now; spending time first could miss the wake.
  woken_ = false;
  queue.waiters.push_back(this);
  settle();
  give_cpu();
  while (!woken_) place_.simulation.block();
  std::erase(queue.waiters, this);
  take_cpu();
}

void Task::spin_on(sw::WaitQueue& queue) { wait_until_woken(queue); }

void Task::wake_all(sw::WaitQueue& queue) {
  const auto waiters = std::exchange(queue.waiters, {});
  for (sw::Waiter* waiter : waiters) waiter->wake();
}

void Task::cpu_relax() {
  next_instruction();
  place_.core.spend_cycles(place_.relax_cycles);
}

void Task::before_lock() { place_.simulation.choice(hw::ChoiceKind::kLock); }

void Task::at_function_entry() { place_.simulation.choice(hw::ChoiceKind::kFunction); }

void Task::trace(const sw::TraceEvent& event) {
  place_.log.append(place_.actor, thread_, Payloads::join(event));
}

// ---- User programs ---------------------------------------------------------------------------

std::optional<hw::CpuFault> Task::user_access(arch::VirtAddr va, arch::Access access,
                                              std::uint64_t& data, unsigned bytes) {
  next_instruction();
  return place_.core.user_access(va, access, data, bytes);
}

void Task::wait_for(hw::SignalBoard& signals, unsigned signal) {
  settle();
  place_.simulation.synchronize();
  if (signals.raised(signal)) return;
  give_cpu();
  signals.wait(signal);
  take_cpu();
}

void Task::delay(std::uint64_t cycles) {
  settle();
  give_cpu();
  place_.simulation.sleep_cycles(cycles);
  take_cpu();
}

}  // namespace shootdown::cosim
