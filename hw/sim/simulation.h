// Simulated threads on the SystemC kernel: abortable, restartable, counted.
//
// One elaboration serves many runs: a thread waits for start(), runs body() once, and waits again.
// Every blocking call goes through Simulation, so that abort_all() can unwind whatever a run was
// in the middle of. Nothing here is global: each platform owns one Simulation.
#ifndef SHOOTDOWN_HW_SIM_SIMULATION_H
#define SHOOTDOWN_HW_SIM_SIMULATION_H

#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <systemc>
#include <vector>

#include "hw/sim/choice.h"

namespace shootdown::hw {

class Simulation;

/// Unwinds a thread when its run is aborted. Never caught except by SimThread itself.
struct Aborted {};

/// A SystemC thread that can be run many times and aborted at every blocking point.
class SimThread : public sc_core::sc_module {
 public:
  /// `body` is what one run does; it may return. A thread that serves for ever never does.
  SimThread(Simulation& simulation, sc_core::sc_module_name name, std::function<void()> body);
  ~SimThread() override;
  SimThread(const SimThread&) = delete;
  SimThread& operator=(const SimThread&) = delete;

  /// Makes the thread run its body from the start, at the current time.
  void start();
  /// Wakes the thread if it is in Simulation::block(); a wake before the block is remembered.
  void wake();
  /// A number that the thread carries for whoever watches it; kNoLabel: none.
  static constexpr std::uint16_t kNoLabel = 0xffff;
  void set_label(std::uint16_t label) { label_ = label; }
  std::uint16_t label() const { return label_; }
  bool finished() const { return state_ == State::kIdle; }
  bool blocked() const { return state_ == State::kBlocked; }
  /// Ends Simulation::hold_ps() of this thread, now. Does nothing if it is not held.
  void end_hold();

 private:
  friend class Simulation;
  enum class State : std::uint8_t { kIdle, kRunning, kSleeping, kBlocked, kHeld };
  void main();
  void wait_for_event();

  Simulation& simulation_;
  std::function<void()> body_;
  sc_core::sc_event event_;
  State state_{State::kIdle};
  std::uint16_t label_{kNoLabel};
  bool wake_pending_{};
  bool start_pending_{};
  bool aborting_{};
  std::uint64_t ahead_ps_{};  // local time minus kernel time, below the quantum
};

/// The scheduler of one platform: which thread runs, time relative to the start of the run, and
/// the only blocking calls of the models.
class Simulation {
 public:
  explicit Simulation(sc_core::sc_time clock_period) : clock_period_(clock_period) {}
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;

  const sc_core::sc_time& clock_period() const { return clock_period_; }
  /// Picoseconds since the start of the run, as the running thread sees it. Read from SystemC when
  /// a SimThread is resumed: not for SystemC processes of other kinds.
  std::uint64_t now_ps() const {
    return current_ == nullptr ? kernel_ps_ : kernel_ps_ + current_->ahead_ps_;
  }
  /// Spends `cycles` clock periods in the running thread. Zero lets nobody else run, unless a
  /// chooser holds the thread here. With a quantum, a thread may run ahead of the others by less
  /// than it; without (the default) it never does.
  void sleep_cycles(std::uint64_t cycles) { sleep_ps(clock_period_.value() * cycles); }
  void sleep(const sc_core::sc_time& duration) { sleep_ps(duration.value()); }
  void sleep_ps(std::uint64_t duration_ps) {
    choice(ChoiceKind::kTime);
    SimThread& thread = *current_;
    const std::uint64_t ahead_ps = thread.ahead_ps_ + duration_ps;
    if (ahead_ps < quantum_ps_ && !thread.aborting_) {
      thread.ahead_ps_ = ahead_ps;
    } else {
      sleep_in_kernel(duration_ps);
    }
  }
  /// Spends cycles without giving way, whatever the quantum: what has just happened is published
  /// first. The next call that spends time gives way. Only while may_run_ahead().
  void run_ahead_cycles(std::uint64_t cycles) {
    current_->ahead_ps_ += clock_period_.value() * cycles;
  }
  /// Offers a choice before the running thread does something that may come later
  /// (hw/sim/choice.h).
  void choice(ChoiceKind kind, std::uint64_t address = 0) {
    if (chooser_ != nullptr) [[unlikely]]
      chooser_->choose({.kind = kind, .thread = *current_, .address = address});
  }
  /// Who decides at choice points, or null; outlives the run. Only without a quantum.
  void set_chooser(Chooser* chooser) { chooser_ = chooser; }
  /// Lets `duration_ps` pass in the running thread, less if SimThread::end_hold() is called. Wakes
  /// that come meanwhile are remembered. Only for a Chooser.
  void hold_ps(std::uint64_t duration_ps);
  /// Threads of the platform, in the order in which they were made.
  const std::vector<SimThread*>& threads() const { return threads_; }
  /// Gives up what the running thread is ahead of the others. Called before anything that orders:
  /// doorbells, barriers, signals.
  void synchronize();
  /// How far a thread may run ahead. Zero keeps every access in its exact order.
  void set_quantum(const sc_core::sc_time& quantum) { quantum_ps_ = quantum.value(); }
  bool may_run_ahead() const { return quantum_ps_ != 0; }
  /// Blocks the running thread until wake(). Returns at once if a wake is pending.
  void block() { block_for(std::nullopt); }
  /// As above, for at most `duration_ps`.
  void block_for_ps(std::uint64_t duration_ps) { block_for(duration_ps); }
  SimThread& current() const { return *current_; }
  /// The label of the running thread; SimThread::kNoLabel if none is running.
  std::uint16_t current_label() const {
    return current_ == nullptr ? SimThread::kNoLabel : current_->label();
  }

  /// Elaborates the design: every thread runs to its first wait. Once, before the first run.
  void elaborate();
  /// Starts a run at the current SystemC time.
  void begin_run();
  /// Asks run_until() to return as soon as the running thread blocks.
  void request_stop();
  bool stop_requested() const { return stop_requested_; }
  /// Advances until nothing is left to do, `limit_ps` of the run is reached or a stop is asked for.
  void run_until(std::uint64_t limit_ps);
  /// Whether nothing is due any more.
  bool quiet() const;
  /// When the next thing is due, in picoseconds of the run; now, if nothing is.
  std::uint64_t next_activity_ps() const;
  /// Unwinds every thread that is not idle. Afterwards all are idle and start() works again.
  void abort_all();
  /// Times any thread was resumed by the SystemC kernel since elaboration.
  std::uint64_t activations() const { return activations_; }
  /// An exception that left a thread body; rethrown by run_until().
  void fail(std::exception_ptr error);

 private:
  friend class SimThread;
  void sleep_in_kernel(std::uint64_t duration_ps);
  void block_for(std::optional<std::uint64_t> duration_ps);
  void start_systemc(const sc_core::sc_time& duration, sc_core::sc_starvation_policy policy);
  void read_kernel_time() { kernel_ps_ = (sc_core::sc_time_stamp() - run_start_).value(); }
  void resumed(SimThread& thread) {
    current_ = &thread;
    ++activations_;
    read_kernel_time();
  }

  sc_core::sc_time clock_period_;
  std::uint64_t quantum_ps_{};
  sc_core::sc_time run_start_{sc_core::SC_ZERO_TIME};
  std::uint64_t kernel_ps_{};  // since run_start_, when a thread was last resumed
  std::vector<SimThread*> threads_;
  SimThread* current_{};
  std::uint64_t activations_{};
  Chooser* chooser_{};
  bool stop_requested_{};
  std::exception_ptr error_;
};

}  // namespace shootdown::hw

#endif
