// One configuration under many random schedules, on all processors.
#ifndef SHOOTDOWN_COSIM_EXPERIMENT_SEEDS_H
#define SHOOTDOWN_COSIM_EXPERIMENT_SEEDS_H

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "cosim/config/config.h"
#include "cosim/observe/finding.h"

namespace shootdown::cosim {

struct SeedsResult {
  std::uint64_t runs{};
  std::uint64_t violating{};
  std::uint64_t limited{};                 ///< ended at a limit, or stuck
  std::map<Outcome, std::uint64_t> kinds;  ///< runs that found it
  std::optional<std::uint64_t> smallest;   ///< failing seed
  std::optional<std::uint64_t> smallest_limited;
  unsigned workers{};
  double wall_seconds{};

  bool met{true};  ///< some run found what is expected; none found anything, if nothing is
  std::string expected;
};

/// Runs the schedules of seeds 1 to `count`. A SystemC kernel cannot be shared by threads: each
/// processor gets a child process that runs its part on one platform. Throws std::runtime_error if
/// a child fails.
SeedsResult run_seeds(const Config& config, std::uint64_t count);

std::string seeds_text(const Config& config, const SeedsResult& result);
std::string seeds_json(const Config& config, const SeedsResult& result);

}  // namespace shootdown::cosim

#endif
