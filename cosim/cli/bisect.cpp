#include "cosim/cli/bisect.h"

#include <fmt/format.h>

#include <set>
#include <utility>

#include "cosim/cli/experiment.h"
#include "cosim/report/text_report.h"

namespace shootdown::cosim {

namespace {

std::set<std::pair<std::string, std::string>> verdict_of(const RunResult& result) {
  std::set<std::pair<std::string, std::string>> verdict;
  for (const Violation& violation : result.violations) {
    verdict.emplace(violation.kind, violation.missing_hop);
  }
  if (result.verdict == Verdict::kLimit) verdict.emplace("limit", "");
  return verdict;
}

}  // namespace

Bisection bisect(Config config) {
  Bisection bisection;
  const auto run = [&] {
    RunResult result = Experiment(config).run();
    if (result.verdict == Verdict::kLimit) bisection.limit = result.limit;
    return result;
  };
  config.kernel = {.base = sw::kernel_releases().front(), .revert = {}, .apply = {}};
  RunResult before = run();
  for (const sw::KernelChange& change : sw::kernel_changes()) {
    if (change.first_release > sw::kernel_releases().back()) continue;
    config.kernel.apply.push_back(&change);
    RunResult after = run();
    if (verdict_of(before) != verdict_of(after))
      bisection.turns.push_back({&change, before, after});
    before = std::move(after);
  }
  return bisection;
}

std::string bisection_text(const Bisection& bisection) {
  std::string text;
  if (!bisection.limit.empty()) {
    text += "note  a run ended early, so that its verdict says little: " + bisection.limit + "\n\n";
  }
  if (bisection.turns.empty()) {
    return text + "no change of the kernel's history turns the verdict\n";
  }
  for (const Turn& turn : bisection.turns) {
    text += fmt::format("the verdict turns at {} ({}): {}\n  {}\n\n", turn.change->hash,
                        to_string(turn.change->first_release), turn.change->title,
                        turn.change->switches);
    text += "without it\n\n" + verdict_text(turn.before) + "with it\n\n" + verdict_text(turn.after);
  }
  return text;
}

}  // namespace shootdown::cosim
