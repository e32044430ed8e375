#include "cosim/platform/cpu_scheduler.h"

#include <algorithm>

namespace shootdown::cosim {

void CpuScheduler::acquire(int priority) {
  simulation_.choice(hw::ChoiceKind::kArbiter);
  if (!taken_) {
    taken_ = true;
    return;
  }
  hw::SimThread& self = simulation_.current();
  const auto later = std::find_if(waiting_.begin(), waiting_.end(),
                                  [&](const Waiting& w) { return w.priority < priority; });
  waiting_.insert(later, {&self, priority});
  const auto queued = [&] {
    return std::any_of(waiting_.begin(), waiting_.end(),
                       [&](const Waiting& w) { return w.process == &self; });
  };
  // release() takes the next owner off the list and leaves the CPU taken.
  while (queued()) simulation_.block();
}

void CpuScheduler::release() {
  if (waiting_.empty()) {
    taken_ = false;
    return;
  }
  hw::SimThread* next = waiting_.front().process;
  waiting_.pop_front();
  next->wake();
}

}  // namespace shootdown::cosim
