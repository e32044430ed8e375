// What a run came to.
#ifndef SHOOTDOWN_COSIM_REPORT_RUN_RESULT_H
#define SHOOTDOWN_COSIM_REPORT_RUN_RESULT_H

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "cosim/config/config.h"
#include "cosim/observe/counters.h"
#include "cosim/observe/finding.h"

namespace shootdown::cosim {

enum class Verdict : std::uint8_t { kPass, kViolation, kLimit };
constexpr const char* name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPass:
      return "pass";
    case Verdict::kViolation:
      return "violation";
    case Verdict::kLimit:
      return "limit";
  }
  return "?";
}

struct RunResult {
  Verdict verdict{};
  std::string limit;  ///< what was reached, for Verdict::kLimit
  std::vector<Violation> violations;
  std::vector<Note> notes;
  std::vector<std::string> remarks;  ///< programs that ended early, accesses that failed
  Totals totals{};                   ///< of the counters
  std::uint64_t events{};
  std::uint64_t simulated_ps{};
  double wall_seconds{};

  bool met{true};        ///< the run did what the configuration expects
  std::string expected;  ///< in words; empty if the configuration expects nothing
};

/// Kinds and hops that were found, each once.
std::set<Outcome> outcomes_of(const RunResult& result);
/// "stale-access and lost-dirty, missing hop range"
std::string to_string(const Expectation& expectation);

/// Compares with the expectation for the configuration's kernel. Each expected violation has to be
/// there, with its missing hop; "none" allows no violation at all.
void judge(const Config& config, RunResult& result);

}  // namespace shootdown::cosim

#endif
