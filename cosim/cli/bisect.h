// At which change of the kernel's history does a configuration's verdict turn?
#ifndef SHOOTDOWN_COSIM_CLI_BISECT_H
#define SHOOTDOWN_COSIM_CLI_BISECT_H

#include <string>
#include <vector>

#include "cosim/config/config.h"
#include "cosim/report/run_result.h"
#include "sw/kernel/version.h"

namespace shootdown::cosim {

/// The verdict before and after one change. For better or for worse.
struct Turn {
  const sw::KernelChange* change{};
  RunResult before;
  RunResult after;
};

struct Bisection {
  std::vector<Turn> turns;
  std::string limit;  ///< what stopped a run before its end; empty: nothing did
};

/// Runs `config` on the oldest release, then with one change more at a time, in the order of
/// history up to the newest release. A verdict is the set of violations with their missing hops.
Bisection bisect(Config config);
/// Each turn with both causal chains.
std::string bisection_text(const Bisection& bisection);

}  // namespace shootdown::cosim

#endif
