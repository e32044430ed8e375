// Puts a run into a given order: holds an actor at a point until another has passed its own.
//
// A subscriber of the event log that blocks whoever publishes an event. It has to subscribe last,
// so that everybody else has seen the event before its actor stops. A held thread keeps its CPU, as
// one that was interrupted by firmware does; interrupts are served unless it has them off.
#ifndef SHOOTDOWN_COSIM_PLATFORM_SCHEDULE_H
#define SHOOTDOWN_COSIM_PLATFORM_SCHEDULE_H

#include <string>
#include <vector>

#include "cosim/config/schedule_config.h"
#include "cosim/observe/event_log.h"
#include "hw/sim/signal_board.h"
#include "hw/sim/simulation.h"

namespace shootdown::cosim {

class Schedule : public EventSubscriber {
 public:
  /// All arguments outlive it. `signals` are the names of the board's.
  Schedule(const std::vector<Hold>& holds, const std::vector<std::string>& signals,
           hw::Simulation& simulation, const hw::SignalBoard& board, const EventLog& log);
  void on_event(const Event& event) override;
  void reset();
  /// What of the schedule did not come about, in words.
  std::vector<std::string> remarks() const;

 private:
  struct Watched {
    const SchedulePoint& point;
    unsigned passed{};
  };
  struct State {
    Watched at;
    Watched until;
    unsigned signal{};  ///< of a point that is one
    bool gave_up{};
  };
  bool matches(const SchedulePoint& point, const Event& event) const;
  bool released(const State& state) const;
  void hold(State& state, std::uint64_t at_most_cycles);

  const std::vector<Hold>& holds_;
  hw::Simulation& simulation_;
  const hw::SignalBoard& board_;
  const EventLog& log_;
  std::vector<State> states_;
};

}  // namespace shootdown::cosim

#endif
