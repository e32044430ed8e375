#include "support/scenario.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "cosim/observe/event_writer.h"

namespace shootdown::tests {

cosim::Config load_file(const std::string& path, const std::vector<std::string>& set,
                        const std::string& kernel) {
  return cosim::load_experiment(std::string(SHOOTDOWN_SOURCE_DIR) + "/" + path, set,
                                kernel.empty() ? std::nullopt : std::optional(kernel));
}

cosim::Config load_text(const std::string& yaml, const std::vector<std::string>& set) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("shootdown_test_" + std::to_string(::getpid()) + ".yaml");
  {
    std::ofstream file(path);
    file << yaml;
  }
  cosim::Config config = cosim::load_experiment(path.string(), set);
  std::filesystem::remove(path);
  return config;
}

cosim::RunResult run(const cosim::Config& config) {
  cosim::Experiment experiment(config);
  return experiment.run();
}

std::vector<std::string> violations_of(const cosim::RunResult& result) {
  std::vector<std::string> names;
  for (const cosim::Violation& violation : result.violations) {
    names.push_back(std::string(name_of(violation.kind)) + "/" +
                    std::string(name_of(violation.missing_hop)));
  }
  return names;
}

bool has_violation(const cosim::RunResult& result, const std::string& kind,
                   const std::string& hop) {
  const auto names = violations_of(result);
  return std::find(names.begin(), names.end(), kind + "/" + hop) != names.end();
}

std::string event_log_of(cosim::Experiment& experiment) {
  std::ostringstream out;
  cosim::EventWriter writer(experiment.platform().log(), out);
  experiment.platform().log().subscribe(writer);
  experiment.run();
  experiment.platform().log().unsubscribe(writer);
  return out.str();
}

std::string small_machine(const std::string& body) {
  return R"(schema_version: 1
description: A scenario of a test.
kernel: v6.6
processes:
  app:
    regions:
      heap: {at: 0x7f8000010000, pages: 16, kind: anonymous}
      file: {at: 0x7f8000100000, pages: 16, kind: shared_file}
devices:
  nic0: {stream_id: 0x40, process: app}
)" + body;
}

}  // namespace shootdown::tests
