// A machine, its software and an order of things, put together: runs any number of times.
//
// A platform has a SystemC kernel of its own, so that many can be made in one process, one after
// the other; each can be run many times, from the same initial state.
#ifndef SHOOTDOWN_COSIM_PLATFORM_PLATFORM_H
#define SHOOTDOWN_COSIM_PLATFORM_PLATFORM_H

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cosim/platform/machine.h"
#include "cosim/platform/random_schedule.h"
#include "cosim/platform/schedule.h"
#include "cosim/platform/software.h"

namespace shootdown::cosim {

enum class RunEnd : std::uint8_t {
  kFinished,   ///< all programs have ended and nothing is left to do
  kStopped,    ///< a checker has seen enough
  kStuck,      ///< nothing is left to do, but a program has not ended
  kTimeLimit,  ///< simulated time
  kWallLimit,
};

class Platform {
 public:
  /// With the replica of Linux. `config` outlives the platform.
  explicit Platform(const Config& config);
  Platform(const Config& config, const SoftwareFactory& software);
  ~Platform();
  Platform(const Platform&) = delete;
  Platform& operator=(const Platform&) = delete;

  EventLog& log() { return machine_.log(); }
  hw::Simulation& simulation() { return machine_.simulation(); }
  Machine& machine() { return machine_; }

  /// The random schedule of the runs from here on, in the place of a written one.
  void set_random_schedule(std::uint64_t seed) { random_seed_ = seed; }
  /// Runs from reset to the end. Subscribers have to be in place.
  RunEnd run();
  /// Ends the run early, from a subscriber.
  void stop() { simulation().request_stop(); }
  // After run().
  std::uint64_t simulated_ps() const { return simulated_ps_; }
  /// Threads that did not end, with the signal they wait for if it is one.
  const std::vector<std::string>& unfinished() const { return unfinished_; }
  /// What ended a program early.
  const std::vector<std::string>& remarks() const { return remarks_; }

 private:
  class Order;
  RunEnd advance();

  const Config& config_;
  Machine machine_;
  RandomSchedule random_schedule_;
  std::optional<std::uint64_t> random_seed_;
  std::unique_ptr<Schedule> schedule_;  // null without a written one
  std::unique_ptr<Software> software_;
  std::uint64_t simulated_ps_{};
  std::vector<std::string> unfinished_;
  std::vector<std::string> remarks_;
};

}  // namespace shootdown::cosim

#endif
