// Threads waiting for something; whoever implements Cpu decides what waking means.
#ifndef SHOOTDOWN_SW_KERNEL_WAIT_QUEUE_H
#define SHOOTDOWN_SW_KERNEL_WAIT_QUEUE_H

#include <vector>

namespace shootdown::sw {

class Waiter {
 public:
  virtual ~Waiter() = default;
  virtual void wake() = 0;
};

struct WaitQueue {
  std::vector<Waiter*> waiters;
};

}  // namespace shootdown::sw

#endif
