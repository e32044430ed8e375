// A thread of execution of the simulated kernel or of a user program: implements what a CPU offers
// software (sw::Cpu) on a simulated core.
//
// The latency of an instruction is spent before the next one, so that a tracepoint stands at the
// instant of the store it describes.
#ifndef SHOOTDOWN_COSIM_PLATFORM_TASK_H
#define SHOOTDOWN_COSIM_PLATFORM_TASK_H

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cosim/observe/event_log.h"
#include "cosim/platform/cpu_interrupts.h"
#include "cosim/platform/cpu_scheduler.h"
#include "hw/cpu/core.h"
#include "hw/sim/signal_board.h"
#include "hw/sim/simulation.h"
#include "sw/kernel/cpu.h"

namespace shootdown::cosim {

/// Higher runs first.
enum class Priority : int { kUser = 0, kWorker = 1, kInterruptThread = 2 };

class Task : public sw::Cpu, public sw::Waiter {
 public:
  struct Place {
    hw::Simulation& simulation;
    hw::CpuCore& core;
    CpuScheduler* scheduler;  ///< null: interrupt context, which needs no turn
    /// Of every CPU; sending an IPI raises the target's.
    const std::vector<std::unique_ptr<CpuInterrupts>>& interrupts;
    EventLog& log;
    unsigned cpu{};
    ActorId actor{};
    unsigned context_switch_cycles{};  ///< of HardwareConfig
    unsigned relax_cycles{};           ///< likewise
  };
  Task(const std::string& name, const Place& place, Priority priority,
       std::function<void(Task&)> body);

  void start();
  bool finished() const { return sim_thread_.finished(); }
  const hw::SimThread& sim_thread() const { return sim_thread_; }
  const std::string& name() const { return name_; }
  hw::CpuCore& core() { return place_.core; }
  ThreadId thread() const { return thread_; }
  void reset();

  /// A user access on this CPU. See hw::CpuCore::user_access().
  std::optional<hw::CpuFault> user_access(arch::VirtAddr va, arch::Access access,
                                          std::uint64_t& data, unsigned bytes);
  /// Blocks until a signal of the experiment is raised; others may have the CPU meanwhile.
  void wait_for(hw::SignalBoard& signals, unsigned signal);
  void delay(std::uint64_t cycles);

  unsigned id() const override { return place_.cpu; }
  std::uint64_t load(arch::PhysAddr address) override;
  void store(arch::PhysAddr address, std::uint64_t value) override;
  std::uint64_t compare_exchange(arch::PhysAddr address, std::uint64_t expected,
                                 std::uint64_t desired) override;
  void clear_page(arch::PhysAddr page) override;
  void copy_page(arch::PhysAddr to, arch::PhysAddr from) override;
  std::uint64_t mmio_read(arch::PhysAddr address, unsigned bytes) override;
  void mmio_write(arch::PhysAddr address, std::uint64_t value, unsigned bytes) override;
  void tlbi(arch::TlbiOp op, std::uint64_t operand) override;
  void dsb(sw::Barrier barrier) override;
  void isb() override;
  void tlbi_local(const arch::Invalidation& what) override;
  void local_irq_disable() override;
  void local_irq_enable() override;
  void send_ipi(unsigned target) override;
  void set_user_context(const sw::UserContext& context) override;
  void sleep_on(sw::WaitQueue& queue) override;
  void spin_on(sw::WaitQueue& queue) override;
  void wake_all(sw::WaitQueue& queue) override;
  void preempt_disable() override { ++preempt_count_; }
  void preempt_enable() override { --preempt_count_; }
  void cpu_relax() override;
  void before_lock() override;
  void at_function_entry() override;
  void trace(const sw::TraceEvent& event) override;

  /// Called whenever the thread has got its CPU, and before it gives it up: the kernel's context
  /// switch, for a thread that runs user code.
  void on_switch(std::function<void()> in, std::function<void()> out) {
    switch_in_ = std::move(in);
    switch_out_ = std::move(out);
  }

 private:
  void run();
  void wake() override;
  /// Spends what the last instruction cost and gives way to a thread that is more urgent.
  void next_instruction();
  void settle();
  void take_cpu();
  void give_cpu();
  void wait_until_woken(sw::WaitQueue& queue);
  void transfer(tlm::tlm_command command, arch::PhysAddr address, void* data, unsigned bytes);

  Place place_;
  std::string name_;
  Priority priority_;
  std::function<void(Task&)> body_;
  ThreadId thread_;
  hw::SimThread sim_thread_;
  sc_core::sc_time owed_;
  int preempt_count_{};
  bool woken_{};
  std::optional<sw::UserContext> context_;
  std::function<void()> switch_in_;
  std::function<void()> switch_out_;
  bool switching_{};
};

}  // namespace shootdown::cosim

#endif
