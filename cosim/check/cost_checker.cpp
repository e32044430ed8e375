#include "cosim/check/cost_checker.h"

#include <fmt/format.h>

namespace shootdown::cosim {

void CostChecker::on_event(const Event& event) {
  if (const auto* flush = event.payload.get<sw::FlushBegin>()) {
    needless_now_[flush->flush] =
        !ledger_.tables().changed_since_flush(flush->mm, flush->start, flush->end);
  } else if (const auto* end = event.payload.get<sw::FlushEnd>()) {
    const auto found = needless_now_.find(end->flush);
    if (found == needless_now_.end()) return;
    // One that found nothing to do does not count.
    if (end->done) ++flushes_;
    if (end->done && found->second) ++needless_flushes_;
    needless_now_.erase(found);
  } else if (event.payload.get<hw::TlbInvalidate>() != nullptr) {
    dropped_ += ledger_.just_dropped().dropped;
    needless_ += ledger_.just_dropped().needless;
  }
}

void CostChecker::on_end(bool) {
  if (needless_flushes_ == 0) return;
  findings_.note({.kind = NoteKind::kOverInvalidation,
                  .text = fmt::format("{} of {} flushes came without a change of an entry in their "
                                      "range; {} of {} dropped translations were still good",
                                      needless_flushes_, flushes_, needless_, dropped_)});
}

}  // namespace shootdown::cosim
