// Builds the machine a configuration describes, binds its parts, and runs it any number of times.
//
// A platform has a SystemC kernel of its own, so that many can be made in one process, one after
// the other; each can be run many times, from the same initial state.
#ifndef SHOOTDOWN_COSIM_PLATFORM_PLATFORM_H
#define SHOOTDOWN_COSIM_PLATFORM_PLATFORM_H

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cosim/config/config.h"
#include "cosim/observe/event_log.h"
#include "cosim/platform/cpu_scheduler.h"
#include "cosim/platform/operations.h"
#include "cosim/platform/random_schedule.h"
#include "cosim/platform/schedule.h"
#include "cosim/platform/software_stack.h"
#include "cosim/platform/task.h"
#include "cosim/rtl/rtl_tlb_engine.h"
#include "hw/cpu/core.h"
#include "hw/device/dma_device.h"
#include "hw/interconnect/bus.h"
#include "hw/interconnect/dvm.h"
#include "hw/sim/sc_kernel.h"
#include "hw/sim/signal_board.h"
#include "hw/sim/simulation.h"
#include "hw/smmu/smmu.h"

namespace shootdown::cosim {

enum class RunEnd : std::uint8_t {
  kFinished,   ///< all programs have ended and nothing is left to do
  kStopped,    ///< a checker has seen enough
  kStuck,      ///< nothing is left to do, but a program has not ended
  kTimeLimit,  ///< simulated time
  kWallLimit,
};

class Platform {
 public:
  /// `config` outlives the platform.
  explicit Platform(const Config& config);
  ~Platform();
  Platform(const Platform&) = delete;
  Platform& operator=(const Platform&) = delete;

  EventLog& log() { return *log_; }
  hw::Simulation& simulation() { return *simulation_; }
  hw::Smmu& smmu() { return *smmu_; }
  hw::DmaDevice& device(std::size_t i) { return *devices_[i]; }
  RtlContext& rtl_context() { return *rtl_context_; }
  const std::vector<std::unique_ptr<RtlTlbEngine>>& rtl() const { return rtl_; }
  ActorId cpu_actor(unsigned cpu) const { return cpu_actors_[cpu]; }
  ActorId smmu_actor() const { return smmu_actor_; }
  ActorId device_actor(std::size_t i) const { return device_actors_[i]; }
  /// The device's own actor if it has no ATC.
  ActorId atc_actor(std::size_t i) const { return atc_actors_[i]; }

  /// The random schedule of the runs from here on, in the place of a written one.
  void set_random_schedule(std::uint64_t seed) { random_seed_ = seed; }
  /// Runs from reset to the end. Subscribers have to be in place.
  RunEnd run();
  /// Ends the run early, from a subscriber.
  void stop() { simulation_->request_stop(); }
  // After run().
  std::uint64_t simulated_ps() const { return simulated_ps_; }
  /// Threads that did not end, with the signal they wait for if it is one.
  const std::vector<std::string>& unfinished() const { return unfinished_; }
  /// What ended a program early.
  const std::vector<std::string>& remarks() const { return remarks_; }

 private:
  std::unique_ptr<RtlTlbEngine> make_rtl(const std::string& name, TlbModel model,
                                         const hw::TlbGeometry& geometry, ActorId actor);
  void probe(hw::EventPort& port, ActorId actor);
  void build_hardware();
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
  std::string signal_name(unsigned signal) const;
  /// False: the thread was killed.
  bool run_step(Task& task, const CpuThread& program, const CpuAccess& step);
  void reset();
  RunEnd advance();

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
  std::unique_ptr<RandomSchedule> random_schedule_;
  std::optional<std::uint64_t> random_seed_;
  std::unique_ptr<Schedule> schedule_;  // null without a written one
  std::unique_ptr<RtlContext> rtl_context_;
  std::vector<std::unique_ptr<RtlTlbEngine>> rtl_;
  std::vector<std::unique_ptr<hw::CpuCore>> cores_;
  std::unique_ptr<hw::Smmu> smmu_;
  std::vector<std::unique_ptr<hw::DmaDevice>> devices_;
  std::vector<ActorId> cpu_actors_;
  ActorId smmu_actor_{};
  std::vector<ActorId> device_actors_;
  std::vector<ActorId> atc_actors_;
  std::vector<std::unique_ptr<CpuScheduler>> schedulers_;
  std::unique_ptr<SoftwareStack> software_;
  std::unique_ptr<Task> boot_;
  std::unique_ptr<Task> event_thread_;
  std::unique_ptr<Task> fault_worker_;
  std::unique_ptr<Task> gerror_;
  std::unique_ptr<Task> rcu_;
  std::vector<std::unique_ptr<CpuInterrupts>> interrupts_;
  std::vector<std::unique_ptr<Task>> interrupt_handlers_;
  std::vector<std::unique_ptr<Task>> programs_;
  std::uint64_t simulated_ps_{};
  std::vector<std::string> unfinished_;
  std::vector<std::string> remarks_;
};

}  // namespace shootdown::cosim

#endif
