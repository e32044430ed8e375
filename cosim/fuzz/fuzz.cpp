#include "cosim/fuzz/fuzz.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>
#include <utility>

#include "cosim/config/strict_yaml.h"
#include "cosim/experiment/experiment.h"

namespace shootdown::cosim {

namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;

/// Numbers and addresses say where, not what.
std::string without_numbers(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size();) {
    const auto is_digit = [&](std::size_t at) {
      return at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])) != 0;
    };
    if (!is_digit(i)) {
      result += text[i++];
      continue;
    }
    const bool hex = text.substr(i).starts_with("0x");
    i += hex ? 2 : 0;
    while (is_digit(i) ||
           (hex && i < text.size() &&
            (text[i] == '_' || std::isxdigit(static_cast<unsigned char>(text[i])) != 0))) {
      ++i;
    }
    result += '#';
  }
  return result;
}

/// Where in the kernel it began: the functions around the store, else the first line.
std::string place_of(const Violation& violation) {
  const auto functions =
      std::find_if(violation.chain.begin(), violation.chain.end(),
                   [](const ChainItem& item) { return item.role == ChainRole::kFunctions; });
  if (functions != violation.chain.end()) return functions->text;
  return violation.chain.empty() ? std::string() : without_numbers(violation.chain.front().text);
}

Failure failure_of(const RunResult& result) {
  Failure failure;
  if (!result.violations.empty()) {
    const Violation& violation = result.violations.front();
    failure.kind = {.what = std::string(name_of(violation.kind)),
                    .hop = std::string(name_of(violation.missing_hop)),
                    .place = {}};
    failure.headline = violation.headline;
    for (const Outcome& outcome : outcomes_of(result)) {
      failure.all.push_back({.what = std::string(name_of(outcome.kind)),
                             .hop = std::string(name_of(outcome.hop)),
                             .place = {}});
    }
    failure.kind.place = place_of(violation);
    return failure;
  }
  // Who did not end differs from piece to piece; what they wait for does not.
  const auto of_all = result.limit.find("but ");
  const auto reason = result.limit.find("(waits for ");
  std::string place = without_numbers(result.limit.substr(0, of_all));
  if (reason != std::string::npos) {
    place += without_numbers(result.limit.substr(reason, result.limit.find(')') - reason + 1));
  }
  failure.kind = {.what = "limit", .hop = {}, .place = std::move(place)};
  failure.headline = result.limit;
  return failure;
}

}  // namespace

std::optional<Failure> try_draft(const Draft& draft, std::optional<std::uint64_t> schedule) {
  const Config config = load_experiment_text(draft.yaml(), draft.description);
  Experiment experiment(config);
  if (schedule) experiment.platform().set_random_schedule(*schedule);
  std::optional<Failure> failure;
  try {
    const RunResult result = experiment.run();
    if (result.verdict != Verdict::kPass) failure = failure_of(result);
  } catch (const std::exception& error) {
    failure = Failure{.kind = {.what = "error", .hop = {}, .place = without_numbers(error.what())},
                      .seed = 0,
                      .schedule = {},
                      .headline = error.what()};
  }
  if (failure) failure->schedule = schedule;
  return failure;
}

namespace {

/// A child process and the end of its pipe that is read.
struct Worker {
  pid_t process{};
  int results{};
  std::string line;
  std::optional<std::uint64_t> at;  // the seed it is at
  bool open{true};
};

/// What a child writes: JSON lines. {"at": seed}; {"done": seed, "runs": n}; a failure.
void work(const FuzzOptions& options, std::uint64_t first, std::uint64_t step,
          Clock::time_point start, std::FILE* out) {
  const auto out_of_time = [&] {
    return options.seconds_at_most > 0 &&
           std::chrono::duration<double>(Clock::now() - start).count() > options.seconds_at_most;
  };
  const auto say = [&](const Json& json) {
    fmt::print(out, "{}\n", json.dump());
    std::fflush(out);
  };
  std::map<FailureKind, std::uint64_t> known;
  for (std::uint64_t i = first; i < options.experiments_at_most && !out_of_time(); i += step) {
    const std::uint64_t seed = options.first_seed + i;
    say({{"at", seed}});
    const Draft draft = generate(seed, options.experiments);
    std::optional<Failure> failure;
    unsigned runs = 0;
    try {
      for (unsigned order = 0; order <= options.schedules && !failure; ++order) {
        const auto schedule =
            order == 0 ? std::nullopt : std::optional<std::uint64_t>(seed * 1000 + order);
        failure = try_draft(draft, schedule);
        ++runs;
      }
    } catch (const ConfigError& error) {
      // What is to be planted may be nothing for this machine; anything else is the generator's.
      if (options.experiments.inject.empty()) throw;
    }
    if (failure) {
      failure->seed = seed;
      const FailureKind kind = failure->kind;
      Json all = Json::array();
      for (const FailureKind& one : failure->all) all.push_back({one.hop, one.what});
      const auto in_order = failure->schedule;
      std::string file;
      // The first of a kind is worth the time.
      if (options.shrink && known[kind]++ == 0) file = shrink(draft, *failure).yaml();
      Json json{{"failed", seed},
                {"what", kind.what},
                {"hop", kind.hop},
                {"place", kind.place},
                {"headline", failure->headline},
                {"file", file}};
      json["all"] = std::move(all);
      if (in_order) json["in_order"] = *in_order;
      if (failure->schedule) json["schedule"] = *failure->schedule;
      say(json);
    }
    say({{"done", seed}, {"runs", runs}});
  }
}

Worker start_worker(const FuzzOptions& options, std::uint64_t first, std::uint64_t step,
                    Clock::time_point start) {
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
      work(options, first, step, start, out);
      status = 0;
    } catch (const std::exception& error) {
      fmt::print(stderr, "shootdown: {}\n", error.what());
    }
    std::fclose(out);
    // No destructors of what the parent owns.
    ::_exit(status);
  }
  ::close(ends[1]);
  return {.process = child, .results = ends[0], .line = {}, .at = {}, .open = true};
}

void take_line(Worker& worker, FuzzResult& result) {
  const Json json = Json::parse(std::exchange(worker.line, {}));
  if (json.contains("at")) {
    worker.at = json["at"].get<std::uint64_t>();
  } else if (json.contains("done")) {
    worker.at.reset();
    ++result.experiments;
    result.runs += json["runs"].get<std::uint64_t>();
  } else {
    ++result.failing;
    const FailureKind kind{json["what"], json["hop"], json["place"]};
    FuzzGroup& group = result.groups[kind];
    ++group.failures;
    for (const Json& one : json["all"]) {
      FuzzResult::Named& named = result.hops[{one[0], one[1]}];
      if (named.times++ != 0) continue;
      named.seed = json["failed"];
      if (json.contains("in_order")) named.schedule = json["in_order"].get<std::uint64_t>();
    }
    const std::string file = json["file"];
    const bool shorter = !file.empty() && (group.file.empty() || file.size() < group.file.size());
    if (group.failures > 1 && !shorter) return;
    group.file = file;
    group.shortest = {
        .kind = kind, .seed = json["failed"], .schedule = {}, .headline = json["headline"]};
    if (json.contains("schedule")) group.shortest.schedule = json["schedule"].get<std::uint64_t>();
  }
}

/// Reads what has come; closes at the end. The seed at which it crashed, if it did.
std::optional<std::uint64_t> read_from(Worker& worker, FuzzResult& result) {
  char buffer[4096];
  const ssize_t got = ::read(worker.results, buffer, sizeof buffer);
  for (ssize_t i = 0; i < got; ++i) {
    if (buffer[i] == '\n') {
      take_line(worker, result);
    } else {
      worker.line += buffer[i];
    }
  }
  if (got > 0) return std::nullopt;
  worker.open = false;
  ::close(worker.results);
  int status = 0;
  ::waitpid(worker.process, &status, 0);
  const bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  if (good || !worker.at) return std::nullopt;
  result.crashed.push_back(*worker.at);
  return worker.at;
}

}  // namespace

FuzzResult run_fuzz(const FuzzOptions& options) {
  const auto start = Clock::now();
  FuzzResult result;
  const std::uint64_t count = std::max(1U, std::thread::hardware_concurrency());
  std::vector<Worker> workers;
  for (std::uint64_t i = 0; i < count; ++i) {
    workers.push_back(start_worker(options, i, count, start));
  }
  while (std::any_of(workers.begin(), workers.end(), [](const auto& one) { return one.open; })) {
    std::vector<pollfd> ready;
    for (const Worker& worker : workers) {
      ready.push_back({.fd = worker.open ? worker.results : -1, .events = POLLIN, .revents = 0});
    }
    ::poll(ready.data(), ready.size(), -1);
    for (std::size_t i = 0; i < workers.size(); ++i) {
      if (ready[i].revents == 0) continue;
      // The next one goes on behind what has crashed.
      if (const auto crashed = read_from(workers[i], result)) {
        workers[i] = start_worker(options, *crashed - options.first_seed + count, count, start);
      }
    }
  }
  result.wall_seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return result;
}

std::string fuzz_text(const FuzzOptions& options, const FuzzResult& result) {
  std::string text =
      fmt::format("{} experiments, {} runs in {:.0f} s: {} failed\n", result.experiments,
                  result.runs, result.wall_seconds, result.failing);
  if (!options.experiments.inject.empty()) {
    text += "injected: " + options.experiments.inject + "\n";
  }
  if (!options.experiments.inject.empty()) {
    for (const auto& [what, named] : result.hops) {
      text += fmt::format("{:6}  hop {:12} of {:22} experiment {}{}\n", named.times, what.first,
                          what.second, named.seed,
                          named.schedule ? fmt::format(", --seed {}", *named.schedule) : "");
    }
  }
  for (const auto& [kind, group] : result.groups) {
    text += fmt::format("\n{:6}  {}{}{}   at: {}\n        {}\n", group.failures, kind.what,
                        kind.hop.empty() ? "" : ", hop ", kind.hop, kind.place,
                        group.shortest.headline);
    text += fmt::format(
        "        experiment {}{}\n", group.shortest.seed,
        group.shortest.schedule ? fmt::format(", --seed {}", *group.shortest.schedule) : "");
  }
  for (const std::uint64_t seed : result.crashed) {
    text += fmt::format("\na worker crashed at experiment {}\n", seed);
  }
  return text;
}

}  // namespace shootdown::cosim
