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

std::vector<Turn> bisect(Config config) {
  const auto run = [&config] { return Experiment(config).run(); };
  config.kernel = {.base = sw::kernel_releases().front(), .revert = {}, .apply = {}};
  RunResult before = run();
  std::vector<Turn> turns;
  for (const sw::KernelChange& change : sw::kernel_changes()) {
    if (change.first_release > sw::kernel_releases().back()) continue;
    config.kernel.apply.push_back(&change);
    RunResult after = run();
    if (verdict_of(before) != verdict_of(after)) turns.push_back({&change, before, after});
    before = std::move(after);
  }
  return turns;
}

std::string turns_text(const std::vector<Turn>& turns) {
  if (turns.empty()) return "no change of the kernel's history turns the verdict\n";
  std::string text;
  for (const Turn& turn : turns) {
    text += fmt::format("the verdict turns at {} ({}): {}\n  {}\n\n", turn.change->hash,
                        to_string(turn.change->first_release), turn.change->title,
                        turn.change->switches);
    text += "without it\n\n" + verdict_text(turn.before) + "with it\n\n" + verdict_text(turn.after);
  }
  return text;
}

}  // namespace shootdown::cosim
