// The same configuration and seed give the same event log, bit for bit.
#include <gtest/gtest.h>

#include "support/scenario.h"

namespace shootdown::tests {
namespace {

class DeterminismTest : public testing::TestWithParam<const char*> {};

TEST_P(DeterminismTest, SameSeedGivesTheSameEventLogOnOnePlatformAndOnAnother) {
  const auto config = load_file("configs/two_devices_four_cpus.yaml",
                                {std::string("hardware.smmu.tlb.model=") + GetParam(),
                                 std::string("hardware.cpu_tlb.model=") + GetParam()},
                                "v6.6");
  cosim::Experiment first(config);
  const std::string log = event_log_of(first);
  const std::string again = event_log_of(first);
  cosim::Experiment second(config);
  const std::string other = event_log_of(second);

  ASSERT_GT(log.size(), 100'000U);
  EXPECT_TRUE(log == again);
  EXPECT_TRUE(log == other);
}

INSTANTIATE_TEST_SUITE_P(Models, DeterminismTest, testing::Values("systemc", "rtl", "lockstep"));

TEST(DeterminismTest, AnAbortedRunLeavesNoTrace) {
  // The run ends in a fault loop: devices, queues and threads are unwound where they are.
  const auto looping = load_file("configs/two_devices_four_cpus.yaml", {}, "v6.5");
  cosim::Experiment experiment(looping);
  const std::string first = event_log_of(experiment);
  EXPECT_TRUE(first == event_log_of(experiment));
}

TEST(DeterminismTest, RandomReplacementFollowsTheSeed) {
  const std::vector<std::string> set{"hardware.smmu.tlb={entries: 4, ways: 4, replacement: random}",
                                     "hardware.cpu_tlb={entries: 4, ways: 4, replacement: random}"};
  auto log_with = [&](const std::string& seed) {
    auto settings = set;
    settings.push_back("seed=" + seed);
    const auto config = load_file("configs/two_devices_four_cpus.yaml", settings, "v6.6");
    cosim::Experiment experiment(config);
    return event_log_of(experiment);
  };
  EXPECT_TRUE(log_with("5") == log_with("5"));
  EXPECT_FALSE(log_with("5") == log_with("6"));
}

}  // namespace
}  // namespace shootdown::tests
