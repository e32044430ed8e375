// A written schedule: who waits where until who has passed what.
#ifndef SHOOTDOWN_COSIM_CONFIG_SCHEDULE_CONFIG_H
#define SHOOTDOWN_COSIM_CONFIG_SCHEDULE_CONFIG_H

#include <cstdint>
#include <string>

namespace shootdown::cosim {

/// A point that an actor passes: a kernel function entered or left, or an event of the log.
struct SchedulePoint {
  enum class Kind : std::uint8_t { kEnter, kExit, kEvent, kSignal };
  std::string actor;  ///< a thread or a piece of hardware; of a signal: empty
  Kind kind{};
  std::string name;  ///< of the function, the kind of event, or the signal
  unsigned nth{1};   ///< which time
};

/// Holds an actor at `at` until `until` has been passed, or was before.
struct Hold {
  SchedulePoint at;
  SchedulePoint until;
  std::uint64_t at_most_cycles{100'000};  ///< then it goes on, and the report says so
};

/// "unmapper: exit free_pgtables"
std::string to_string(const SchedulePoint& point);

}  // namespace shootdown::cosim

#endif
