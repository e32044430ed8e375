// Interrupts of one CPU: pending, switched off by software, or being handled.
#ifndef SHOOTDOWN_COSIM_PLATFORM_CPU_INTERRUPTS_H
#define SHOOTDOWN_COSIM_PLATFORM_CPU_INTERRUPTS_H

#include "hw/sim/simulation.h"
#include "hw/sim/wait_list.h"

namespace shootdown::cosim {

class CpuInterrupts {
 public:
  explicit CpuInterrupts(hw::Simulation& simulation) : changed_(simulation) {}

  // The thread that runs on the CPU. Switching off waits for a handler that is at work.
  void disable() {
    while (handling_) changed_.wait();
    ++off_;
  }
  void enable() {
    --off_;
    changed_.wake_all();
  }
  void raise() {
    pending_ = true;
    changed_.wake_all();
  }

  // The handler.
  void take() {
    while (!pending_ || off_ != 0) changed_.wait();
    pending_ = false;
    handling_ = true;
  }
  void end() {
    handling_ = false;
    changed_.wake_all();
  }
  bool pending() const { return pending_; }
  void reset() {
    off_ = 0;
    pending_ = handling_ = false;
    changed_.reset();
  }

 private:
  hw::WaitList changed_;
  int off_{};
  bool pending_{};
  bool handling_{};
};

}  // namespace shootdown::cosim

#endif
