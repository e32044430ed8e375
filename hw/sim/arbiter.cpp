#include "hw/sim/arbiter.h"

#include <algorithm>

namespace shootdown::hw {

void Arbiter::acquire() {
  simulation_.choice(ChoiceKind::kArbiter);
  if (free_ != 0) {
    --free_;
    return;
  }
  SimThread& self = simulation_.current();
  queue_.push_back(&self);
  // release() hands its slot over: the slot stays taken and this thread leaves the queue.
  while (std::find(queue_.begin(), queue_.end(), &self) != queue_.end()) simulation_.block();
}

void Arbiter::release() {
  if (queue_.empty()) {
    ++free_;
    return;
  }
  SimThread* next = queue_.front();
  queue_.erase(queue_.begin());
  next->wake();
}

void Arbiter::reset() {
  free_ = slots_;
  queue_.clear();
}

}  // namespace shootdown::hw
