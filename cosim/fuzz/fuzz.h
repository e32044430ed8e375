// Random legal experiments, each under random schedules, on all processors: nothing may be found on
// a kernel that is right. What is found is grouped, and the shortest of each group taken apart.
#ifndef SHOOTDOWN_COSIM_FUZZ_FUZZ_H
#define SHOOTDOWN_COSIM_FUZZ_FUZZ_H

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cosim/fuzz/draft.h"
#include "cosim/fuzz/generate.h"

namespace shootdown::cosim {

struct FuzzOptions {
  GenerateOptions experiments;
  std::uint64_t first_seed{1};
  std::uint64_t experiments_at_most{~std::uint64_t{0}};
  double seconds_at_most{};  ///< 0: no limit
  bool shrink{true};         ///< the first of each kind of failure
  unsigned schedules{3};     ///< random ones an experiment, beside the undisturbed order
};

/// What makes two failures one.
struct FailureKind {
  std::string what;   ///< "fault-loop", "limit", "error"
  std::string hop;    ///< of a violation
  std::string place;  ///< the kernel function, or the text without its numbers
  auto operator<=>(const FailureKind&) const = default;
};

struct Failure {
  FailureKind kind;
  std::uint64_t seed{};                   ///< of the experiment
  std::optional<std::uint64_t> schedule;  ///< of the random schedule; nothing: undisturbed
  std::string headline;
  std::vector<FailureKind> all{};  ///< of the run, each kind and hop once
};

/// Runs one experiment in one order. Nothing: it did what a right kernel does. Throws ConfigError
/// if the loader refuses the draft.
std::optional<Failure> try_draft(const Draft& draft, std::optional<std::uint64_t> schedule);

/// The smallest draft found by leaving out pieces that fails in the same way, in one order;
/// `failure` becomes its failure.
Draft shrink(const Draft& draft, Failure& failure);

struct FuzzGroup {
  std::uint64_t failures{};
  Failure shortest;  ///< as shrunk
  std::string file;  ///< its configuration
};

struct FuzzResult {
  std::uint64_t experiments{};
  std::uint64_t runs{};
  std::uint64_t failing{};             ///< experiments
  std::vector<std::uint64_t> crashed;  ///< seeds at which a worker ended
  std::map<FailureKind, FuzzGroup> groups;
  /// Violations of failing runs by missing hop, each kind and hop of a run once, and a run that
  /// has it: experiment and schedule.
  struct Named {
    std::uint64_t times{};
    std::uint64_t seed{};
    std::optional<std::uint64_t> schedule;
  };
  std::map<std::pair<std::string, std::string>, Named> hops;  ///< hop, violation
  double wall_seconds{};
};

/// A worker process on each processor. Throws std::runtime_error if one cannot be started.
FuzzResult run_fuzz(const FuzzOptions& options);
std::string fuzz_text(const FuzzOptions& options, const FuzzResult& result);

}  // namespace shootdown::cosim

#endif
