#include "cosim/platform/schedule.h"

#include <fmt/format.h>

#include <algorithm>

namespace shootdown::cosim {

Schedule::Schedule(const std::vector<Hold>& holds, const std::vector<std::string>& signals,
                   hw::Simulation& simulation, hw::SignalBoard& board, const EventLog& log)
    : holds_(holds), simulation_(simulation), board_(board), log_(log) {
  for (const Hold& hold : holds) {
    const auto signal = std::find(signals.begin(), signals.end(), hold.until.name);
    states_.push_back({.at = {hold.at},
                       .until = {hold.until},
                       .signal = static_cast<unsigned>(signal - signals.begin())});
  }
  board.on_raise([this] { release(); });
}

void Schedule::reset() {
  for (State& state : states_) {
    state.at.passed = state.until.passed = 0;
    state.to_hold = state.held = nullptr;
    state.was_held = state.gave_up = false;
  }
  to_hold_ = 0;
}

bool Schedule::matches(const SchedulePoint& point, const Event& event) const {
  switch (point.kind) {
    case SchedulePoint::Kind::kSignal:
      return false;
    case SchedulePoint::Kind::kEnter: {
      const auto* enter = event.payload.get<sw::FunctionEnter>();
      if (enter == nullptr || point.name != enter->function) return false;
      break;
    }
    case SchedulePoint::Kind::kExit: {
      const auto* exit = event.payload.get<sw::FunctionExit>();
      if (exit == nullptr || point.name != exit->function) return false;
      break;
    }
    case SchedulePoint::Kind::kEvent:
      if (point.name != kind_name(event.payload)) return false;
      break;
  }
  if (log_.name(event.actor) == point.actor) return true;
  return event.thread != kNoThread && log_.name(event.thread) == point.actor;
}

bool Schedule::released(const State& state) const {
  if (state.until.point.kind == SchedulePoint::Kind::kSignal) return board_.raised(state.signal);
  return state.until.passed >= state.until.point.nth;
}

void Schedule::on_event(const Event& event) {
  // First what the event lets go on, then whom it stops.
  bool passed = false;
  for (State& state : states_) {
    if (!matches(state.until.point, event)) continue;
    ++state.until.passed;
    passed = true;
  }
  if (passed) release();
  for (State& state : states_) {
    if (!matches(state.at.point, event)) continue;
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
