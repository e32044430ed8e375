// The replica of Linux as the software of a machine: kernel threads, interrupt handlers, and the
// programs of the configuration, on simulated CPUs.
#ifndef SHOOTDOWN_COSIM_PLATFORM_REPLICA_SOFTWARE_H
#define SHOOTDOWN_COSIM_PLATFORM_REPLICA_SOFTWARE_H

#include <memory>
#include <string>
#include <vector>

#include "cosim/platform/cpu_scheduler.h"
#include "cosim/platform/software.h"
#include "cosim/platform/software_stack.h"
#include "cosim/platform/task.h"

namespace shootdown::cosim {

/// How many signals the board needs: those of the configuration, a birth for each process and an
/// end for each thread.
unsigned signals_of(const Config& config);
std::string signal_name(const Config& config, unsigned signal);

class ReplicaSoftware : public Software {
 public:
  /// Both outlive it.
  ReplicaSoftware(const Config& config, Machine& machine);

  void reset() override;
  void start() override { boot_->start(); }
  std::vector<std::string> unfinished() const override;
  const std::vector<std::string>& remarks() const override { return remarks_; }

 private:
  class Program;
  void build_tasks();
  void boot(Task& task);
  [[noreturn]] void serve_interrupts(Task& task);
  void run_program(Task& task, std::size_t number);
  void load_context(Task& task, sw::Mm& mm);
  void exit_process(Task& task, std::size_t process);
  // Signals beyond those of the configuration.
  unsigned process_born_signal(std::size_t process) const {
    return static_cast<unsigned>(config_.signals.size() + process);
  }
  unsigned thread_ended_signal(std::size_t thread) const {
    return static_cast<unsigned>(config_.signals.size() + config_.processes.size() + thread);
  }
  /// False: the thread was killed.
  bool run_access(Task& task, const CpuThread& program, const Access& step);

  const Config& config_;
  Machine& machine_;
  std::vector<std::unique_ptr<CpuScheduler>> schedulers_;
  std::unique_ptr<SoftwareStack> stack_;  // made anew for each run
  std::unique_ptr<Task> boot_;
  std::unique_ptr<Task> event_thread_;
  std::unique_ptr<Task> fault_worker_;
  std::unique_ptr<Task> gerror_;
  std::unique_ptr<Task> rcu_;
  std::vector<std::unique_ptr<CpuInterrupts>> interrupts_;
  std::vector<std::unique_ptr<Task>> interrupt_handlers_;
  std::vector<std::unique_ptr<Task>> programs_;
  std::vector<std::string> remarks_;
};

}  // namespace shootdown::cosim

#endif
