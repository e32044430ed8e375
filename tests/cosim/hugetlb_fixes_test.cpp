// Shared tables of hugetlb entries: each fix makes the difference that its configuration shows.
#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>
#include <string>

#include "cosim/cli/seeds.h"
#include "support/scenario.h"

namespace shootdown::tests {
namespace {

struct Fix {
  const char* config;
  const char* without;  ///< kernels
  const char* with;
  const char* before;  ///< "kind/hop"
};
std::ostream& operator<<(std::ostream& out, const Fix& fix) { return out << fix.config; }

class HugetlbFixTest : public testing::TestWithParam<Fix> {};

TEST_P(HugetlbFixTest, MakesTheDifference) {
  const Fix& fix = GetParam();
  const std::string path = std::string("configs/") + fix.config + ".yaml";
  const auto without = run(load_file(path, {std::string("kernel=") + fix.without}));
  const auto found = violations_of(without);
  EXPECT_TRUE(without.met) << without.expected;
  EXPECT_NE(std::find(found.begin(), found.end(), fix.before), found.end())
      << testing::PrintToString(found);
  const auto with = run(load_file(path, {std::string("kernel=") + fix.with}));
  EXPECT_TRUE(with.met) << with.expected;
  EXPECT_TRUE(with.violations.empty()) << testing::PrintToString(violations_of(with));
}

INSTANTIATE_TEST_SUITE_P(
    Fixes, HugetlbFixTest,
    testing::Values(Fix{"hugetlb_split", "v6.1", "v6.2", "use-after-free/flush"},
                    Fix{"hugetlb_split", "{base: v6.7, revert: [b30c14cd6102]}", "v6.7",
                        "use-after-free/flush"},
                    Fix{"hugetlb_gup_fast", "v6.7", "{base: v6.7, apply: [1013af4f585f]}",
                        "table-use-after-free/table-sync"},
                    Fix{"hugetlb_gup_fast", "v6.1",
                        "{base: v6.7, apply: [1013af4f585f, 8ce720d5bd91]}",
                        "table-use-after-free/table-sync"},
                    Fix{"hugetlb_walk_cache", "v6.7",
                        "{base: v6.7, apply: [1013af4f585f, 8ce720d5bd91, c2ff4764e03e]}",
                        "stale-access/walk-cache"},
                    Fix{"hugetlb_walk_cache", "{base: v6.7, apply: [1013af4f585f, 8ce720d5bd91]}",
                        "{base: v6.1, apply: [1013af4f585f, 8ce720d5bd91, c2ff4764e03e]}",
                        "stale-access/walk-cache"}));

TEST(HugetlbTest, GupFastIsFoundByRandomSchedulesAndNotWithItsFix) {
  const std::string path = "configs/hugetlb_gup_fast.yaml";
  EXPECT_TRUE(cosim::run_seeds(load_file(path), 2000).met);
  const auto fixed =
      cosim::run_seeds(load_file(path, {"kernel={base: v6.7, apply: [1013af4f585f]}"}), 2000);
  EXPECT_EQ(fixed.violating, 0U);
  EXPECT_EQ(fixed.limited, 0U);
}

TEST(HugetlbTest, AnArchitectureThatFlushesByIpiNeedsNeitherWaitNorWalkCacheFlush) {
  for (const char* architecture : {"architecture=x86", "architecture=generic"}) {
    for (const char* config :
         {"configs/hugetlb_gup_fast.yaml", "configs/hugetlb_walk_cache.yaml"}) {
      const auto result = run(load_file(config, {architecture}));
      EXPECT_TRUE(result.violations.empty())
          << architecture << config << testing::PrintToString(violations_of(result));
    }
  }
}

}  // namespace
}  // namespace shootdown::tests
