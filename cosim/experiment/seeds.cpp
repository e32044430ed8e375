#include "cosim/experiment/seeds.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <vector>

#include "cosim/experiment/experiment.h"
#include "cosim/report/text_report.h"

namespace shootdown::cosim {

namespace {

/// A child process and the end of its pipe that is read.
struct Worker {
  pid_t process{};
  std::FILE* results{};
};

/// What a child writes: one line a run, the seed, whether it ended at a limit, and its findings by
/// number: "17 0 1,6 3,12".
void work(const Config& config, std::uint64_t first, std::uint64_t step, std::uint64_t last,
          std::FILE* out) {
  Experiment experiment(config);
  for (std::uint64_t seed = first; seed <= last; seed += step) {
    experiment.platform().set_random_schedule(seed);
    const RunResult result = experiment.run();
    fmt::print(out, "{} {}", seed, result.verdict == Verdict::kLimit ? 1 : 0);
    for (const Outcome& outcome : outcomes_of(result)) {
      fmt::print(out, " {},{}", static_cast<unsigned>(outcome.kind),
                 static_cast<unsigned>(outcome.hop));
    }
    fmt::print(out, "\n");
  }
}

Worker start_worker(const Config& config, std::uint64_t first, std::uint64_t step,
                    std::uint64_t last) {
  int ends[2];
  if (::pipe(ends) != 0) throw std::runtime_error("cannot make a pipe for a worker");
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("cannot start a worker process");
  if (child == 0) {
    ::close(ends[0]);
    std::FILE* out = ::fdopen(ends[1], "w");
    int status = 1;
    try {
      work(config, first, step, last, out);
      status = 0;
    } catch (const std::exception& error) {
      fmt::print(stderr, "shootdown: {}\n", error.what());
    }
    std::fclose(out);
    // No destructors of what the parent owns.
    ::_exit(status);
  }
  ::close(ends[1]);
  return {.process = child, .results = ::fdopen(ends[0], "r")};
}

void take_line(const std::string& line, SeedsResult& result) {
  std::istringstream fields(line);
  std::uint64_t seed = 0;
  bool limited = false;
  fields >> seed >> limited;
  ++result.runs;
  if (limited) {
    ++result.limited;
    result.smallest_limited = std::min(result.smallest_limited.value_or(seed), seed);
  }
  bool violates = false;
  unsigned kind = 0;
  unsigned hop = 0;
  for (char comma = 0; fields >> kind >> comma >> hop;) {
    violates = true;
    ++result.kinds[{static_cast<ViolationKind>(kind), static_cast<Hop>(hop)}];
  }
  if (!violates) return;
  ++result.violating;
  result.smallest = std::min(result.smallest.value_or(seed), seed);
}

/// Reads everything, and says whether the worker ended well.
bool finish_worker(const Worker& worker, SeedsResult& result) {
  std::string line;
  for (int c = std::fgetc(worker.results); c != EOF; c = std::fgetc(worker.results)) {
    if (c != '\n') {
      line += static_cast<char>(c);
      continue;
    }
    take_line(line, result);
    line.clear();
  }
  std::fclose(worker.results);
  int status = 0;
  ::waitpid(worker.process, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void judge_seeds(const Config& config, SeedsResult& result) {
  const Expectation* expectation = config.expectation();
  if (expectation == nullptr || expectation->violations.empty()) {
    result.met = result.violating == 0 && result.limited == 0;
    if (expectation != nullptr) result.expected = "no violation in any schedule";
    return;
  }
  result.expected = to_string(*expectation) + ", in some schedule";
  for (const ViolationKind kind : expectation->violations) {
    result.met &= std::any_of(result.kinds.begin(), result.kinds.end(), [&](const auto& found) {
      const Outcome& outcome = found.first;
      return outcome.kind == kind && expectation->missing_hop.value_or(outcome.hop) == outcome.hop;
    });
  }
  if (!expectation->cost.empty()) result.expected += " (its cost is not judged here)";
}

}  // namespace

SeedsResult run_seeds(const Config& config, std::uint64_t count) {
  const auto start = std::chrono::steady_clock::now();
  SeedsResult result;
  const std::uint64_t processors = std::max(1U, std::thread::hardware_concurrency());
  result.workers = static_cast<unsigned>(std::min(processors, count));
  std::vector<Worker> workers;
  for (unsigned i = 0; i < result.workers; ++i) {
    workers.push_back(start_worker(config, i + 1, result.workers, count));
  }
  bool good = true;
  for (const Worker& worker : workers) good &= finish_worker(worker, result);
  if (!good) throw std::runtime_error("a worker process of --seeds failed");
  result.wall_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  judge_seeds(config, result);
  return result;
}

std::string seeds_text(const Config& config, const SeedsResult& result) {
  std::string text =
      describe_run(config, fmt::format("random schedules 1 to {}", result.runs)) + "\n";
  text += fmt::format("{} of {} violate, {} ended at a limit\n", result.violating, result.runs,
                      result.limited);
  for (const auto& [outcome, runs] : result.kinds) {
    text += fmt::format("{:8}  {}\n", runs, to_string(outcome));
  }
  const auto replay = [&](const char* what, const std::optional<std::uint64_t>& seed) {
    if (!seed) return;
    text += fmt::format("\n{}: {}   (replay it with --seed {})\n", what, *seed, *seed);
  };
  replay("smallest failing seed", result.smallest);
  replay("smallest seed that ended at a limit", result.smallest_limited);
  text += "\n";
  const std::string kernel = config.kernel.name();
  if (result.expected.empty()) {
    text += fmt::format("{} expects nothing of {}\n", config.path, kernel);
  } else {
    const bool not_found = !result.met && result.violating == 0 && result.limited == 0;
    text += fmt::format("{} for {}: {}\n",
                        result.met  ? "as expected"
                        : not_found ? fmt::format("NOT FOUND in {} schedules", result.runs)
                                    : "NOT AS EXPECTED",
                        kernel, result.expected);
  }
  return text;
}

std::string seeds_json(const Config& config, const SeedsResult& result) {
  nlohmann::ordered_json json;
  json["schema_version"] = 1;
  json["config"] = config.path;
  json["kernel"] = config.kernel.name();
  json["seeds"] = result.runs;
  json["violating"] = result.violating;
  json["limited"] = result.limited;
  json["found"] = nlohmann::ordered_json::object();
  for (const auto& [outcome, runs] : result.kinds) json["found"][to_string(outcome)] = runs;
  json["smallest_failing_seed"] =
      result.smallest ? nlohmann::ordered_json(*result.smallest) : nlohmann::ordered_json(nullptr);
  json["expected"] = result.expected;
  json["met"] = result.met;
  json["wall_seconds"] = result.wall_seconds;
  return json.dump(2) + "\n";
}

}  // namespace shootdown::cosim
