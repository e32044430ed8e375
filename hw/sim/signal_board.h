// Named one-shot signals between program threads: how an experiment fixes the order of its steps.
#ifndef SHOOTDOWN_HW_SIM_SIGNAL_BOARD_H
#define SHOOTDOWN_HW_SIM_SIGNAL_BOARD_H

#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "hw/sim/simulation.h"
#include "hw/sim/wait_list.h"

namespace shootdown::hw {

class SignalBoard {
 public:
  SignalBoard(Simulation& simulation, unsigned signals)
      : simulation_(simulation), set_(signals), changed_(simulation) {}
  void raise(unsigned signal) {
    simulation_.synchronize();
    set_[signal] = true;
    changed_.wake_all();
    if (on_raise_) on_raise_();
  }
  /// Called whenever a signal has been raised; must not block.
  void on_raise(std::function<void()> action) { on_raise_ = std::move(action); }
  bool raised(unsigned signal) const { return set_[signal]; }
  /// Blocks until the signal has been raised; it stays raised for the run.
  void wait(unsigned signal) {
    simulation_.synchronize();
    const SimThread* self = &simulation_.current();
    waiting_[self] = signal;
    while (!set_[signal]) changed_.wait();
    waiting_.erase(self);
  }
  /// What a thread waits for, if it does.
  std::optional<unsigned> awaited_by(const SimThread& thread) const {
    const auto found = waiting_.find(&thread);
    return found == waiting_.end() ? std::nullopt : std::optional(found->second);
  }
  void reset() {
    set_.assign(set_.size(), false);
    changed_.reset();
    waiting_.clear();
  }

 private:
  Simulation& simulation_;
  std::vector<bool> set_;
  WaitList changed_;
  std::map<const SimThread*, unsigned> waiting_;
  std::function<void()> on_raise_;
};

}  // namespace shootdown::hw

#endif
