#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "cosim/observe/format.h"
#include "cosim/program/step.h"

namespace shootdown::cosim {

std::span<const StepKind> step_kinds() {
  static const std::vector<StepKind> kKinds = [] {
    std::vector<StepKind> kinds;
    for (const auto part : {mapping_steps(), page_steps()}) {
      kinds.insert(kinds.end(), part.begin(), part.end());
    }
    return kinds;
  }();
  return kKinds;
}

const StepKind* find_step(std::string_view name) {
  const auto kinds = step_kinds();
  const auto found = std::find_if(kinds.begin(), kinds.end(),
                                  [&](const StepKind& kind) { return kind.name == name; });
  return found == kinds.end() ? nullptr : &*found;
}

std::string draw_pages(StepDraw& draw) {
  return fmt::format("{{{}}}", draw.pages_of(draw.region()));
}

std::string failure_of(const MemoryOperation& step) {
  return fmt::format(fmt::runtime(step.kind->failure), hex(step.*step.kind->failure_at));
}

}  // namespace shootdown::cosim
