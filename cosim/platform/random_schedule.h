// A schedule drawn from a seed: at a choice point a thread may be delayed, for a while that is
// drawn too.
//
// What is drawn: how often, how long, and one thread that is slower than the others, so that rare
// orders are met (after the idea of Burckhardt et al., "A Randomized Scheduler with Probabilistic
// Guarantees of Finding Bugs", ASPLOS 2010).
#ifndef SHOOTDOWN_COSIM_PLATFORM_RANDOM_SCHEDULE_H
#define SHOOTDOWN_COSIM_PLATFORM_RANDOM_SCHEDULE_H

#include <cstdint>

#include "hw/sim/simulation.h"

namespace shootdown::cosim {

class RandomSchedule : public hw::Chooser {
 public:
  explicit RandomSchedule(hw::Simulation& simulation) : simulation_(simulation) {}
  /// Sets the seed of the next run. The same seed gives the same delays.
  void set_seed(std::uint64_t seed);
  void choose(const hw::ChoicePoint& point) override;

 private:
  std::uint64_t next();
  unsigned points_to_next(unsigned one_in);

  hw::Simulation& simulation_;
  std::uint64_t state_{};
  unsigned one_in_{};            ///< a point in so many is one of delay, on average
  unsigned log2_longest_{};      ///< of the delays, in cycles
  unsigned left_{};              ///< points until the next delay
  unsigned left_of_slow_{};      ///< likewise of the slow thread
  const hw::SimThread* slow_{};  ///< which thread is slow
};

}  // namespace shootdown::cosim

#endif
