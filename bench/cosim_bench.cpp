// DMA accesses through the whole co-simulation, checkers and event log included.
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "cosim/experiment/experiment.h"
#include "cosim/program/load.h"
#include "cosim/rtl/tlb_dut.h"

namespace shootdown::cosim {
namespace {

constexpr unsigned kAccesses = 100'000;
constexpr std::uint64_t kIdleCycles = 100'000'000;

Config make_config(const std::string& hardware, const std::string& steps) {
  const auto path =
      std::filesystem::temp_directory_path() / fmt::format("shootdown_bench_{}.yaml", ::getpid());
  {
    std::ofstream file(path);
    file << "schema_version: 1\ndescription: A benchmark.\nkernel: v6.6\nhardware: " << hardware
         << R"(
processes: {app: {regions: {heap: {at: 0x7f8000010000, pages: 16}}}}
devices: {nic0: {stream_id: 1, process: app}}
limits: {simulated_us: 1000000000, wall_seconds: 3600}
threads:
  main:
    on: cpu0
    process: app
    steps:
      - write: {at: heap, count: 16, stride_bytes: 4096, value: 1}
      - signal: mapped
  dma:
    on: nic0
    steps:
      - wait_for: mapped
      - read: {at: heap, count: 16, stride_bytes: 4096}
)" << steps;
  }
  Config config = load_experiment(path.string());
  std::filesystem::remove(path);
  return config;
}

std::string accesses() {
  return fmt::format("      - read: {{at: heap, count: {}, stride_bytes: 0}}\n", kAccesses);
}

void run_accesses(benchmark::State& state, const std::string& hardware) {
  const Config config = make_config(hardware, accesses());
  Experiment experiment(config);
  std::uint64_t cycles = 0;
  std::uint64_t rtl_before = 0;
  for (const auto& engine : experiment.platform().machine().rtl()) rtl_before += engine->cycles();
  for (auto _ : state) {
    if (experiment.run().verdict != Verdict::kPass) state.SkipWithError("the run failed");
    cycles += experiment.platform().simulated_ps() / config.hardware.clock_period_ps;
  }
  std::uint64_t rtl = 0;
  for (const auto& engine : experiment.platform().machine().rtl()) rtl += engine->cycles();
  state.SetItemsProcessed(state.iterations() * kAccesses);
  state.counters["sim_cycles/s"] =
      benchmark::Counter(static_cast<double>(cycles), benchmark::Counter::kIsRate);
  if (rtl != rtl_before) {
    state.counters["rtl_cycles/s"] =
        benchmark::Counter(static_cast<double>(rtl - rtl_before), benchmark::Counter::kIsRate);
  }
}

std::string hardware(const std::string& model, const std::string& geometry,
                     unsigned quantum_cycles) {
  return fmt::format("{{cpus: 1, quantum_cycles: {}, smmu: {{tlb: {{model: {}, {}}}}}}}",
                     quantum_cycles, model, geometry);
}

void dma_hit_systemc(benchmark::State& state) {
  run_accesses(state, hardware("systemc", "entries: 64, ways: 4", 0));
}
BENCHMARK(dma_hit_systemc)->Unit(benchmark::kMillisecond);

void dma_hit_systemc_run_ahead(benchmark::State& state) {
  run_accesses(state, hardware("systemc", "entries: 64, ways: 4", 10000));
}
BENCHMARK(dma_hit_systemc_run_ahead)->Unit(benchmark::kMillisecond);

void dma_hit_rtl(benchmark::State& state) {
  run_accesses(state, hardware("rtl", "entries: 64, ways: 64", 0));
}
BENCHMARK(dma_hit_rtl)->Unit(benchmark::kMillisecond);

void dma_hit_rtl_run_ahead(benchmark::State& state) {
  run_accesses(state, hardware("rtl", "entries: 64, ways: 64", 10000));
}
BENCHMARK(dma_hit_rtl_run_ahead)->Unit(benchmark::kMillisecond);

void dma_hit_lockstep(benchmark::State& state) {
  run_accesses(state, hardware("lockstep", "entries: 64, ways: 64", 0));
}
BENCHMARK(dma_hit_lockstep)->Unit(benchmark::kMillisecond);

/// Nothing to do for a long time: the RTL's clock stands still.
void idle_rtl(benchmark::State& state) {
  const Config config = make_config(hardware("rtl", "entries: 64, ways: 64", 0),
                                    fmt::format("      - delay_cycles: {}\n", kIdleCycles));
  Experiment experiment(config);
  std::uint64_t cycles = 0;
  for (auto _ : state) {
    experiment.run();
    cycles += experiment.platform().simulated_ps() / config.hardware.clock_period_ps;
  }
  state.counters["sim_cycles/s"] =
      benchmark::Counter(static_cast<double>(cycles), benchmark::Counter::kIsRate);
}
BENCHMARK(idle_rtl)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace shootdown::cosim
