#include "cosim/report/text_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "cosim/config/strict_yaml.h"
#include "cosim/observe/format.h"

namespace shootdown::cosim {

namespace {

std::string shout(std::string_view name) {
  std::string kind(name);
  for (char& c : kind) c = c == '-' ? ' ' : static_cast<char>(std::toupper(c));
  return kind;
}

const char* model_name(TlbModel model) {
  switch (model) {
    case TlbModel::kSystemc:
      return "SystemC";
    case TlbModel::kRtl:
      return "RTL";
    case TlbModel::kLockstep:
      return "RTL in lockstep";
  }
  return "?";
}

std::string chain_text(const std::vector<ChainItem>& chain) {
  std::size_t actor_width = 0;
  for (const ChainItem& item : chain) actor_width = std::max(actor_width, item.actor_name.size());
  // What becomes stale points to the store that follows: its number is known only now.
  const auto store = std::find_if(chain.begin(), chain.end(), [](const ChainItem& item) {
    return item.role == ChainRole::kStore;
  });
  std::string text;
  for (std::size_t i = 0; i < chain.size(); ++i) {
    const ChainItem& item = chain[i];
    std::string note = item.note;
    if (item.role == ChainRole::kBecomesStale && store != chain.end()) {
      note = fmt::format("becomes stale at {}", store - chain.begin() + 1);
    }
    if (!note.empty()) note = "   <- " + note;
    text += fmt::format("{:3}  {:>11}  {:{}}  {}{}\n", i + 1,
                        item.happened ? microseconds(item.time_ps) : "-   ", item.actor_name,
                        actor_width, item.text, note);
  }
  return text;
}

std::string violation_text(const Violation& violation) {
  std::string text = fmt::format("{}   {}\n", shout(name_of(violation.kind)), violation.headline);
  text +=
      fmt::format("missing hop  {}: {}\n\n", name_of(violation.missing_hop), violation.hop_text);
  return text + chain_text(violation.chain);
}

std::string summary(const RunResult& result) {
  const auto total = [&](CounterKind kind) {
    return result.totals[static_cast<std::size_t>(kind)];
  };
  return fmt::format("PASS   {} accesses, {} faults, {} flushes in {}; no violation\n",
                     total(CounterKind::kAccesses), total(CounterKind::kFaults),
                     total(CounterKind::kFlushes), microseconds(result.simulated_ps));
}

/// Kinds and hops that were found beside the expected ones.
std::string unexpected(const Config& config, const RunResult& result) {
  const Expectation* expectation = config.expectation();
  if (expectation == nullptr || expectation->violations.empty()) return {};
  std::vector<std::string> others;
  const auto& wanted = expectation->violations;
  for (const Outcome& outcome : outcomes_of(result)) {
    const bool kind = std::find(wanted.begin(), wanted.end(), outcome.kind) != wanted.end();
    const bool hop = expectation->missing_hop.value_or(outcome.hop) == outcome.hop;
    if (!kind || !hop) others.push_back(to_string(outcome));
  }
  return join(others, ", ");
}

/// The first newer release of which the configuration expects no violation, as an option.
std::string better_kernel(const Config& config) {
  if (!config.injections.empty()) return {};
  Config newer = config;
  for (const sw::Release& release : sw::kernel_releases()) {
    if (release <= config.kernel.base) continue;
    newer.kernel = {.base = release, .revert = {}, .apply = {}};
    const Expectation* expectation = newer.expectation();
    if (expectation != nullptr && expectation->violations.empty()) {
      return fmt::format("--kernel {} | ", to_string(release));
    }
  }
  return {};
}

}  // namespace

std::string describe_run(const Config& config, const std::string& which) {
  const HardwareConfig& hardware = config.hardware;
  std::string text =
      fmt::format("{}   Linux {}, {}   {} CPU{} (TLB {}), SMMUv3 ({}, {}, TLB {})", config.name,
                  config.kernel.name(), config.architecture.name(), hardware.cpus,
                  hardware.cpus == 1 ? "" : "s", model_name(hardware.cpu_tlb_model),
                  hardware.smmu.features.can_stall() ? "stall" : "terminate",
                  hardware.smmu.features.broadcast ? "broadcast" : "no broadcast",
                  model_name(hardware.smmu_tlb_model));
  for (const DeviceConfig& device : config.devices) {
    text += fmt::format(", {} ({})", device.name, device.dma.atc ? "ATC" : "no ATC");
  }
  if (!hardware.preset.empty()) text += ", preset " + hardware.preset;
  text += "   " + which;
  if (!config.injections.empty()) text += "   injected: " + join(config.injections, ", ");
  return text + "\n";
}

std::string describe_run(const Config& config) {
  return describe_run(config, config.random_schedule
                                  ? fmt::format("random schedule {}", *config.random_schedule)
                                  : fmt::format("seed {}", config.seed));
}

std::string verdict_text(const RunResult& result) {
  std::string text;
  // Of many alike the first ones tell the story.
  constexpr unsigned kInFull = 3;
  std::map<Outcome, unsigned> seen;
  for (const Violation& violation : result.violations) {
    if (++seen[outcome_of(violation)] <= kInFull) {
      text += violation_text(violation) + "\n";
    }
  }
  for (const auto& [outcome, count] : seen) {
    if (count <= kInFull) continue;
    text += fmt::format("and {} more: {}, missing hop {} (--json has them all)\n\n",
                        count - kInFull, name_of(outcome.kind), name_of(outcome.hop));
  }
  if (result.verdict == Verdict::kPass) text += summary(result) + "\n";
  if (result.verdict == Verdict::kLimit) text += "LIMIT   " + result.limit + "\n\n";
  return text;
}

std::string text_report(const Config& config, const RunResult& result) {
  std::string text = describe_run(config) + "\n" + verdict_text(result);
  for (const Note& note : result.notes)
    text += fmt::format("note  {}: {}\n\n", name_of(note.kind), note.text);
  for (const std::string& remark : result.remarks) text += "note  " + remark + "\n\n";
  const std::string kernel = config.kernel.name();
  if (result.expected.empty()) {
    text += fmt::format("{} expects nothing of {} (`expect`, docs/configuration.md)\n", config.path,
                        kernel);
  } else {
    text += fmt::format("{} for {}: {}\n", result.met ? "as expected" : "NOT AS EXPECTED", kernel,
                        result.expected);
  }
  if (const std::string others = unexpected(config, result); !others.empty()) {
    text += "also found, which `expect` does not speak of: " + others + "\n";
  }
  if (!config.injections.empty() && result.verdict == Verdict::kPass) {
    const bool hidden = std::any_of(result.notes.begin(), result.notes.end(), [](const Note& note) {
      return note.kind == NoteKind::kHiddenFaultLoop;
    });
    text += hidden
                ? "injected, and hidden by hardware that walks again (the note above): " +
                      join(config.injections, ", ") + "\n"
                : "injected, but no checker saw it in this run: " + join(config.injections, ", ") +
                      " (docs/checkers.md says where each shows)\n";
  }
  if (!result.violations.empty()) {
    text += fmt::format(
        "\nnext: {}--waves run.vcd (docs/waves.md) | --events run.jsonl | --json run.json\n",
        better_kernel(config));
  }
  return text;
}

}  // namespace shootdown::cosim
