// Accesses on their way, counted by generation, so that an invalidation can wait for those that
// began before it and for no others.
#ifndef SHOOTDOWN_HW_MMU_IN_FLIGHT_H
#define SHOOTDOWN_HW_MMU_IN_FLIGHT_H

#include <cstdint>
#include <deque>
#include <utility>

#include "hw/arch/check.h"

namespace shootdown::hw {

class InFlight {
 public:
  using Generation = std::uint64_t;

  Generation enter() {
    ++open_;
    return current_;
  }
  /// Returns true if a closed generation became empty: waiters should look again.
  bool leave(Generation generation) {
    if (generation == current_) {
      SHOOTDOWN_CHECK(open_ > 0, "access left that was not in flight");
      --open_;
      return false;
    }
    const Generation oldest = current_ - closed_.size();
    SHOOTDOWN_CHECK(
        generation >= oldest && generation < current_ && closed_[generation - oldest] > 0,
        "access left that was not in flight");
    if (--closed_[generation - oldest] != 0) return false;
    while (!closed_.empty() && closed_.front() == 0) closed_.pop_front();
    return true;
  }
  /// Closes the current generation and returns it; later accesses belong to the next one.
  Generation close() {
    if (open_ != 0 || !closed_.empty()) closed_.push_back(std::exchange(open_, 0));
    return current_++;
  }
  /// Whether every access of `generation`, which is closed, and those before it is done.
  bool drained(Generation generation) const {
    const Generation oldest = current_ - closed_.size();
    for (std::size_t i = 0; i < closed_.size() && oldest + i <= generation; ++i) {
      if (closed_[i] != 0) return false;
    }
    return true;
  }
  void reset() {
    closed_.clear();
    open_ = 0;
    current_ = 0;
  }

 private:
  std::uint32_t open_{};              // accesses of the current generation
  std::deque<std::uint32_t> closed_;  // of those before it, oldest first
  Generation current_{};
};

}  // namespace shootdown::hw

#endif
