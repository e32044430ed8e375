// Runs configurations from tests: files of configs/, or YAML written in the test.
#ifndef SHOOTDOWN_TESTS_SUPPORT_SCENARIO_H
#define SHOOTDOWN_TESTS_SUPPORT_SCENARIO_H

#include <string>
#include <vector>

#include "cosim/experiment/experiment.h"
#include "cosim/program/load.h"

namespace shootdown::tests {

/// Loads a file below the source folder.
cosim::Config load_file(const std::string& path, const std::vector<std::string>& set = {},
                        const std::string& kernel = {});
/// Loads YAML text.
cosim::Config load_text(const std::string& yaml, const std::vector<std::string>& set = {});
cosim::RunResult run(const cosim::Config& config);

/// "fault-loop/notifier" for each violation.
std::vector<std::string> violations_of(const cosim::RunResult& result);
bool has_violation(const cosim::RunResult& result, const std::string& kind, const std::string& hop);
/// Every event of one run as JSON lines.
std::string event_log_of(cosim::Experiment& experiment);

/// One process with regions `heap` (anonymous) and `file` (shared file) of 16 pages each, a device
/// nic0; `body` adds threads, hardware and the rest.
std::string small_machine(const std::string& body);

}  // namespace shootdown::tests

#endif
