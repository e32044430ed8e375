// Puts a run into a given order: holds whoever passes a point until another has passed its own.
//
// It hears of points as a subscriber of the event log, which takes no time, and holds at the next
// choice point of the thread that has published the event. A held thread of software keeps its CPU,
// as one that was interrupted by firmware does; interrupts are served unless it has them off.
#ifndef SHOOTDOWN_COSIM_PLATFORM_SCHEDULE_H
#define SHOOTDOWN_COSIM_PLATFORM_SCHEDULE_H

#include <string>
#include <vector>

#include "cosim/config/schedule_config.h"
#include "cosim/observe/event_log.h"
#include "hw/sim/signal_board.h"
#include "hw/sim/simulation.h"

namespace shootdown::cosim {

class Schedule : public EventSubscriber, public hw::Chooser {
 public:
  /// All arguments outlive it. `signals` are the names of the board's.
  Schedule(const std::vector<Hold>& holds, const std::vector<std::string>& signals,
           hw::Simulation& simulation, hw::SignalBoard& board, const EventLog& log);
  void on_event(const Event& event) override;
  void choose(const hw::ChoicePoint& point) override;
  void reset();
  /// What of the schedule did not come about, in words.
  std::vector<std::string> remarks() const;

 private:
  struct Watched {
    const SchedulePoint& point;
    unsigned passed{};
    std::size_t kind{};           ///< of the event
    std::vector<ActorId> actors;  ///< that are meant: hardware, or threads
  };
  struct State {
    Watched at;
    Watched until;
    unsigned signal{};         ///< of a point that is one
    hw::SimThread* to_hold{};  ///< has passed the point, and stops at its next choice point
    hw::SimThread* held{};
    bool was_held{};
    bool gave_up{};
  };
  void resolve(Watched& watched) const;
  static bool matches(const Watched& watched, const Event& event);
  bool released(const State& state) const;
  void hold(State& state, std::uint64_t at_most_cycles);
  /// Lets those go on who have been released.
  void release();

  const std::vector<Hold>& holds_;
  hw::Simulation& simulation_;
  const hw::SignalBoard& board_;
  const EventLog& log_;
  std::vector<State> states_;
  unsigned to_hold_{};  // how many have a thread to hold: what a choice point asks first
};

}  // namespace shootdown::cosim

#endif
