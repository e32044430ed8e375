#include "cosim/report/run_result.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace shootdown::cosim {

std::set<Outcome> outcomes_of(const RunResult& result) {
  std::set<Outcome> outcomes;
  for (const Violation& violation : result.violations) outcomes.insert(outcome_of(violation));
  return outcomes;
}

std::string to_string(const Expectation& expectation) {
  if (expectation.violations.empty()) return "no violation";
  std::vector<std::string_view> kinds;
  for (const ViolationKind kind : expectation.violations) kinds.push_back(name_of(kind));
  std::string text = fmt::format("{}", fmt::join(kinds, " and "));
  if (expectation.missing_hop) {
    text += fmt::format(", missing hop {}", name_of(*expectation.missing_hop));
  }
  return text;
}

namespace {

/// Whether a bound holds; adds it to the text.
bool judge_cost(const CostExpectation& bound, const Cost& cost, std::string& text) {
  using Kind = CostExpectation::Kind;
  const std::uint64_t value = cost[static_cast<std::size_t>(bound.cost)];
  const bool good = bound.kind == Kind::kEqual    ? value == bound.value
                    : bound.kind == Kind::kAtMost ? value <= bound.value
                                                  : value >= bound.value;
  const char* relation = bound.kind == Kind::kEqual    ? ""
                         : bound.kind == Kind::kAtMost ? "at most "
                                                       : "at least ";
  text += fmt::format(", {}{} {}", relation, bound.value, name_of(bound.cost));
  if (!good) text += fmt::format(" (found {})", value);
  return good;
}

}  // namespace

void judge(const Config& config, RunResult& result) {
  const Expectation* expectation = config.expectation();
  if (expectation == nullptr) {
    // Nothing is said of this kernel: a violation is then no success.
    result.met = result.verdict == Verdict::kPass;
    return;
  }
  result.expected = to_string(*expectation);
  const auto& found = result.violations;
  result.met =
      expectation->violations.empty()
          ? result.verdict == Verdict::kPass
          : std::all_of(expectation->violations.begin(), expectation->violations.end(),
                        [&](ViolationKind kind) {
                          return std::any_of(found.begin(), found.end(), [&](const Violation& one) {
                            return one.kind == kind &&
                                   one.missing_hop ==
                                       expectation->missing_hop.value_or(one.missing_hop);
                          });
                        });
  const Cost cost = cost_of(result.totals);
  for (const CostExpectation& bound : expectation->cost) {
    result.met &= judge_cost(bound, cost, result.expected);
  }
  result.expected += fmt::format(" ({})", expectation->origin);
}

}  // namespace shootdown::cosim
