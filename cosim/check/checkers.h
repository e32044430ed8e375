// All checkers: their names and how to make one of each.
#ifndef SHOOTDOWN_COSIM_CHECK_CHECKERS_H
#define SHOOTDOWN_COSIM_CHECK_CHECKERS_H

#include <memory>
#include <string_view>
#include <vector>

#include "cosim/check/checker.h"

namespace shootdown::cosim {

struct CheckerInfo {
  std::string_view name;
  std::string_view holds_when;
};
/// All checkers by name, for `list` and the documentation.
const std::vector<CheckerInfo>& checker_infos();
/// One of each. `fault_loop_faults`: faults in a row that make a loop.
std::vector<std::unique_ptr<Checker>> make_checkers(const History& history, Findings& findings,
                                                    unsigned fault_loop_faults);

}  // namespace shootdown::cosim

#endif
