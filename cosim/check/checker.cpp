#include "cosim/check/checker.h"

#include <algorithm>

namespace shootdown::cosim {

bool Findings::repeats(ViolationKind kind, ActorId actor, arch::VirtAddr page) {
  for (Violation& violation : violations_) {
    if (violation.kind == kind && violation.actor == actor &&
        arch::page_of(violation.address) == arch::page_of(page)) {
      ++violation.count;
      return true;
    }
  }
  return false;
}

bool Findings::repeats(ViolationKind kind, ActorId actor, const std::string& headline) {
  for (Violation& violation : violations_) {
    if (violation.kind != kind || violation.actor != actor || violation.headline != headline) {
      continue;
    }
    ++violation.count;
    return true;
  }
  return false;
}

void Findings::report(Violation violation) {
  violations_.push_back(std::move(violation));
  if (found_) found_(violations_.back());
}

bool Findings::noted(NoteKind kind) const {
  return std::any_of(notes_.begin(), notes_.end(),
                     [&](const Note& note) { return note.kind == kind; });
}

void Findings::note(Note note) {
  if (!noted(note.kind)) notes_.push_back(std::move(note));
}

}  // namespace shootdown::cosim
