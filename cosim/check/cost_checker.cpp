#include "cosim/check/cost_checker.h"

#include <fmt/format.h>

namespace shootdown::cosim {

void CostChecker::on_event(const Event& event) {
  if (const auto* flush = event.payload.get<sw::FlushBegin>()) {
    ++flushes_;
    if (!history_.tables().changed_since_flush(flush->mm, flush->start, flush->end))
      ++needless_flushes_;
  } else if (event.payload.get<hw::TlbInvalidate>() != nullptr) {
    dropped_ += history_.just_dropped().dropped;
    needless_ += history_.just_dropped().needless;
  }
}

void CostChecker::on_end(bool) {
  if (needless_flushes_ == 0) return;
  findings_.note({.kind = "over-invalidation",
                  .text = fmt::format("{} of {} flushes came without a change of an entry in their "
                                      "range; {} of {} dropped translations were still good",
                                      needless_flushes_, flushes_, needless_, dropped_)});
}

}  // namespace shootdown::cosim
