#include "hw/sim/simulation.h"

#include <algorithm>
#include <utility>

#ifdef __SANITIZE_ADDRESS__
#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace shootdown::hw {

namespace {

constexpr std::size_t kStackBytes = 512 * 1024;

/// Before anything runs on a stack: red zones are still marked there of frames that an abort has
/// unwound, or of the stack of an earlier simulation that was at this place.
void forget_red_zones() {
#ifdef __SANITIZE_ADDRESS__
  constexpr std::size_t kUsed = 16 * 1024;  // more than the frames above this one
  char here = 0;
  __asan_unpoison_memory_region(&here - (kStackBytes - kUsed), kStackBytes - kUsed);
#endif
}

}  // namespace

SimThread::SimThread(Simulation& simulation, sc_core::sc_module_name name,
                     std::function<void()> body)
    : sc_core::sc_module(name), simulation_(simulation), body_(std::move(body)), event_("wake") {
  SC_HAS_PROCESS(SimThread);
  SC_THREAD(main);
  set_stack_size(kStackBytes);
  simulation_.threads_.push_back(this);
}

SimThread::~SimThread() {
  std::erase(simulation_.threads_, this);
  if (simulation_.current_ == this) simulation_.current_ = nullptr;
}

void SimThread::main() {
  for (;;) {
    while (!start_pending_) {
      state_ = State::kIdle;
      sc_core::wait(event_);
    }
    start_pending_ = false;
    state_ = State::kRunning;
    simulation_.resumed(*this);
    forget_red_zones();
    try {
      body_();
    } catch (const Aborted&) {
    } catch (...) {
      // An exception must not leave an SC_THREAD: it is carried to run_until()'s caller.
      simulation_.fail(std::current_exception());
    }
    aborting_ = false;
    wake_pending_ = false;
    ahead_ps_ = 0;
  }
}

void SimThread::start() {
  start_pending_ = true;
  // A thread that is still running looks for it when it has finished.
  if (state_ == State::kIdle) event_.notify(sc_core::SC_ZERO_TIME);
}

void SimThread::wake() {
  if (state_ == State::kBlocked) {
    event_.notify(sc_core::SC_ZERO_TIME);
  } else {
    wake_pending_ = true;
  }
}

void SimThread::wait_for_event() {
  sc_core::wait(event_);
  state_ = State::kRunning;
  simulation_.resumed(*this);
  if (aborting_) throw Aborted{};
}

void Simulation::start_systemc(const sc_core::sc_time& duration,
                               sc_core::sc_starvation_policy policy) {
  sc_core::sc_start(duration, policy);
  read_kernel_time();
#ifdef __SANITIZE_ADDRESS__
  // SystemC's switch back to the main stack tells AddressSanitizer that this stack has no bounds,
  // and the next exception thrown there would be reported as an overflow: say them again.
  pthread_attr_t attributes;
  void* bottom = nullptr;
  std::size_t size = 0;
  pthread_getattr_np(pthread_self(), &attributes);
  pthread_attr_getstack(&attributes, &bottom, &size);
  pthread_attr_destroy(&attributes);
  void* fake_stack = nullptr;
  __sanitizer_start_switch_fiber(&fake_stack, bottom, size);
  __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#endif
}

void Simulation::sleep_in_kernel(std::uint64_t duration_ps) {
  if (duration_ps == 0) return;
  SimThread& thread = *current_;
  if (thread.aborting_) throw Aborted{};
  thread.ahead_ps_ += duration_ps;
  synchronize();
}

void Simulation::synchronize() {
  SimThread& thread = *current_;
  if (thread.ahead_ps_ == 0) return;
  thread.state_ = SimThread::State::kSleeping;
  thread.event_.notify(sc_core::sc_time::from_value(std::exchange(thread.ahead_ps_, 0)));
  thread.wait_for_event();
}

void Simulation::block_for(std::optional<std::uint64_t> duration_ps) {
  synchronize();
  SimThread& thread = *current_;
  if (thread.aborting_) throw Aborted{};
  if (thread.wake_pending_) {
    thread.wake_pending_ = false;
    return;
  }
  thread.state_ = SimThread::State::kBlocked;
  // An earlier wake replaces the later notification.
  if (duration_ps) thread.event_.notify(sc_core::sc_time::from_value(*duration_ps));
  thread.wait_for_event();
}

void Simulation::hold_ps(std::uint64_t duration_ps) {
  SimThread& thread = *current_;
  if (thread.aborting_) throw Aborted{};
  if (duration_ps == 0) return;
  thread.state_ = SimThread::State::kHeld;
  thread.event_.notify(sc_core::sc_time::from_value(duration_ps));
  thread.wait_for_event();
}

void SimThread::end_hold() {
  if (state_ == State::kHeld) event_.notify(sc_core::SC_ZERO_TIME);
}

void Simulation::elaborate() { start_systemc(sc_core::SC_ZERO_TIME, sc_core::SC_RUN_TO_TIME); }

void Simulation::begin_run() {
  run_start_ = sc_core::sc_time_stamp();
  kernel_ps_ = 0;
  stop_requested_ = false;
  error_ = nullptr;
}

void Simulation::request_stop() {
  stop_requested_ = true;
  sc_core::sc_pause();
}

void Simulation::run_until(std::uint64_t limit_ps) {
  const auto now = now_ps();
  if (now < limit_ps) {
    start_systemc(sc_core::sc_time::from_value(limit_ps - now), sc_core::SC_EXIT_ON_STARVATION);
  }
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

bool Simulation::quiet() const { return !sc_core::sc_pending_activity(); }

std::uint64_t Simulation::next_activity_ps() const {
  const std::uint64_t now = (sc_core::sc_time_stamp() - run_start_).value();
  return quiet() ? now : now + sc_core::sc_time_to_pending_activity().value();
}

void Simulation::fail(std::exception_ptr error) {
  if (!error_) error_ = std::move(error);
  request_stop();
}

void Simulation::abort_all() {
  bool any = false;
  for (SimThread* thread : threads_) {
    thread->start_pending_ = false;
    if (thread->finished()) continue;
    any = true;
    thread->aborting_ = true;
    thread->event_.cancel();
    thread->event_.notify(sc_core::SC_ZERO_TIME);
  }
  // The unwinding takes deltas, not time.
  if (any) start_systemc(sc_core::SC_ZERO_TIME, sc_core::SC_RUN_TO_TIME);
  while (sc_core::sc_pending_activity_at_current_time()) {
    start_systemc(sc_core::SC_ZERO_TIME, sc_core::SC_RUN_TO_TIME);
  }
  for (SimThread* thread : threads_) {
    thread->event_.cancel();
    thread->wake_pending_ = false;
    thread->start_pending_ = false;
    thread->aborting_ = false;
  }
}

}  // namespace shootdown::hw
