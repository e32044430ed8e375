// What the platform promises beside correctness: cost of a hit, many runs, limits, stuck programs.
#include <gtest/gtest.h>

#include <stdexcept>

#include "support/scenario.h"

namespace shootdown::tests {
namespace {

std::string hits(unsigned count) {
  return small_machine(R"(
threads:
  app_main:
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
      - read: {at: heap, stride_bytes: 0, count: )" +
                       std::to_string(count) + "}\n");
}

std::uint64_t activations_of(const std::string& yaml) {
  const auto config = load_text(yaml);
  cosim::Experiment experiment(config);
  const std::uint64_t before = experiment.platform().simulation().activations();
  EXPECT_EQ(experiment.run().verdict, cosim::Verdict::kPass);
  return experiment.platform().simulation().activations() - before;
}

TEST(PlatformTest, DmaHitTakesAtMostTwoProcessActivations) {
  const std::uint64_t few = activations_of(hits(1000));
  const std::uint64_t many = activations_of(hits(3000));
  EXPECT_LE(many - few, 2U * 2000U);
  EXPECT_GT(many, few);
}

TEST(PlatformTest, RunsHundredsOfTimesFromTheSameState) {
  const auto config = load_text(hits(10));
  cosim::Experiment experiment(config);
  const auto first = experiment.run();
  const auto counters = experiment.counters();
  for (int i = 0; i < 300; ++i) {
    const auto again = experiment.run();
    ASSERT_EQ(again.simulated_ps, first.simulated_ps);
    ASSERT_EQ(experiment.counters(), counters);
  }
}

TEST(PlatformTest, CpuAndDeviceStandForOn) {
  const auto on = load_text(hits(10));
  std::string text = hits(10);
  text.replace(text.find("on: cpu0"), 8, "cpu: cpu0");
  text.replace(text.find("on: nic0"), 8, "device: nic0");
  EXPECT_EQ(run(load_text(text)).simulated_ps, run(on).simulated_ps);
}

TEST(PlatformTest, SimulatedTimeLimitEndsTheRun) {
  const auto config = load_text(hits(100000), {"limits.simulated_us=50"});
  const auto result = run(config);
  EXPECT_EQ(result.verdict, cosim::Verdict::kLimit);
  EXPECT_NE(result.limit.find("simulated_us"), std::string::npos);
  EXPECT_LE(result.simulated_ps, 50'000'000U);
}

TEST(PlatformTest, ProgramThatWaitsForEverIsNamed) {
  // Each waits for the other.
  const auto config = load_text(small_machine(R"(
threads:
  one: {on: cpu0, process: app, steps: [{wait_for: b}, {signal: a}]}
  two: {on: nic0, steps: [{wait_for: a}, {signal: b}]}
)"));
  const auto result = run(config);
  EXPECT_EQ(result.verdict, cosim::Verdict::kLimit);
  EXPECT_NE(result.limit.find("one (waits for signal b), two (waits for signal a) did not end"),
            std::string::npos)
      << result.limit;
}

TEST(PlatformTest, AccessToUnmappedMemoryEndsTheThreadWithSigsegv) {
  const auto config = load_text(small_machine(R"(
threads:
  one: {on: cpu0, process: app, steps: [{write: heap}, {munmap: heap}, {read: heap}, {write: file}]}
)"));
  const auto result = run(config);
  ASSERT_EQ(result.remarks.size(), 1U);
  EXPECT_NE(result.remarks[0].find("SIGSEGV"), std::string::npos);
}

TEST(PlatformTest, AThreadThatIsKilledTakesNobodyWithIt) {
  const auto config = load_text(R"(schema_version: 1
description: One process faults, the other goes on.
kernel: v6.6
hardware: {cpus: 2}
processes:
  a: {regions: {heap: {at: 0x10000000, pages: 4, protection: read_only}}}
  b: {regions: {heap: {at: 0x20000000, pages: 4}}}
threads:
  killed: {on: cpu0, process: a, steps: [{write: heap}]}
  other: {on: cpu1, process: b, steps: [{write: {at: heap, count: 50}}, {write: {at: heap, count: 50}}]}
)");
  cosim::Experiment experiment(config);
  EXPECT_EQ(experiment.run().remarks.size(), 1U);
  EXPECT_EQ(experiment.counters().at("cpu1.accesses"), 100U);
}

TEST(PlatformTest, TooLittleMemoryIsTheUsersMistake) {
  const auto config = load_text(small_machine(R"(
hardware: {memory: {size_bytes: 4194304}}
threads:
  one: {on: cpu0, process: app, steps: [{write: {at: big, count: 4, stride_bytes: 0x200000}}]}
)"),
                                {"processes.app.regions.big={at: 0x7f9000000000, pages: 4, "
                                 "page_size: 2MiB}"});
  EXPECT_THROW(run(config), std::runtime_error);
}

TEST(PlatformTest, TinyQueuesAndFewStagsDelayButDoNotDeadlock) {
  for (const char* setting : {"hardware.smmu.stall_max=1", "hardware.smmu.event_queue_entries=1"}) {
    const auto result = run(load_file("configs/two_devices_four_cpus.yaml", {setting}, "v6.6"));
    EXPECT_EQ(result.verdict, cosim::Verdict::kPass)
        << setting << ": " << result.limit << testing::PrintToString(violations_of(result));
  }
}

TEST(PlatformTest, ThreadsShareACpuAndItsTlb) {
  const auto config = load_text(R"(schema_version: 1
description: Two processes on one CPU.
kernel: v6.6
hardware: {cpus: 1}
processes:
  a: {regions: {heap: {at: 0x10000000, pages: 4}}}
  b: {regions: {heap: {at: 0x10000000, pages: 4}}}
threads:
  first: {on: cpu0, process: a, steps: [{write: {at: heap, value: 1, count: 64}}, {delay_cycles: 500}, {read: {at: heap, count: 64}}]}
  second: {on: cpu0, process: b, steps: [{write: {at: heap, value: 2, count: 64}}, {delay_cycles: 700}, {read: {at: heap, count: 64}}]}
)");
  cosim::Experiment experiment(config);
  EXPECT_EQ(experiment.run().verdict, cosim::Verdict::kPass);
  EXPECT_GT(experiment.counters().at("cpu0.tlb_hits"), 100U);
}

TEST(PlatformTest, QuantumKeepsResultsOfIndependentWork) {
  // Run-ahead changes the order between initiators, not what one of them does.
  const auto exactly = load_text(hits(500));
  const auto running_ahead = load_text(hits(500), {"hardware.quantum_cycles=1000"});
  cosim::Experiment exact(exactly);
  exact.run();
  cosim::Experiment ahead(running_ahead);
  EXPECT_EQ(ahead.run().verdict, cosim::Verdict::kPass);
  EXPECT_EQ(ahead.counters().at("smmu0.accesses"), exact.counters().at("smmu0.accesses"));
}

TEST(PlatformTest, RtlRunningAheadAnswersTheDeviceThatAsked) {
  // With every quantum, some look-up ends where its process gives way to the other device.
  for (unsigned quantum = 1; quantum <= 12; ++quantum) {
    const auto config = load_text(R"(schema_version: 1
description: Two devices share the TLB of the SMMU, and each reads pages of its own.
kernel: v6.6
hardware: {cpus: 1, smmu: {tlb: {model: lockstep, entries: 16, ways: 4}}}
processes: {app: {regions: {heap: {at: 0x10000000, pages: 16}}}}
devices:
  nic0: {stream_id: 1, process: app}
  nic1: {stream_id: 2, process: app}
threads:
  main: {on: cpu0, process: app, steps: [{write: {at: heap, count: 16, stride_bytes: 4096}}, {signal: mapped}]}
  one: {on: nic0, steps: [{wait_for: mapped}, {read: {at: heap, count: 40, stride_bytes: 0}}]}
  two: {on: nic1, steps: [{wait_for: mapped}, {read: {at: heap + 0x3000, count: 40, stride_bytes: 0}}]}
)",
                                  {"hardware.quantum_cycles=" + std::to_string(quantum)});
    cosim::Experiment experiment(config);
    const auto result = experiment.run();
    EXPECT_EQ(result.verdict, cosim::Verdict::kPass)
        << "quantum " << quantum << testing::PrintToString(violations_of(result));
    EXPECT_GE(experiment.counters().at("smmu0.tlb_hits"), 70U);
  }
}

TEST(PlatformTest, RtlRunningAheadPublishesAFillBeforeWhatFollowsIt) {
  // A small TLB that is always refilled while a page goes away: with some quantum, a fill ends
  // where its process would give way to the invalidation of the same page.
  std::string reads;
  for (int i = 0; i < 60; ++i) reads += ", {read: {at: heap, count: 5, stride_bytes: 4096}}";
  for (const unsigned quantum : {309U, 310U, 311U, 312U, 313U, 314U, 315U}) {
    for (const char* model : {"rtl", "lockstep"}) {
      const auto config = load_text(R"(schema_version: 1
description: Devices fill the TLB of the SMMU while a page of theirs is unmapped.
kernel: v6.6
hardware: {cpus: 2, smmu: {walkers: 4, tlb: {entries: 4, ways: 4}}}
processes: {app: {regions: {heap: {at: 0x7f8000010000, pages: 8}}}}
devices:
  nic0: {stream_id: 1, process: app, retry: {attempts: 1, delay_cycles: 10}}
  nic1: {stream_id: 2, process: app, retry: {attempts: 1, delay_cycles: 10}}
  nic2: {stream_id: 3, process: app, retry: {attempts: 1, delay_cycles: 10}}
limits: {simulated_us: 30}
threads:
  main: {on: cpu1, process: app, steps: [{write: {at: heap, count: 8, stride_bytes: 4096, value: 1}}, {signal: mapped}, {delay_cycles: 111}, {munmap: {at: heap, pages: 1}}]}
  a: {on: nic0, steps: [{wait_for: mapped})" +
                                        reads +
                                        R"(]}
  b: {on: nic1, steps: [{wait_for: mapped})" +
                                        reads + R"(]}
  c: {on: nic2, steps: [{wait_for: mapped})" +
                                        reads + "]}\n",
                                    {"hardware.quantum_cycles=" + std::to_string(quantum),
                                     std::string("hardware.smmu.tlb.model=") + model});
      EXPECT_TRUE(violations_of(run(config)).empty()) << model << ", quantum " << quantum;
    }
  }
}

}  // namespace
}  // namespace shootdown::tests
