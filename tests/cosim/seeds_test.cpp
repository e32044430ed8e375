// Random schedules: they find the races that the written schedules show, in kernels that have them
// and in no others, and a failing seed replays.
#include "cosim/experiment/seeds.h"

#include <gtest/gtest.h>

#include <ostream>
#include <string>

#include "support/scenario.h"

namespace shootdown::tests {
namespace {

struct Race {
  const char* config;
  const char* before;  ///< a kernel that has it
  const char* after;
  const char* kind;
  const char* hop;
  unsigned schedules{2000};  ///< enough to meet the race
};
std::ostream& operator<<(std::ostream& out, const Race& race) { return out << race.config; }

class SeedsTest : public testing::TestWithParam<Race> {};

TEST_P(SeedsTest, FindTheRaceInTheOldKernelOnly) {
  const Race& race = GetParam();
  const std::string path = std::string("configs/") + race.config + ".yaml";
  const auto old_kernel = load_file(path, {}, race.before);
  const auto found = cosim::run_seeds(old_kernel, race.schedules);
  EXPECT_TRUE(found.met) << cosim::seeds_text(old_kernel, found);
  const auto fixed = cosim::run_seeds(load_file(path, {}, race.after), race.schedules);
  EXPECT_EQ(fixed.violating, 0U);
  EXPECT_EQ(fixed.limited, 0U);
  EXPECT_EQ(fixed.runs, race.schedules);

  ASSERT_TRUE(found.smallest);
  auto replay = old_kernel;
  replay.random_schedule = *found.smallest;
  const auto again = run(replay);
  EXPECT_TRUE(has_violation(again, race.kind, race.hop))
      << *found.smallest << testing::PrintToString(violations_of(again));
  cosim::Experiment first(replay);
  cosim::Experiment second(replay);
  EXPECT_EQ(event_log_of(first), event_log_of(second));
}

INSTANTIATE_TEST_SUITE_P(
    Races, SeedsTest,
    testing::Values(Race{"changes/pfnmap_race", "v5.18", "v6.7", "use-after-free", "flush"},
                    Race{"changes/khugepaged_gup_fast", "v6.0", "v6.7", "table-use-after-free",
                         "table-sync", 3000},
                    Race{"changes/delayed_rmap", "v6.1", "v6.7", "lost-dirty", "rmap"},
                    Race{"permission_upgrade", "v6.5", "v6.6", "fault-loop", "notifier"}),
    [](const auto& test) {
      std::string name = test.param.config;
      std::replace(name.begin(), name.end(), '/', '_');
      return name;
    });

TEST(RandomScheduleTest, OneSeedIsOneOrderAndAnotherSeedAnother) {
  auto config = load_file("configs/unmap.yaml");
  const auto log_of = [&](std::uint64_t seed) {
    config.random_schedule = seed;
    cosim::Experiment experiment(config);
    return event_log_of(experiment);
  };
  EXPECT_EQ(log_of(3), log_of(3));
  EXPECT_NE(log_of(3), log_of(4));
}

TEST(RandomScheduleTest, ARunDoesNotDependOnTheRunsBeforeIt) {
  auto config = load_file("configs/changes/page_table_descriptors.yaml");
  config.random_schedule = 9;
  cosim::Experiment fresh(config);
  const std::string expected = event_log_of(fresh);
  cosim::Experiment used(config);
  for (const std::uint64_t seed : {5, 6, 7, 8}) {
    used.platform().set_random_schedule(seed);
    used.run();
  }
  used.platform().set_random_schedule(9);
  EXPECT_EQ(event_log_of(used), expected);
}

}  // namespace
}  // namespace shootdown::tests
