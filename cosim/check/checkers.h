// Makes the checkers of a run.
#ifndef SHOOTDOWN_COSIM_CHECK_CHECKERS_H
#define SHOOTDOWN_COSIM_CHECK_CHECKERS_H

#include <memory>
#include <vector>

#include "cosim/check/checker.h"

namespace shootdown::cosim {

/// One of each. `fault_loop_faults`: faults in a row that make a loop.
std::vector<std::unique_ptr<Checker>> make_checkers(const Ledger& ledger, Findings& findings,
                                                    unsigned fault_loop_faults);

}  // namespace shootdown::cosim

#endif
