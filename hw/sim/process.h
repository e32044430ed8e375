// Simulated processes on the SystemC kernel: abortable, restartable, counted.
//
// One elaboration serves many runs: a process waits for start(), runs body() once, and waits again.
// Every blocking call goes through Simulation, so that abort_all() can unwind whatever a run was
// in the middle of. Nothing here is global: each platform owns one Simulation.
#ifndef SHOOTDOWN_HW_SIM_PROCESS_H
#define SHOOTDOWN_HW_SIM_PROCESS_H

#include <cstdint>
#include <exception>
#include <functional>
#include <systemc>
#include <vector>

namespace shootdown::hw {

class Simulation;

/// Unwinds a process when its run is aborted. Never caught except by Process itself.
struct Aborted {};

/// A SystemC thread that can be run many times and aborted at every blocking point.
class Process : public sc_core::sc_module {
 public:
  /// `body` is what one run does; it may return. A process that serves for ever never does.
  Process(Simulation& simulation, sc_core::sc_module_name name, std::function<void()> body);
  ~Process() override;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  /// Makes the process run its body from the start, at the current time.
  void start();
  /// Wakes the process if it is in Simulation::block(); a wake before the block is remembered.
  void wake();
  bool finished() const { return state_ == State::kIdle; }
  bool blocked() const { return state_ == State::kBlocked; }

 private:
  friend class Simulation;
  enum class State : std::uint8_t { kIdle, kRunning, kSleeping, kBlocked };
  void main();
  void wait_for_event();

  Simulation& simulation_;
  std::function<void()> body_;
  sc_core::sc_event event_;
  State state_{State::kIdle};
  bool wake_pending_{};
  bool start_pending_{};
  bool aborting_{};
  std::uint64_t ahead_ps_{};  // local time minus kernel time, below the quantum
};

/// The scheduler of one platform: which process runs, time relative to the start of the run, and
/// the only blocking calls of the models.
class Simulation {
 public:
  explicit Simulation(sc_core::sc_time clock_period) : clock_period_(clock_period) {}
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;

  const sc_core::sc_time& clock_period() const { return clock_period_; }
  /// Picoseconds since the start of the run, as the running process sees it. Read from SystemC when
  /// a Process is resumed: not for SystemC processes of other kinds.
  std::uint64_t now_ps() const {
    return current_ == nullptr ? kernel_ps_ : kernel_ps_ + current_->ahead_ps_;
  }
  /// Spends `cycles` clock periods in the running process. Zero does not block. With a quantum, a
  /// process may run ahead of the others by less than it; without (the default) it never does.
  void sleep_cycles(std::uint64_t cycles) { sleep_ps(clock_period_.value() * cycles); }
  void sleep(const sc_core::sc_time& duration) { sleep_ps(duration.value()); }
  void sleep_ps(std::uint64_t duration_ps) {
    Process& process = *current_;
    const std::uint64_t ahead_ps = process.ahead_ps_ + duration_ps;
    if (ahead_ps < quantum_ps_ && !process.aborting_) {
      process.ahead_ps_ = ahead_ps;
    } else {
      sleep_in_kernel(duration_ps);
    }
  }
  /// Spends cycles without giving way, whatever the quantum: what has just happened is published
  /// first. The next call that spends time gives way. Only while may_run_ahead().
  void run_ahead_cycles(std::uint64_t cycles) {
    current_->ahead_ps_ += clock_period_.value() * cycles;
  }
  /// Gives up what the running process is ahead of the others. Called before anything that orders:
  /// doorbells, barriers, signals.
  void synchronize();
  /// How far a process may run ahead. Zero keeps every access in its exact order.
  void set_quantum(const sc_core::sc_time& quantum) { quantum_ps_ = quantum.value(); }
  bool may_run_ahead() const { return quantum_ps_ != 0; }
  /// Blocks the running process until wake(). Returns at once if a wake is pending.
  void block();
  /// The same for at most `duration_ps`.
  void block_for_ps(std::uint64_t duration_ps);
  Process& current() const { return *current_; }

  /// Elaborates the design: every process runs to its first wait. Once, before the first run.
  void elaborate();
  /// Starts a run at the current SystemC time.
  void begin_run();
  /// Asks run_until() to return as soon as the running process blocks.
  void request_stop();
  bool stop_requested() const { return stop_requested_; }
  /// Advances until nothing is left to do, `limit_ps` of the run is reached or a stop is asked for.
  void run_until(std::uint64_t limit_ps);
  /// Whether nothing is due any more.
  bool quiet() const;
  /// When the next thing is due, in picoseconds of the run; now, if nothing is.
  std::uint64_t next_activity_ps() const;
  /// Unwinds every process that is not idle. Afterwards all are idle and start() works again.
  void abort_all();
  /// Times any process was resumed by the SystemC kernel since elaboration.
  std::uint64_t activations() const { return activations_; }
  /// An exception that left a process body; rethrown by run_until().
  void fail(std::exception_ptr error);

 private:
  friend class Process;
  void sleep_in_kernel(std::uint64_t duration_ps);
  void start_systemc(const sc_core::sc_time& duration, sc_core::sc_starvation_policy policy);
  void read_kernel_time() { kernel_ps_ = (sc_core::sc_time_stamp() - run_start_).value(); }
  void resumed(Process& process) {
    current_ = &process;
    ++activations_;
    read_kernel_time();
  }

  sc_core::sc_time clock_period_;
  std::uint64_t quantum_ps_{};
  sc_core::sc_time run_start_{sc_core::SC_ZERO_TIME};
  std::uint64_t kernel_ps_{};  // since run_start_, when a process was last resumed
  std::vector<Process*> processes_;
  Process* current_{};
  std::uint64_t activations_{};
  bool stop_requested_{};
  std::exception_ptr error_;
};

/// A hardware resource of which `slots` processes may hold one each; first come, first served.
class Arbiter {
 public:
  explicit Arbiter(Simulation& simulation, unsigned slots = 1)
      : simulation_(simulation), slots_(slots), free_(slots) {}
  void acquire();
  void release();
  void reset();

 private:
  Simulation& simulation_;
  unsigned slots_;
  unsigned free_;
  std::vector<Process*> queue_;
};

/// Holds one slot of an arbiter for a scope.
class ArbiterHold {
 public:
  explicit ArbiterHold(Arbiter& arbiter) : arbiter_(arbiter) { arbiter_.acquire(); }
  ~ArbiterHold() { arbiter_.release(); }
  ArbiterHold(const ArbiterHold&) = delete;
  ArbiterHold& operator=(const ArbiterHold&) = delete;

 private:
  Arbiter& arbiter_;
};

/// Processes that wait for a condition. The waiter re-checks its condition after each wake.
class WaitList {
 public:
  explicit WaitList(Simulation& simulation) : simulation_(simulation) {}
  /// Blocks the running process until the next wake_all().
  void wait();
  /// The same for at most `duration_ps`.
  void wait_for_ps(std::uint64_t duration_ps);
  void wake_all();
  void reset() { waiting_.clear(); }
  bool empty() const { return waiting_.empty(); }

 private:
  Simulation& simulation_;
  std::vector<Process*> waiting_;
};

}  // namespace shootdown::hw

#endif
