#include "cosim/platform/schedule.h"

#include <fmt/format.h>

#include <algorithm>

namespace shootdown::cosim {

Schedule::Schedule(const std::vector<Hold>& holds, const std::vector<std::string>& signals,
                   hw::Simulation& simulation, hw::SignalBoard& board, const EventLog& log)
    : holds_(holds), simulation_(simulation), board_(board), log_(log) {
  for (const Hold& hold : holds) {
    const auto signal = std::find(signals.begin(), signals.end(), hold.until.name);
    states_.push_back({.at = {.point = hold.at, .actors = {}},
                       .until = {.point = hold.until, .actors = {}},
                       .signal = static_cast<unsigned>(signal - signals.begin())});
  }
  board.on_raise([this] { release(); });
}

void Schedule::reset() {
  for (State& state : states_) {
    resolve(state.at);
    resolve(state.until);
    state.at.passed = state.until.passed = 0;
    state.to_hold = state.held = nullptr;
    state.was_held = state.gave_up = false;
  }
  to_hold_ = 0;
}

void Schedule::resolve(Watched& watched) const {
  const SchedulePoint& point = watched.point;
  constexpr auto kNames = Payload::names();
  const std::string_view name = point.kind == SchedulePoint::Kind::kEnter ? sw::FunctionEnter::kName
                                : point.kind == SchedulePoint::Kind::kExit
                                    ? sw::FunctionExit::kName
                                    : std::string_view(point.name);
  watched.kind =
      static_cast<std::size_t>(std::find(kNames.begin(), kNames.end(), name) - kNames.begin());
  watched.actors.clear();
  for (std::size_t i = 0; i < log_.actors().size(); ++i) {
    const auto actor = static_cast<ActorId>(i);
    if (log_.name(actor) == point.actor) watched.actors.push_back(actor);
  }
}

bool Schedule::matches(const Watched& watched, const Event& event) {
  const SchedulePoint& point = watched.point;
  if (point.kind == SchedulePoint::Kind::kSignal || event.payload.index() != watched.kind) {
    return false;
  }
  const bool meant = std::any_of(watched.actors.begin(), watched.actors.end(), [&](ActorId one) {
    return one == event.actor || one == event.thread;
  });
  if (!meant || point.kind == SchedulePoint::Kind::kEvent) return meant;
  const auto* enter = event.payload.get<sw::FunctionEnter>();
  const auto* exit = event.payload.get<sw::FunctionExit>();
  return point.name == (enter != nullptr ? enter->function : exit->function);
}

bool Schedule::released(const State& state) const {
  if (state.until.point.kind == SchedulePoint::Kind::kSignal) return board_.raised(state.signal);
  return state.until.passed >= state.until.point.nth;
}

void Schedule::on_event(const Event& event) {
  // First what the event lets go on, then whom it stops.
  bool passed = false;
  for (State& state : states_) {
    if (!matches(state.until, event)) continue;
    ++state.until.passed;
    passed = true;
  }
  if (passed) release();
  for (State& state : states_) {
    if (!matches(state.at, event)) continue;
    if (++state.at.passed != state.at.point.nth) continue;
    state.to_hold = &simulation_.current();
    ++to_hold_;
  }
}

void Schedule::release() {
  for (State& state : states_) {
    if (state.held != nullptr && released(state)) state.held->end_hold();
  }
}

void Schedule::choose(const hw::ChoicePoint& point) {
  if (to_hold_ == 0) return;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    if (states_[i].to_hold != &point.thread) continue;
    states_[i].to_hold = nullptr;
    --to_hold_;
    hold(states_[i], holds_[i].at_most_cycles);
  }
}

void Schedule::hold(State& state, std::uint64_t at_most_cycles) {
  state.was_held = true;
  if (released(state)) return;
  state.held = &simulation_.current();
  simulation_.hold_ps(at_most_cycles * simulation_.clock_period().value());
  state.held = nullptr;
  state.gave_up = !released(state);
}

std::vector<std::string> Schedule::remarks() const {
  std::vector<std::string> result;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    const State& state = states_[i];
    const std::string at = to_string(state.at.point);
    const std::string until = to_string(state.until.point);
    if (state.at.passed < state.at.point.nth) {
      result.push_back(fmt::format("schedule: `{}` did not happen: this order was not tried", at));
    } else if (!state.was_held) {
      result.push_back(
          fmt::format("schedule: `{}` did nothing after it: there was nothing to hold", at));
    } else if (state.gave_up && released(state)) {
      result.push_back(fmt::format("schedule: `{}` waited {} cycles for `{}`, which came later", at,
                                   holds_[i].at_most_cycles, until));
    } else if (state.gave_up) {
      result.push_back(
          fmt::format("schedule: `{}` waited {} cycles for `{}`, which never happened in this run",
                      at, holds_[i].at_most_cycles, until));
    }
  }
  return result;
}

}  // namespace shootdown::cosim
