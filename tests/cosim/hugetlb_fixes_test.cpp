// Shared tables of hugetlb entries: each fix makes the difference that its configuration shows.
#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>
#include <string>
#include <utility>

#include "cosim/experiment/seeds.h"
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
    testing::Values(
        Fix{"hugetlb_split", "v6.1", "v6.2", "use-after-free/range"},
        Fix{"hugetlb_split", "{base: v6.7, revert: [b30c14cd6102]}", "v6.7",
            "use-after-free/range"},
        Fix{"hugetlb_split_race", "v6.7", "{base: v6.7, apply: [081056dc00a2]}",
            "use-after-free/range"},
        Fix{"hugetlb_split_race", "v6.2",
            "{base: v6.7, apply: [081056dc00a2, 1013af4f585f, 8ce720d5bd91, c2ff4764e03e]}",
            "use-after-free/range"},
        Fix{"hugetlb_gup_fast", "v6.7", "{base: v6.7, apply: [1013af4f585f]}",
            "table-use-after-free/table-sync"},
        Fix{"hugetlb_gup_fast", "v6.1", "{base: v6.7, apply: [1013af4f585f, 8ce720d5bd91]}",
            "table-use-after-free/table-sync"},
        Fix{"hugetlb_walk_cache", "v6.7",
            "{base: v6.7, apply: [1013af4f585f, 8ce720d5bd91, c2ff4764e03e]}",
            "stale-access/walk-cache"},
        Fix{"hugetlb_walk_cache", "{base: v6.7, apply: [1013af4f585f, 8ce720d5bd91]}",
            "{base: v6.1, apply: [1013af4f585f, 8ce720d5bd91, c2ff4764e03e]}",
            "stale-access/walk-cache"}));

TEST(HugetlbTest, RandomSchedulesFindTheRacesAndNoneWithTheFix) {
  for (const auto& [config, fix] : {std::pair{"configs/hugetlb_gup_fast.yaml", "1013af4f585f"},
                                    std::pair{"configs/hugetlb_split_race.yaml", "081056dc00a2"}}) {
    EXPECT_TRUE(cosim::run_seeds(load_file(config), 2000).met) << config;
    const auto fixed = cosim::run_seeds(
        load_file(config, {std::string("kernel={base: v6.7, apply: [") + fix + "]}"}), 2000);
    EXPECT_EQ(fixed.violating, 0U) << config;
    EXPECT_EQ(fixed.limited, 0U) << config;
  }
}

TEST(HugetlbTest, AWalkThatGoesAstrayIntoAnothersTableIsNoFaultOfTheHardware) {
  const auto result = run(load_file("tests/cosim/defects/hugetlb_stray_walk.yaml"));
  EXPECT_TRUE(has_violation(result, "isolation", "walk-cache"))
      << testing::PrintToString(violations_of(result));
  for (const auto& violation : result.violations)
    EXPECT_EQ(violation.missing_hop, cosim::Hop::kWalkCache);
  const auto fixed =
      run(load_file("tests/cosim/defects/hugetlb_stray_walk.yaml",
                    {"kernel={base: v6.7, apply: [1013af4f585f, 8ce720d5bd91, c2ff4764e03e]}"}));
  EXPECT_TRUE(fixed.violations.empty()) << testing::PrintToString(violations_of(fixed));
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
