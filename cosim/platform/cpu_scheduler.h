// Which thread of execution has a simulated CPU. By priority, then first come, first served; a
// thread gives way at its next instruction unless it has disabled preemption.
#ifndef SHOOTDOWN_COSIM_PLATFORM_CPU_SCHEDULER_H
#define SHOOTDOWN_COSIM_PLATFORM_CPU_SCHEDULER_H

#include <deque>

#include "hw/sim/simulation.h"

namespace shootdown::cosim {

class CpuScheduler {
 public:
  explicit CpuScheduler(hw::Simulation& simulation) : simulation_(simulation) {}

  /// Blocks the running process until it has the CPU.
  void acquire(int priority);
  void release();
  /// Whether a thread of higher priority waits.
  bool wanted_above(int priority) const {
    return !waiting_.empty() && waiting_.front().priority > priority;
  }
  void reset() {
    taken_ = false;
    waiting_.clear();
  }

 private:
  struct Waiting {
    hw::SimThread* process{};
    int priority{};
  };
  hw::Simulation& simulation_;
  bool taken_{};
  std::deque<Waiting> waiting_;  // highest priority first
};

}  // namespace shootdown::cosim

#endif
