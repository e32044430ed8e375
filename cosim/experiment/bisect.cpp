#include "cosim/experiment/bisect.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <utility>

#include "cosim/experiment/experiment.h"
#include "cosim/observe/event_writer.h"
#include "cosim/report/text_report.h"

namespace shootdown::cosim {

namespace {

/// What one run did.
struct Trial {
  RunResult result;
  std::vector<std::string> events;  ///< as text, without times and numbers
};

/// Keeps what happens, without when.
class EventKeeper : public EventSubscriber {
 public:
  EventKeeper(const EventLog& log, std::vector<std::string>& events) : log_(log), events_(events) {}
  void on_event(const Event& event) override {
    Event undated = event;
    undated.time_ps = undated.sequence = 0;
    events_.push_back(to_json_line(log_, undated));
  }

 private:
  const EventLog& log_;
  std::vector<std::string>& events_;
};

Trial try_out(const Config& config) {
  Trial trial;
  Experiment experiment(config);
  EventLog& log = experiment.platform().log();
  EventKeeper keeper(log, trial.events);
  log.subscribe(keeper);
  trial.result = experiment.run();
  log.unsubscribe(keeper);
  return trial;
}

/// Nothing if the two are the same event for event.
std::optional<Turn> compare(const sw::KernelChange& change, const Trial& before,
                            const Trial& after) {
  Turn turn{.kind = Turn::Kind::kLog,
            .change = &change,
            .before = before.result,
            .after = after.result,
            .event_before = {},
            .event_after = {}};
  if (outcomes_of(before.result) != outcomes_of(after.result) ||
      (before.result.verdict == Verdict::kLimit) != (after.result.verdict == Verdict::kLimit)) {
    turn.kind = Turn::Kind::kVerdict;
    return turn;
  }
  if (cost_of(before.result.totals) != cost_of(after.result.totals)) {
    turn.kind = Turn::Kind::kCost;
    return turn;
  }
  const auto [b, a] = std::mismatch(before.events.begin(), before.events.end(),
                                    after.events.begin(), after.events.end());
  if (b == before.events.end() && a == after.events.end()) return std::nullopt;
  turn.event_before = b == before.events.end() ? "(no more)" : *b;
  turn.event_after = a == after.events.end() ? "(no more)" : *a;
  return turn;
}

}  // namespace

Bisection bisect(Config config) {
  Bisection bisection;
  const auto run = [&] {
    Trial trial = try_out(config);
    if (trial.result.verdict == Verdict::kLimit) bisection.limit = trial.result.limit;
    return trial;
  };
  config.kernel = {.base = sw::kernel_releases().front(), .revert = {}, .apply = {}};
  Trial before = run();
  for (const sw::KernelChange& change : sw::kernel_changes()) {
    config.kernel.apply.push_back(&change);
    Trial after = run();
    if (auto turn = compare(change, before, after)) bisection.turns.push_back(std::move(*turn));
    before = std::move(after);
  }
  return bisection;
}

std::string bisection_text(const Bisection& bisection) {
  std::string text;
  if (!bisection.limit.empty()) {
    text += "note  a run ended early, so that its verdict says little: " + bisection.limit + "\n\n";
  }
  const auto any = [&](Turn::Kind kind) {
    return std::any_of(bisection.turns.begin(), bisection.turns.end(),
                       [&](const Turn& turn) { return turn.kind == kind; });
  };
  const auto tell = [&](Turn::Kind kind, const char* what, auto&& detail) {
    for (const Turn& turn : bisection.turns) {
      if (turn.kind != kind) continue;
      text += fmt::format("{} at {} ({}): {}\n  {}\n\n", what, turn.change->hash,
                          to_string(turn.change->first_release), turn.change->title,
                          turn.change->switches);
      text += detail(turn);
    }
  };
  const bool verdict = any(Turn::Kind::kVerdict);
  tell(Turn::Kind::kVerdict, "the verdict turns", [](const Turn& turn) {
    return "without it\n\n" + verdict_text(turn.before) + "with it\n\n" + verdict_text(turn.after);
  });
  if (!verdict) text += "no change of the kernel's history turns the verdict\n\n";
  tell(Turn::Kind::kCost, "the cost changes", [&](const Turn& turn) {
    return fmt::format("without it  {}\nwith it     {}\n\n", to_string(cost_of(turn.before.totals)),
                       to_string(cost_of(turn.after.totals)));
  });
  // Events are told only if the verdict does not say enough.
  tell(Turn::Kind::kLog, "only events change", [&](const Turn& turn) {
    if (verdict) return std::string();
    return fmt::format("without it  {}\nwith it     {}\n\n", turn.event_before, turn.event_after);
  });
  return text;
}

}  // namespace shootdown::cosim
