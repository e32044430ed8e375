#include "cosim/platform/replica_software.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cosim/observe/format.h"
#include "cosim/program/step.h"
#include "sw/mm/memory.h"
#include "sw/mm/mmap.h"

namespace shootdown::cosim {

namespace {

constexpr unsigned kInterruptCpu = 0;  // where the SMMU's interrupts and fault worker run

}  // namespace

ReplicaSoftware::ReplicaSoftware(const Config& config, Machine& machine)
    : config_(config), machine_(machine) {
  build_tasks();
}

void ReplicaSoftware::build_tasks() {
  for (unsigned cpu = 0; cpu < config_.hardware.cpus; ++cpu) {
    schedulers_.push_back(std::make_unique<CpuScheduler>(machine_.simulation()));
    interrupts_.push_back(std::make_unique<CpuInterrupts>(machine_.simulation()));
  }
  const auto place = [&](unsigned cpu, bool interrupt_context) {
    return Task::Place{.simulation = machine_.simulation(),
                       .core = *machine_.cores()[cpu],
                       .scheduler = interrupt_context ? nullptr : schedulers_[cpu].get(),
                       .interrupts = interrupts_,
                       .log = machine_.log(),
                       .cpu = cpu,
                       .actor = machine_.cpu_actor(cpu),
                       .context_switch_cycles = config_.hardware.context_switch_cycles,
                       .relax_cycles = config_.hardware.relax_cycles};
  };
  boot_ = std::make_unique<Task>("boot", place(0, false), Priority::kUser,
                                 [this](Task& task) { boot(task); });
  event_thread_ = std::make_unique<Task>(
      "evtq", place(kInterruptCpu, false), Priority::kInterruptThread, [this](Task& task) {
        for (;;) {
          while (!stack_->event_pending) task.sleep_on(stack_->event_interrupt());
          stack_->event_pending = false;
          stack_->smmu().evtq_thread(task, stack_->stalled_events());
          stack_->smmu().priq_thread(task);
        }
      });
  fault_worker_ = std::make_unique<Task>("iopf", place(kInterruptCpu, false), Priority::kWorker,
                                         [this](Task& task) { stack_->faults().worker(task); });
  gerror_ = std::make_unique<Task>("gerror", place(kInterruptCpu, true), Priority::kInterruptThread,
                                   [this](Task& task) { stack_->smmu().gerror_handler(task); });
  rcu_ = std::make_unique<Task>("rcu", place(kInterruptCpu, false), Priority::kWorker,
                                [this](Task& task) { stack_->kernel().rcu.thread(task); });
  for (unsigned cpu = 0; cpu < config_.hardware.cpus; ++cpu) {
    interrupt_handlers_.push_back(std::make_unique<Task>(
        fmt::format("ipi{}", cpu), place(cpu, true), Priority::kInterruptThread,
        [this](Task& task) { serve_interrupts(task); }));
  }
  const auto wake_event_thread = [this] {
    stack_->event_pending = true;
    event_thread_->wake_all(stack_->event_interrupt());
  };
  hw::SecondaryMmu& mmu = *machine_.mmus().front().model;
  mmu.connect_interrupt("event", wake_event_thread);
  mmu.connect_interrupt("pri", wake_event_thread);
  mmu.connect_interrupt("gerror", [this] { gerror_->start(); });
  for (std::size_t i = 0; i < config_.cpu_threads.size(); ++i) {
    const CpuThread& program = config_.cpu_threads[i];
    programs_.push_back(std::make_unique<Task>(program.name, place(program.cpu, false),
                                               Priority::kUser,
                                               [this, i](Task& task) { run_program(task, i); }));
  }
}

void ReplicaSoftware::serve_interrupts(Task& task) {
  CpuInterrupts& interrupts = *interrupts_[task.id()];
  for (;;) {
    interrupts.take();
    machine_.simulation().choice(hw::ChoiceKind::kIpi);
    task.core().spend_cycles(config_.hardware.ipi_latency_cycles);
    {
      const sw::FunctionTrace trace(task, "generic_smp_call_function_interrupt");
      stack_->kernel().smp.interrupt(task);
    }
    interrupts.end();
  }
}

// ---- Programs --------------------------------------------------------------------------------

void ReplicaSoftware::boot(Task& task) {
  stack_->boot(task);
  event_thread_->start();
  fault_worker_->start();
  rcu_->start();
  for (auto& handler : interrupt_handlers_) handler->start();
  for (auto& program : programs_) program->start();
  for (auto& device : machine_.devices()) device->start_program();
}

void ReplicaSoftware::load_context(Task& task, sw::Mm& mm) {
  if (stack_->tracks_cpus()) {
    // The kernel keeps books on what each CPU has loaded: every switch goes through it.
    task.on_switch([&task, &mm] { mm.arch.switch_mm(task, mm); },
                   [&task, &mm] { mm.arch.enter_lazy_tlb(task, mm); });
  }
  mm.arch.switch_mm(task, mm);
}

void ReplicaSoftware::exit_process(Task& task, std::size_t process) {
  // The other threads of the process have to end first, as exit_group() sees to.
  for (std::size_t i = 0; i < config_.cpu_threads.size(); ++i) {
    const bool other = config_.cpu_threads[i].process == process && programs_[i].get() != &task;
    if (other) task.wait_for(machine_.signals(), thread_ended_signal(i));
  }
  sw::exit_mmap(task, stack_->mm(process));
}

/// A thread of a program: what its steps need of the kernel, and where it is in them.
class ReplicaSoftware::Program : public StepHost {
 public:
  Program(ReplicaSoftware& software, Task& task, std::size_t number)
      : software_(software), task_(task), thread_(software.config_.cpu_threads[number]) {}

  /// False: the thread has ended before the steps have.
  bool run(const std::vector<CpuStep>& steps) {
    return std::all_of(steps.begin(), steps.end(), [&](const CpuStep& step) {
      return std::visit([&](const auto& one) { return run_step(one); }, step);
    });
  }

  sw::Cpu& cpu() override { return task_; }
  sw::KernelState& kernel() override { return stack().kernel(); }
  sw::Mm& mm() override { return stack().mm(thread_.process); }
  const RegionConfig& region(std::size_t number) override {
    return stack().region(thread_.process, number);
  }
  sw::File* file(std::size_t region) override { return stack().file(thread_.process, region); }
  sw::Vma vma_of(std::size_t region) override {
    return stack().vma_of(task_, thread_.process, region);
  }
  PinnedPages& pinned() override { return pinned_; }
  void fork(std::size_t child) override {
    stack().fork(task_, child);
    software_.machine_.signals().raise(software_.process_born_signal(child));
  }
  void exit() override { software_.exit_process(task_, thread_.process); }

 private:
  SoftwareStack& stack() { return *software_.stack_; }
  bool run_step(const Access& step) { return software_.run_access(task_, thread_, step); }
  bool run_step(const MemoryOperation& step) {
    const StepEnd end = step.kind->perform(*this, step);
    if (end == StepEnd::kFailed) {
      software_.remarks_.push_back(thread_.name + ": " + failure_of(step));
    }
    return end != StepEnd::kExited;
  }
  bool run_step(const Delay& step) {
    task_.delay(step.cycles);
    return true;
  }
  bool run_step(const WaitFor& step) {
    task_.wait_for(software_.machine_.signals(), step.signal);
    return true;
  }
  bool run_step(const Signal& step) {
    task_.delay(0);
    software_.machine_.signals().raise(step.signal);
    return true;
  }
  bool run_step(const Repeat& step) {
    for (std::uint64_t i = 0; i < step.times; ++i) {
      if (!run(step.steps)) return false;
    }
    return true;
  }

  ReplicaSoftware& software_;
  Task& task_;
  const CpuThread& thread_;
  PinnedPages pinned_;
};

void ReplicaSoftware::run_program(Task& task, std::size_t number) {
  const CpuThread& thread = config_.cpu_threads[number];
  if (config_.processes[thread.process].fork_of) {
    task.wait_for(machine_.signals(), process_born_signal(thread.process));
  }
  load_context(task, stack_->mm(thread.process));
  Program(*this, task, number).run(thread.steps);
  task.delay(0);
  machine_.signals().raise(thread_ended_signal(number));
}

bool ReplicaSoftware::run_access(Task& task, const CpuThread& program, const Access& step) {
  sw::Mm& mm = stack_->mm(program.process);
  for (std::uint64_t i = 0; i < step.count; ++i) {
    const arch::VirtAddr va = step.va + i * step.stride_bytes;
    std::uint64_t data = step.value;
    while (task.user_access(va, step.access, data, step.bytes)) {
      const bool write = step.access == arch::Access::kWrite;
      switch (sw::fault_in(task, mm, va, {.write = write, .remote = false})) {
        case sw::VmFault::kHandled:
          break;
        case sw::VmFault::kOom:
          SoftwareStack::out_of_memory();
        case sw::VmFault::kWaitUserfault:
        case sw::VmFault::kWaitMigration:
        case sw::VmFault::kSigsegv:
          remarks_.push_back(
              fmt::format("{}: SIGSEGV at {}, the thread ends here", program.name, hex(va)));
          return false;
      }
    }
  }
  return true;
}

unsigned signals_of(const Config& config) {
  return static_cast<unsigned>(config.signals.size() + config.processes.size() +
                               config.cpu_threads.size());
}

std::string signal_name(const Config& config, unsigned signal) {
  if (signal < config.signals.size()) return "signal " + config.signals[signal];
  signal -= static_cast<unsigned>(config.signals.size());
  if (signal < config.processes.size()) return "the fork of " + config.processes[signal].name;
  signal -= static_cast<unsigned>(config.processes.size());
  return "the end of " + config.cpu_threads[signal].name;
}

// ---- A run -----------------------------------------------------------------------------------

void ReplicaSoftware::reset() {
  for (auto& scheduler : schedulers_) scheduler->reset();
  for (Task* task :
       {boot_.get(), event_thread_.get(), fault_worker_.get(), gerror_.get(), rcu_.get()}) {
    task->reset();
  }
  for (auto& handler : interrupt_handlers_) handler->reset();
  for (auto& interrupts : interrupts_) interrupts->reset();
  for (auto& program : programs_) program->reset();
  remarks_.clear();
  stack_ = std::make_unique<SoftwareStack>(config_, machine_.mmus().front().registers);
}

std::vector<std::string> ReplicaSoftware::unfinished() const {
  std::vector<std::string> names;
  for (const auto& program : programs_) {
    if (program->finished()) continue;
    const auto signal = machine_.signals().awaited_by(program->sim_thread());
    names.push_back(
        signal ? fmt::format("{} (waits for {})", program->name(), signal_name(config_, *signal))
               : program->name());
  }
  return names;
}

}  // namespace shootdown::cosim
