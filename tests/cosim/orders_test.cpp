// Orders of operations that a correct kernel survives: each file of orders/ holds one actor where
// it hurts. Releases before a fix may find its race there too, so that the newest one is run.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <ostream>
#include <string>
#include <vector>

#include "support/scenario.h"

namespace shootdown::tests {
namespace {

std::vector<std::string> all_orders() {
  std::vector<std::string> names;
  const std::string folder = std::string(SHOOTDOWN_SOURCE_DIR) + "/tests/cosim/orders";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class OrderTest : public testing::TestWithParam<std::string> {};

TEST_P(OrderTest, IsSurvivedWithAndWithoutItsSchedule) {
  auto config = load_file("tests/cosim/orders/" + GetParam() + ".yaml");
  const auto result = run(config);
  EXPECT_EQ(result.verdict, cosim::Verdict::kPass)
      << testing::PrintToString(violations_of(result)) << result.limit;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    config.random_schedule = seed;
    const auto random = run(config);
    EXPECT_EQ(random.verdict, cosim::Verdict::kPass)
        << "seed " << seed << testing::PrintToString(violations_of(random)) << random.limit;
  }
}

INSTANTIATE_TEST_SUITE_P(All, OrderTest, testing::ValuesIn(all_orders()),
                         [](const auto& test) { return test.param; });

TEST(OrderTest, ANumaHintDoesNotGiveWritePermissionBack) {
  const auto result = run(load_file("tests/cosim/orders/mprotect_of_numa_hint.yaml"));
  ASSERT_FALSE(result.remarks.empty());
  EXPECT_NE(result.remarks[0].find("SIGSEGV"), std::string::npos) << result.remarks[0];
}

TEST(OrderTest, MadviseFreeWithoutItsFlushLosesWhatIsWrittenAfterIt) {
  const auto result = run(load_file("tests/cosim/orders/write_during_madvise_free.yaml",
                                    {"inject=[skip_madvise_free_flush]"}));
  EXPECT_TRUE(has_violation(result, "lost-dirty", "flush"))
      << testing::PrintToString(violations_of(result));
}

}  // namespace
}  // namespace shootdown::tests
