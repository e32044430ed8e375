// One configuration run once, with its checkers: what the command line and the tests share.
#ifndef SHOOTDOWN_COSIM_EXPERIMENT_EXPERIMENT_H
#define SHOOTDOWN_COSIM_EXPERIMENT_EXPERIMENT_H

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cosim/check/checker.h"
#include "cosim/config/config.h"
#include "cosim/ledger/ledger.h"
#include "cosim/observe/counters.h"
#include "cosim/platform/platform.h"
#include "cosim/report/run_result.h"

namespace shootdown::cosim {

/// load_config() with what this program has: geometries of the RTL, kinds of events.
Config load_experiment(const std::string& path, const std::vector<std::string>& set = {},
                       const std::optional<std::string>& kernel = std::nullopt,
                       std::optional<std::uint64_t> seed = std::nullopt);

/// Likewise from a text.
Config load_experiment_text(const std::string& text, const std::string& name);

class Experiment {
 public:
  /// `config` outlives the experiment.
  explicit Experiment(const Config& config);
  /// May be called again: each run starts from the same state.
  RunResult run();
  /// Of the last run, by actor.
  CounterValues counters() const { return counters_.values(); }
  Platform& platform() { return platform_; }
  /// Called for each violation as it is found, in the middle of a run.
  void on_violation(std::function<void(const Violation&)> found) {
    findings_.on_violation(std::move(found));
  }

 private:
  const Config& config_;
  Platform platform_;
  Ledger ledger_;
  Findings findings_;
  std::vector<std::unique_ptr<Checker>> checkers_;
  Counters counters_;
};

}  // namespace shootdown::cosim

#endif
