#include "cosim/experiment/experiment.h"

#include <fmt/format.h>

#include <chrono>

#include "cosim/check/checkers.h"
#include "cosim/program/load.h"
#include "cosim/rtl/tlb_dut.h"

namespace shootdown::cosim {

namespace {

LoadOptions what_there_is() {
  LoadOptions options;
  options.rtl_geometries = tlb_dut_geometries();
  for (const std::string_view name : Payload::names()) options.event_kinds.emplace_back(name);
  return options;
}

}  // namespace

Config load_experiment_text(const std::string& text, const std::string& name) {
  return load_config_text(text, name, what_there_is());
}

Config load_experiment(const std::string& path, const std::vector<std::string>& set,
                       const std::optional<std::string>& kernel,
                       std::optional<std::uint64_t> seed) {
  LoadOptions options = what_there_is();
  options.set = set;
  options.kernel = kernel;
  options.seed = seed;
  return load_config(path, options);
}

Experiment::Experiment(const Config& config)
    : config_(config),
      platform_(config),
      ledger_(platform_.log()),
      checkers_(make_checkers(ledger_, findings_, config.checkers.fault_loop_faults)),
      counters_(platform_.log()) {
  ledger_.set_local_invalidation(!config.architecture.broadcast);
  EventLog& log = platform_.log();
  log.subscribe(ledger_);
  for (auto& checker : checkers_) log.subscribe(*checker);
  log.subscribe(counters_);
  findings_.on_stop([this] { platform_.stop(); });
}

RunResult Experiment::run() {
  ledger_.reset();
  findings_.reset();
  for (auto& checker : checkers_) checker->reset();
  counters_.reset();
  const auto start = std::chrono::steady_clock::now();
  const RunEnd end = platform_.run();
  const bool quiet = end == RunEnd::kFinished;
  for (auto& checker : checkers_) checker->on_end(quiet);
  RunResult result;
  result.wall_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  result.violations = findings_.violations();
  result.notes = findings_.notes();
  result.remarks = platform_.remarks();
  result.totals = counters_.totals();
  result.events = platform_.log().events();
  result.simulated_ps = platform_.simulated_ps();
  for (std::size_t i = 0; i < config_.devices.size(); ++i) {
    if (const unsigned failed = platform_.machine().devices()[i]->failed_accesses(); failed != 0) {
      // Nobody hears of a fault that does not stall, so that nobody makes the page accessible.
      const bool stalls = config_.hardware.smmu.features.can_stall();
      result.remarks.push_back(fmt::format(
          "{}: gave up {} access{} after {} retries{}", config_.devices[i].name, failed,
          failed == 1 ? "" : "es", config_.devices[i].dma.retry_attempts,
          stalls ? "" : "; with hardware.smmu.faults: terminate no handler hears of its faults"));
    }
  }
  if (!result.violations.empty()) {
    result.verdict = Verdict::kViolation;
  } else if (end == RunEnd::kTimeLimit) {
    result.verdict = Verdict::kLimit;
    result.limit = fmt::format("limits.simulated_us reached ({})", config_.limits.simulated_us);
  } else if (end == RunEnd::kWallLimit) {
    result.verdict = Verdict::kLimit;
    result.limit = fmt::format("limits.wall_seconds reached ({})", config_.limits.wall_seconds);
  } else if (end == RunEnd::kStuck) {
    result.verdict = Verdict::kLimit;
    result.limit = fmt::format("stuck: nothing is left to do, but {} did not end",
                               fmt::join(platform_.unfinished(), ", "));
  }
  judge(config_, result);
  return result;
}

}  // namespace shootdown::cosim
