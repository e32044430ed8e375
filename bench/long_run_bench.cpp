// How time and memory grow with the length of a run: the program itself, in a process of its own,
// on 10^5 to 10^7 accesses with pages dropped and mapped anew all along.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>

namespace {

constexpr unsigned kWritesAStep = 100;  // to one page, which is then dropped

/// `accesses` in all, shared by `cpus` threads of one process, each with pages of its own.
std::string configuration(std::int64_t accesses, std::int64_t cpus) {
  std::string text =
      "schema_version: 1\ndescription: A benchmark.\nkernel: v6.7\nhardware: {cpus: " +
      std::to_string(cpus) + "}\nlimits: {simulated_us: 1000000000, wall_seconds: 3600}\n" +
      "processes:\n  app:\n    regions:\n";
  for (std::int64_t cpu = 0; cpu < cpus; ++cpu) {
    text += "      heap" + std::to_string(cpu) +
            ": {at: " + std::to_string(0x7f80'0000'0000 + cpu * 0x10'0000) + ", pages: 4}\n";
  }
  text += "threads:\n";
  for (std::int64_t cpu = 0; cpu < cpus; ++cpu) {
    const std::string number = std::to_string(cpu);
    const std::string times = std::to_string(accesses / kWritesAStep / cpus);
    text += "  t" + number + ":\n    on: cpu" + number +
            "\n    process: app\n    steps:\n      - repeat: {times: " + times +
            ", steps: [{write: {at: heap" + number + ", count: " + std::to_string(kWritesAStep) +
            ", stride_bytes: 0}}, {madvise: {at: heap" + number + ", advice: dontneed}}]}\n";
  }
  return text + "expect: [{kernel: any, violation: none}]\n";
}

void long_run(benchmark::State& state) {
  const auto file = std::filesystem::temp_directory_path() /
                    ("shootdown_long_run_" + std::to_string(::getpid()) + ".yaml");
  std::ofstream(file) << configuration(state.range(1), state.range(0));
  std::string program = SHOOTDOWN_PROGRAM;
  std::string run = "run";
  std::string config = file.string();
  char* const arguments[] = {program.data(), run.data(), config.data(), nullptr};
  for (auto _ : state) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    const auto start = std::chrono::steady_clock::now();
    pid_t child = 0;
    int status = -1;
    rusage usage{};
    if (posix_spawn(&child, program.c_str(), &actions, nullptr, arguments, environ) == 0) {
      ::wait4(child, &status, 0, &usage);
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    posix_spawn_file_actions_destroy(&actions);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
      state.SkipWithError("the run did not pass");
      break;
    }
    state.SetIterationTime(took.count());
    state.counters["MiB"] = static_cast<double>(usage.ru_maxrss) / 1024;
    state.counters["ns_per_access"] = took.count() * 1e9 / static_cast<double>(state.range(1));
  }
  std::filesystem::remove(file);
}
BENCHMARK(long_run)
    ->ArgNames({"cpus", "accesses"})
    ->ArgsProduct({{1, 4, 16, 64}, {100'000, 1'000'000, 10'000'000}})
    ->UseManualTime()
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

}  // namespace
