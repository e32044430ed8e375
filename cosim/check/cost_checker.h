// over-invalidation: advice, never a violation. Counts what was invalidated without need.
#ifndef SHOOTDOWN_COSIM_CHECK_COST_CHECKER_H
#define SHOOTDOWN_COSIM_CHECK_COST_CHECKER_H

#include <map>

#include "cosim/check/checker.h"

namespace shootdown::cosim {

class CostChecker : public Checker {
 public:
  using Checker::Checker;
  EventKinds interests() const override {
    return kinds_of<sw::FlushBegin, sw::FlushEnd, hw::TlbInvalidate>();
  }
  void on_event(const Event& event) override;
  void on_end(bool quiet) override;
  void reset() override {
    needless_flushes_ = flushes_ = dropped_ = needless_ = 0;
    needless_now_.clear();
  }

 private:
  std::map<std::uint64_t, bool> needless_now_;  // of flushes that have not ended
  std::uint64_t flushes_{};
  std::uint64_t needless_flushes_{};  ///< no entry in their range had changed since the last
  std::uint64_t dropped_{};
  std::uint64_t needless_{};  ///< entries dropped that said what memory says
};

}  // namespace shootdown::cosim

#endif
