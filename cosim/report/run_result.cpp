#include "cosim/report/run_result.h"

#include <fmt/format.h>

#include <algorithm>

#include "cosim/report/cost.h"

namespace shootdown::cosim {

void judge(const Config& config, RunResult& result) {
  const Expectation* expectation = config.expectation();
  if (expectation == nullptr) {
    // Nothing is said of this kernel: a violation is then no success.
    result.met = result.verdict == Verdict::kPass;
    return;
  }
  if (expectation->violations.empty()) {
    result.expected = "no violation";
    result.met = result.verdict == Verdict::kPass;
  } else {
    result.expected = fmt::format("{}", fmt::join(expectation->violations, " and "));
    if (expectation->missing_hop) result.expected += ", missing hop " + *expectation->missing_hop;
    result.met = std::all_of(expectation->violations.begin(), expectation->violations.end(),
                             [&](const std::string& kind) {
                               return std::any_of(
                                   result.violations.begin(), result.violations.end(),
                                   [&](const Violation& violation) {
                                     return violation.kind == kind &&
                                            (!expectation->missing_hop ||
                                             violation.missing_hop == *expectation->missing_hop);
                                   });
                             });
  }
  const Cost cost = cost_of(result.counters);
  for (const CostExpectation& bound : expectation->cost) {
    using Kind = CostExpectation::Kind;
    const auto item = std::find_if(kCostItems.begin(), kCostItems.end(),
                                   [&](const CostItem& i) { return i.name == bound.name; });
    const std::uint64_t value = cost.*item->member;
    const bool good = bound.kind == Kind::kEqual    ? value == bound.value
                      : bound.kind == Kind::kAtMost ? value <= bound.value
                                                    : value >= bound.value;
    const char* relation = bound.kind == Kind::kEqual    ? ""
                           : bound.kind == Kind::kAtMost ? "at most "
                                                         : "at least ";
    result.expected += fmt::format(", {}{} {}", relation, bound.value, bound.name);
    if (good) continue;
    result.expected += fmt::format(" (found {})", value);
    result.met = false;
  }
  result.expected += fmt::format(" ({})", expectation->origin);
}

}  // namespace shootdown::cosim
