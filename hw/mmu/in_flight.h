// Accesses on their way, counted by generation, so that an invalidation can wait for those that
// began before it and for no others.
#ifndef SHOOTDOWN_HW_MMU_IN_FLIGHT_H
#define SHOOTDOWN_HW_MMU_IN_FLIGHT_H

#include <cstdint>
#include <deque>

#include "hw/arch/check.h"

namespace shootdown::hw {

class InFlight {
 public:
  using Generation = std::uint64_t;

  Generation enter() {
    ++counts_.back();
    return base_ + counts_.size() - 1;
  }
  /// Returns true if a generation became empty: waiters should look again.
  bool leave(Generation generation) {
    SHOOTDOWN_CHECK(generation >= base_ && counts_[generation - base_] > 0,
                    "access left that was not in flight");
    if (--counts_[generation - base_] != 0) return false;
    while (counts_.size() > 1 && counts_.front() == 0) {
      counts_.pop_front();
      ++base_;
    }
    return true;
  }
  /// Closes the current generation and returns it; later accesses belong to the next one.
  Generation close() {
    const Generation closed = base_ + counts_.size() - 1;
    if (counts_.size() == 1 && counts_.front() == 0) {
      ++base_;
    } else {
      counts_.push_back(0);
    }
    return closed;
  }
  /// Whether every access of `generation` and those before it is done.
  bool drained(Generation generation) const {
    for (std::size_t i = 0; i < counts_.size() && base_ + i <= generation; ++i) {
      if (counts_[i] != 0) return false;
    }
    return true;
  }
  void reset() {
    counts_.assign(1, 0);
    base_ = 0;
  }

 private:
  std::deque<std::uint32_t> counts_{0};
  Generation base_{};
};

}  // namespace shootdown::hw

#endif
