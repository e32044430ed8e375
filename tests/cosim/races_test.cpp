// Races between invalidations and what they invalidate: with the rule kept nothing is found, with
// the rule broken the checker that guards it fires.
#include <gtest/gtest.h>

#include <ostream>
#include <string>

#include "support/scenario.h"

namespace shootdown::tests {
namespace {

// A CPU unmaps pages that another one keeps reading; messages between CPUs are slow.
const char* const kSlowBroadcast = R"(
hardware: {cpus: 2, dvm_latency_cycles: 5000}
limits: {simulated_us: 1000000}
threads:
  unmapper:
    on: cpu0
    process: app
    steps:
      - write: {at: heap, count: 4, stride_bytes: 4096, value: 1}
      - signal: mapped
      - wait_for: warm
      - munmap: heap
  reader:
    on: cpu1
    process: app
    steps:
      - wait_for: mapped
      - read: {at: heap, count: 4, stride_bytes: 4096}
      - signal: warm
      - read: {at: heap, count: 2000, stride_bytes: 0}
)";

// A device keeps accessing pages whose protection changes; SMMU invalidations are slow.
const char* const kSlowInvalidation = R"(
hardware: {cpus: 1, smmu: {tlb: {invalidate_latency_cycles: 20000}}}
limits: {simulated_us: 1000000}
threads:
  protector:
    on: cpu0
    process: app
    steps:
      - delay_cycles: 50000                # the driver's own invalidations at boot are over
      - write: {at: heap, count: 4, stride_bytes: 4096, value: 1}
      - signal: mapped
      - wait_for: warm
      - mprotect: {at: heap, protection: read_only}
  dma:
    on: nic0
    steps:
      - wait_for: mapped
      - write: {at: heap, count: 4, stride_bytes: 4096, value: 2}
      - signal: warm
      - write: {at: heap, count: 1000, stride_bytes: 0, value: 3}
)";

// The walker is slow and the TLB holds one page: walks are long on their way. The device goes back
// and forth between two pages whose protection changes all the time.
std::string slow_walks(const std::string& hardware, const std::string& user,
                       const std::string& where) {
  std::string protects;
  std::string accesses;
  for (int round = 0; round < 24; ++round) {
    const std::string at = round % 2 == 0 ? "heap" : "heap + 0x1000";
    protects += "      - mprotect: {at: " + at + ", pages: 1, protection: read_only}\n";
    protects += "      - delay_cycles: " + std::to_string(300 + 400 * (round % 5)) + "\n";
    protects += "      - mprotect: {at: " + at + ", pages: 1, protection: read_write}\n";
    protects += "      - write: {at: " + at + ", value: 1}\n";
    protects += "      - delay_cycles: " + std::to_string(200 + 300 * (round % 7)) + "\n";
  }
  for (int round = 0; round < 250; ++round) {
    accesses += "      - " + where + ": {at: heap, count: 2, stride_bytes: 4096}\n";
  }
  return "\nhardware: {cpus: 2, " + hardware + R"(}
limits: {simulated_us: 1000000}
threads:
  protector:
    on: cpu0
    process: app
    steps:
      - write: {at: heap, count: 2, stride_bytes: 4096, value: 1}
      - signal: mapped
      - wait_for: warm
)" + protects +
         "  user:\n    on: " + user + R"(
    steps:
      - wait_for: mapped
      - read: {at: heap, count: 2, stride_bytes: 4096}
      - signal: warm
)" + accesses;
}

std::string slow_device_walks(const std::string& caches) {
  return slow_walks("smmu: {walk_step_cycles: 2500, " + caches + "}", "nic0", "write");
}

constexpr const char* kOnePage = "tlb: {entries: 1, ways: 1}, walk_cache_entries: 0";
// Both pages fit, so that a stale entry is used again. A walk that starts at the last level reads
// the entry at once and is overtaken afterwards.
constexpr const char* kTwoPages = "tlb: {entries: 2, ways: 2}, walk_cache_entries: 16";

std::string slow_cpu_walks(const std::string& where) {
  return slow_walks(
      "cpu_tlb: {entries: 1, ways: 1, walk_step_cycles: 2500, "
      "walk_cache_entries: 0}",
      "cpu1\n    process: app", where);
}

// The device has an ATC and never rests; the driver may send the two invalidations in either order.
const char* const kBusyAtc = R"(
hardware: {cpus: 1, smmu: {tlb: {invalidate_latency_cycles: 3000}}}
limits: {simulated_us: 1000000}
threads:
  unmapper:
    on: cpu0
    process: app
    steps:
      - write: {at: heap, count: 4, stride_bytes: 4096, value: 1}
      - signal: mapped
      - wait_for: warm
      - munmap: heap
  dma:
    on: nic0
    steps:
      - wait_for: mapped
      - read: {at: heap, count: 4, stride_bytes: 4096}
      - signal: warm
      - read: {at: heap, count: 600, stride_bytes: 0}
)";

// CPU 1 walks for a clean page while CPU 0 makes it writable: the walk has read the old entry when
// the TLBI overtakes it.
const char* const kOvertakenCpuWalk = R"(
hardware: {cpus: 2, cpu_tlb: {walk_step_cycles: 2500}}
threads:
  upgrader:
    on: cpu0
    process: app
    steps:
      - read: {at: file, count: 16, stride_bytes: 4096}
      - signal: ready
      - wait_for: go
      - write: {at: file + 0x1000, value: 1}
  walker:
    on: cpu1
    process: app
    steps:
      - wait_for: ready
      - read: file                         # fills the walk cache: the next walk reads the entry at once
      - signal: go
      - read: file + 0x1000
      - delay_cycles: 50000
      - write: {at: file + 0x1000, value: 2}
)";

struct Case {
  const char* injection;
  std::string body;
  const char* violation;
  const char* hop;
  bool atc;
};
std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.injection << " as " << c.violation;
}

std::vector<std::string> settings(const Case& c, bool planted) {
  std::vector<std::string> set;
  if (planted) set.push_back(std::string("inject=[") + c.injection + "]");
  if (c.atc) set.push_back("devices.nic0.atc=true");
  // A write that is refused is not tried again: the page may stay read-only.
  set.push_back("devices.nic0.retry={attempts: 0}");
  return set;
}

class RaceTest : public testing::TestWithParam<Case> {};

/// Whether a race is met depends on every latency: each case is run as it is, and in random orders,
/// until it is met.
constexpr std::uint64_t kOrders = 60;

cosim::RunResult run_in_order(const Case& c, bool planted, std::uint64_t seed) {
  cosim::Config config = load_text(small_machine(c.body), settings(c, planted));
  if (seed != 0) config.random_schedule = seed;
  return run(config);
}

TEST_P(RaceTest, BrokenRuleIsFound) {
  std::vector<std::string> seen;
  for (std::uint64_t seed = 0; seed <= kOrders; ++seed) {
    const auto result = run_in_order(GetParam(), true, seed);
    if (has_violation(result, GetParam().violation, GetParam().hop)) return;
    for (const std::string& one : violations_of(result)) seen.push_back(one);
  }
  ADD_FAILURE() << testing::PrintToString(seen);
}

TEST_P(RaceTest, KeptRuleIsSilent) {
  for (std::uint64_t seed = 0; seed <= kOrders; ++seed) {
    const auto result = run_in_order(GetParam(), false, seed);
    EXPECT_TRUE(result.violations.empty()) << seed << testing::PrintToString(violations_of(result));
    EXPECT_NE(result.verdict, cosim::Verdict::kLimit) << seed << ": " << result.limit;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Table, RaceTest,
    testing::Values(
        Case{"skip_dsb", kSlowBroadcast, "use-after-free", "dsb", false},
        Case{"skip_dsb", kSlowBroadcast, "stale-access", "dsb", false},
        Case{"cpu_tlb_ignores_tlbi", kSlowBroadcast, "stale-access", "hardware", false},
        Case{"skip_cmd_sync", kSlowInvalidation, "write-after-protect", "sync", false},
        Case{"smmu_sync_completes_early", kSlowInvalidation, "sync-order", "sync", false},
        Case{"smmu_sync_completes_early", kSlowInvalidation, "write-after-protect", "sync", false},
        Case{"smmu_sync_skips_drain", slow_device_walks(kOnePage), "sync-order", "sync", false},
        Case{"smmu_overtaken_fill", slow_device_walks(kTwoPages), "write-after-protect", "hardware",
             false},
        Case{"cpu_overtaken_fill", kOvertakenCpuWalk, "fault-loop", "hardware", false},
        Case{"cpu_dsb_completes_early", slow_cpu_walks("read"), "sync-order", "dsb", false},
        Case{"atc_inv_before_tlbi", kBusyAtc, "stale-access", "atc-order", true}));

}  // namespace
}  // namespace shootdown::tests
