// At which change of the kernel's history does what a configuration does change?
#ifndef SHOOTDOWN_COSIM_EXPERIMENT_BISECT_H
#define SHOOTDOWN_COSIM_EXPERIMENT_BISECT_H

#include <string>
#include <vector>

#include "cosim/config/config.h"
#include "cosim/report/run_result.h"
#include "sw/kernel/version.h"

namespace shootdown::cosim {

/// The run before and after one change that made a difference. For better or for worse.
struct Turn {
  enum class Kind : std::uint8_t {
    kVerdict,  ///< other violations, or other missing hops
    kCost,     ///< other totals of flushes, TLBIs, IPIs, commands or dropped translations
    kLog,      ///< other events
  };
  Kind kind{};
  const sw::KernelChange* change{};
  RunResult before;
  RunResult after;
  // kLog: the first event that differs, of either run.
  std::string event_before;
  std::string event_after;
};

struct Bisection {
  std::vector<Turn> turns;
  std::string limit;  ///< what stopped a run before its end; empty: nothing did
};

/// Runs `config` on the oldest release, then with one change more at a time, in the order of
/// history up to the newest release.
Bisection bisect(Config config);
/// The turns of the verdict with both causal chains, then those of the cost and of the event log.
std::string bisection_text(const Bisection& bisection);

}  // namespace shootdown::cosim

#endif
