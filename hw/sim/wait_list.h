// Waiting in simulated time for a condition of the model.
#ifndef SHOOTDOWN_HW_SIM_WAIT_LIST_H
#define SHOOTDOWN_HW_SIM_WAIT_LIST_H

#include <cstdint>
#include <vector>

#include "hw/sim/simulation.h"

namespace shootdown::hw {

/// Processes that wait for a condition. The waiter re-checks its condition after each wake.
class WaitList {
 public:
  explicit WaitList(Simulation& simulation) : simulation_(simulation) {}
  /// Blocks the running thread until the next wake_all().
  void wait();
  /// As wait(), for at most `duration_ps`.
  void wait_for_ps(std::uint64_t duration_ps);
  void wake_all();
  void reset() { waiting_.clear(); }
  bool empty() const { return waiting_.empty(); }

 private:
  Simulation& simulation_;
  std::vector<SimThread*> waiting_;
};

}  // namespace shootdown::hw

#endif
