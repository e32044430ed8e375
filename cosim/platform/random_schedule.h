// A schedule drawn from a seed: whoever publishes an event may be delayed there, for a while that
// is drawn too.
//
// As Schedule it subscribes last. What is drawn: how often, how long, and one actor or thread that
// is slower than the others, so that rare orders are met (after the idea of Burckhardt et al., "A
// Randomized Scheduler with Probabilistic Guarantees of Finding Bugs", ASPLOS 2010).
#ifndef SHOOTDOWN_COSIM_PLATFORM_RANDOM_SCHEDULE_H
#define SHOOTDOWN_COSIM_PLATFORM_RANDOM_SCHEDULE_H

#include <cstdint>
#include <optional>

#include "cosim/observe/event_log.h"
#include "hw/sim/simulation.h"

namespace shootdown::cosim {

class RandomSchedule : public EventSubscriber {
 public:
  RandomSchedule(hw::Simulation& simulation, const EventLog& log)
      : simulation_(simulation), log_(log) {}
  /// Of the next run. The same seed gives the same delays.
  void set_seed(std::uint64_t seed);
  EventKinds interests() const override;
  void on_event(const Event& event) override;

 private:
  std::uint64_t next();

  hw::Simulation& simulation_;
  const EventLog& log_;
  std::uint64_t state_{};
  unsigned one_in_{};        ///< an event in so many is a point of delay
  unsigned log2_longest_{};  ///< of the delays, in cycles
  std::uint64_t slow_{};     ///< which actor or thread is slow
};

}  // namespace shootdown::cosim

#endif
