// Experiments that once ended wrongly: each file of cases/ says what is right, and stands for its
// kind. How each went wrong stands beside its name.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "support/scenario.h"

namespace shootdown::tests {
namespace {

std::vector<std::string> all_cases() {
  std::vector<std::string> names;
  const std::string folder = std::string(SHOOTDOWN_SOURCE_DIR) + "/tests/cosim/cases";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

cosim::Config load_case(const std::string& name, const std::vector<std::string>& set = {}) {
  return load_file("tests/cosim/cases/" + name + ".yaml", set);
}

void passes_in_orders(const std::string& name) {
  auto config = load_case(name);
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    config.random_schedule = seed;
    const auto result = run(config);
    EXPECT_EQ(result.verdict, cosim::Verdict::kPass)
        << seed << testing::PrintToString(violations_of(result)) << result.limit;
  }
}

class CaseTest : public testing::TestWithParam<std::string> {};

TEST_P(CaseTest, EndsAsItsFileSays) {
  const auto result = run(load_case(GetParam()));
  EXPECT_TRUE(result.met) << testing::PrintToString(violations_of(result)) << result.limit;
}

INSTANTIATE_TEST_SUITE_P(All, CaseTest, testing::ValuesIn(all_cases()),
                         [](const auto& test) { return test.param; });

/// At exit the driver is told before the entries are cleared: each hop of that chain by its name.
TEST(CaseTest, AtExitEachHopOfTheReleaseIsNamed) {
  const auto hop_is = [](const std::vector<std::string>& set, const char* hop) {
    const auto result = run(load_case("exit_missing_tlbi", set));
    EXPECT_TRUE(has_violation(result, "use-after-free", hop))
        << hop << testing::PrintToString(violations_of(result));
  };
  hop_is({"inject=[wrong_asid_smmu_tlbi]"}, "asid");
  hop_is({"inject=[skip_atc_inv]", "devices.gpu0.atc=true"}, "atc");
}

/// The last record came into a queue that had been emptied while it was written.
TEST(CaseTest, TwoFaultingDevicesEndInEveryOrder) { passes_in_orders("two_faulting_devices"); }

/// The entry is not there any more when the device gives up: the hop is that of the last fault.
TEST(CaseTest, ALoopIsPutDownToTheEntryThatItMet) {
  auto config = load_case("given_up_after_exit");
  unsigned loops = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    config.random_schedule = seed;
    for (const auto& violation : run(config).violations) {
      EXPECT_EQ(cosim::name_of(violation.missing_hop), "notifier") << seed;
      ++loops;
    }
  }
  EXPECT_GT(loops, 0U);
}

/// Experiments that `shootdown fuzz` found: what went wrong stands in their descriptions.
class FoundByFuzzTest : public testing::TestWithParam<const char*> {};

TEST_P(FoundByFuzzTest, EndsWellInEveryOrder) { passes_in_orders(GetParam()); }

INSTANTIATE_TEST_SUITE_P(All, FoundByFuzzTest,
                         testing::Values("batched_unmap_beside_zap", "block_and_pages_of_one_file",
                                         "block_mapped_again", "early_retry_held",
                                         "revoke_beside_mmap", "small_page_before_block",
                                         "small_page_before_flush", "split_beside_write",
                                         "split_dontneed_write", "writeback_beside_reclaim",
                                         "zap_beside_writeback_of_block"),
                         [](const auto& test) { return std::string(test.param); });

/// A completion that comes too early is a hop of its own, for both kinds of barrier.
TEST(CaseTest, AnEarlyBarrierIsNamedAndNotTheHardware) {
  const auto result = run(load_case("early_dsb_hop"));
  EXPECT_FALSE(has_violation(result, "stale-access", "hardware"));
}

/// One cause, two findings: both name it, and both tell it in order of time.
TEST(CaseTest, AChainIsToldInOrderOfTime) {
  const auto result = run(load_case("lost_dirty_hop"));
  ASSERT_GE(result.violations.size(), 2U);
  for (const cosim::Violation& violation : result.violations) {
    std::uint64_t last = 0;
    for (const cosim::ChainItem& item : violation.chain) {
      if (!item.happened) continue;
      EXPECT_GE(item.time_ps, last) << item.text;
      last = item.time_ps;
    }
  }
}

/// Another thread's gather in the same address space is no excuse for a loop, and hides none of its
/// rounds.
TEST(CaseTest, AFaultLoopIsCountedWhileOthersFlushElsewhere) {
  const auto config = load_case("fault_loop_beside_mprotect");
  const auto result = run(config);
  ASSERT_EQ(result.violations.size(), 1U);
  const cosim::Violation& loop = result.violations.front();
  EXPECT_EQ(loop.kind, cosim::ViolationKind::kFaultLoop);
  EXPECT_EQ(loop.count, config.checkers.fault_loop_faults);
  // Rounds follow each other without a gap: what is counted is what happened.
  cosim::Experiment experiment(config);
  std::uint64_t faults = 0;
  const std::string log = event_log_of(experiment);
  for (std::size_t at = 0; (at = log.find("\"translation_fault\"", at)) != std::string::npos;
       ++at) {
    ++faults;
  }
  EXPECT_LE(faults, loop.count + 20U) << "few are before the upgrade or within its flush";
}

}  // namespace
}  // namespace shootdown::tests
