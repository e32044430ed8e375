#include "cosim/check/checker.h"

#include <algorithm>

namespace shootdown::cosim {

bool Findings::repeats(std::string_view kind, const std::string& actor, arch::VirtAddr page) {
  for (Violation& violation : violations_) {
    if (violation.kind == kind && violation.actor == actor &&
        arch::page_of(violation.address) == arch::page_of(page)) {
      ++violation.count;
      return true;
    }
  }
  return false;
}

bool Findings::repeats(std::string_view kind, const std::string& actor,
                       const std::string& headline) {
  for (Violation& violation : violations_) {
    if (violation.kind != kind || violation.actor != actor || violation.headline != headline) {
      continue;
    }
    ++violation.count;
    return true;
  }
  return false;
}

void Findings::report(Violation violation) { violations_.push_back(std::move(violation)); }

void Findings::note(Note note) {
  const auto same = [&](const Note& other) { return other.kind == note.kind; };
  if (std::none_of(notes_.begin(), notes_.end(), same)) notes_.push_back(std::move(note));
}

std::string Checker::requester_name(ActorId actor, const hw::Requester& requester) const {
  const Binding* binding = history_.binding(requester.stream_id);
  if (binding != nullptr && (history_.is_smmu(actor) || history_.is_atc(actor))) {
    return binding->device;
  }
  return actor_name(actor);
}

}  // namespace shootdown::cosim
