#include "hw/sim/wait_list.h"

#include <utility>

namespace shootdown::hw {

void WaitList::wait() {
  SimThread& self = simulation_.current();
  waiting_.push_back(&self);
  simulation_.block();
  std::erase(waiting_, &self);
}

void WaitList::wait_for_ps(std::uint64_t duration_ps) {
  SimThread& self = simulation_.current();
  waiting_.push_back(&self);
  simulation_.block_for_ps(duration_ps);
  std::erase(waiting_, &self);
}

void WaitList::wake_all() {
  auto waiting = std::exchange(waiting_, {});
  for (SimThread* thread : waiting) thread->wake();
}

}  // namespace shootdown::hw
