// The ten changes: each one alone makes the difference that its configuration shows.
#include <gtest/gtest.h>

#include <ostream>
#include <sstream>
#include <string>
#include <vector>

#include "cosim/observe/counters.h"
#include "cosim/observe/event_writer.h"
#include "support/scenario.h"

namespace shootdown::tests {
namespace {

struct Change {
  const char* hash;
  const char* config;
  const char* before;  ///< "kind/hop"; empty: none
  const char* base{"v6.7"};
};
std::ostream& operator<<(std::ostream& out, const Change& c) { return out << c.hash; }

class ChangeTest : public testing::TestWithParam<Change> {};

TEST_P(ChangeTest, AloneBringsTheOldBehaviourBack) {
  const Change& c = GetParam();
  const std::string path = std::string("configs/") + c.config;
  const auto with = run(load_file(path, {}, c.base));
  const auto without = run(
      load_file(path, {std::string("kernel={base: ") + c.base + ", revert: [" + c.hash + "]}"}));

  EXPECT_TRUE(with.violations.empty()) << testing::PrintToString(violations_of(with));
  EXPECT_TRUE(with.met) << with.expected;
  EXPECT_TRUE(without.met) << without.expected;
  if (*c.before == '\0') {
    EXPECT_NE(cosim::cost_of(with.totals), cosim::cost_of(without.totals));
  } else {
    const auto found = violations_of(without);
    EXPECT_NE(std::find(found.begin(), found.end(), c.before), found.end())
        << testing::PrintToString(found);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Changes, ChangeTest,
    testing::Values(Change{"c9fe66560bf2", "changes/mprotect_needs_flush.yaml", ""},
                    Change{"b67fbebd4cf9", "changes/pfnmap_race.yaml", "use-after-free/flush"},
                    Change{"7fb5e5083190", "changes/no_range.yaml", ""},
                    Change{"2ba99c5e0881", "changes/khugepaged_gup_fast.yaml",
                           "table-use-after-free/table-sync", "v6.5"},
                    Change{"5df397dec7c4", "changes/delayed_rmap.yaml", "lost-dirty/rmap"},
                    Change{"6bbd42e2df8f", "permission_upgrade.yaml", "fault-loop/notifier"}),
    [](const auto& test) { return std::string(test.param.hash); });

TEST(ChangesTest, PfnmapRaceReachesCpuAndDevice) {
  // With the notifier in the flush nothing else tells the SMMU before the frames are freed.
  const auto result = run(load_file("configs/changes/pfnmap_race.yaml",
                                    {"kernel={base: v6.7, revert: [b67fbebd4cf9]}"}));
  std::vector<std::string> who;
  for (const auto& violation : result.violations) who.push_back(violation.actor_name);
  EXPECT_NE(std::find(who.begin(), who.end(), "cpu1"), who.end());
  EXPECT_NE(std::find(who.begin(), who.end(), "gpu0"), who.end());
}

TEST(ChangesTest, AnArchitectureThatFlushesByIpiHasNoRaceWithGupFast) {
  for (const char* architecture : {"x86", "generic"}) {
    const auto result =
        run(load_file("configs/changes/khugepaged_gup_fast.yaml",
                      {std::string("architecture=") + architecture, "kernel=v6.0"}));
    EXPECT_TRUE(result.violations.empty())
        << architecture << testing::PrintToString(violations_of(result));
    ASSERT_EQ(result.remarks.size(), 1U);
    EXPECT_NE(result.remarks[0].find("which came later"), std::string::npos);
  }
}

/// All events but the names of the functions around an area.
std::string events_without_hooks(const cosim::Config& config) {
  cosim::Experiment experiment(config);
  std::istringstream lines(event_log_of(experiment));
  std::string text;
  for (std::string line; std::getline(lines, line);) {
    if (line.find("tlb_start_vma") != std::string::npos) continue;
    if (line.find("tlb_end_vma") != std::string::npos) continue;
    // The numbers of events behind the ones left out differ.
    const auto seq = line.find("\"seq\":");
    line.erase(seq, line.find(',', seq) - seq);
    text += line + "\n";
  }
  return text;
}

TEST(ChangesTest, ThreeImplementationsOfTheVmaHooksFlushAlike) {
  // Every combination of the knobs that Kconfig permits, with a driver's area among the others.
  for (unsigned knobs = 0; knobs < 8; ++knobs) {
    const bool merge = (knobs & 1) != 0;
    const bool no_flush_cache = (knobs & 2) != 0;
    const bool no_range = (knobs & 4) != 0;
    if (no_range && !merge) continue;
    const auto text = [](bool value) { return value ? "true" : "false"; };
    const std::string architecture =
        std::string("architecture={base: generic, knobs: {") + "merge_vmas: " + text(merge) +
        ", no_flush_cache: " + text(no_flush_cache) + ", no_range: " + text(no_range) + "}}";
    const auto with = [&](const char* revert) {
      return events_without_hooks(
          load_file("configs/changes/vma_hooks_single.yaml",
                    {architecture,
                     "processes.app.regions.second={at: 0x7f8000014000, pages: 4, kind: pfnmap}",
                     std::string("kernel={base: v6.7, revert: [") + revert + "]}"}));
    };
    // Reverting the last one alone would change what NO_RANGE records.
    const std::string single = with(no_range ? "7fb5e5083190" : "");
    EXPECT_EQ(with("18ba064e42df, 7fb5e5083190"), single) << architecture;
    EXPECT_EQ(with("1e9fdf21a433, 18ba064e42df, 7fb5e5083190"), single) << architecture;
    EXPECT_NE(single.find("tlb_flush_begin"), std::string::npos);
  }
}

TEST(ChangesTest, FlushesPerAreaFollowTheKnobs) {
  const auto flushes = [](const std::string& knobs) {
    const auto result =
        run(load_file("configs/changes/vma_hooks.yaml",
                      {"architecture={base: generic, knobs: {" + knobs + "}}"}, "v6.7"));
    EXPECT_TRUE(result.violations.empty());
    return cosim::cost_of(result.totals)[0];
  };
  EXPECT_EQ(flushes("merge_vmas: false"), 4U);  // one an area, one for the tables
  EXPECT_EQ(flushes("merge_vmas: true"), 1U);
  EXPECT_EQ(flushes("merge_vmas: true, no_flush_cache: true"), 1U);
}

TEST(ChangesTest, DelayedRmapsStayWithinTheActiveBatch) {
  // 8 + 510 slots, 400 of them taken by pages without the flag: 118 of the 512 dirty pages fit, and
  // a flush more is forced under the lock.
  const auto flushes = [](const char* kernel) {
    const auto result = run(load_file("configs/changes/encoded_pages.yaml", {}, kernel));
    EXPECT_TRUE(result.violations.empty()) << testing::PrintToString(violations_of(result));
    return cosim::cost_of(result.totals)[0];
  };
  EXPECT_EQ(flushes("v6.1"), 3U);
  EXPECT_EQ(flushes("v6.2"), 4U);
}

/// The SMMU driver as it became after v6.7, change by change.
const char* const kNewerDrivers[] = {
    "10e4968cd511, 7da51af9125c",
    "10e4968cd511, 7da51af9125c, 78a5fbe8395b",
    "10e4968cd511, 7da51af9125c, 78a5fbe8395b, d38c28dbefee",
    "10e4968cd511, b41932f54458, 7da51af9125c, ec9098d6bffe, 78a5fbe8395b, d38c28dbefee, "
    "2f8d6178b4fe, ce7cb08e22e0",
};
class NewerSmmuDriverTest : public testing::TestWithParam<const char*> {};

TEST_P(NewerSmmuDriverTest, ShowsTheSameLoopAndTheSameFix) {
  const std::string apply = std::string(", apply: [") + GetParam() + "]}";
  for (const char* config : {"configs/permission_upgrade.yaml", "configs/atc_upgrade.yaml",
                             "configs/two_devices_four_cpus.yaml"}) {
    const auto before = run(load_file(config, {"kernel={base: v6.5" + apply}));
    const auto after = run(load_file(config, {"kernel={base: v6.6" + apply}));
    EXPECT_EQ(violations_of(before), std::vector<std::string>{"fault-loop/notifier"}) << config;
    EXPECT_TRUE(after.violations.empty()) << config << testing::PrintToString(violations_of(after));
    EXPECT_TRUE(before.met && after.met) << config;
  }
}
INSTANTIATE_TEST_SUITE_P(AppliedTo, NewerSmmuDriverTest, testing::ValuesIn(kNewerDrivers),
                         [](const auto& test) {
                           return "Changes" + std::to_string(test.index + 2);
                         });

TEST(NewerSmmuDriverTest, AnAsidOfTheSmmusOwnMeansItsProcessEverywhere) {
  // The numbers that the SMMU gives out are other processes' on the CPUs.
  const auto result = run(load_file(
      "configs/unmap.yaml",
      {"kernel={base: v6.6, apply: [10e4968cd511, 7da51af9125c, 78a5fbe8395b, d38c28dbefee]}",
       "inject=[wrong_asid_smmu_tlbi]"}));
  const auto found = violations_of(result);
  EXPECT_NE(std::find(found.begin(), found.end(), "use-after-free/asid"), found.end())
      << testing::PrintToString(found);
}

TEST(NewerSmmuDriverTest, BroadcastsDoNotReachAnAsidOfTheSmmusOwn) {
  const char* const broadcast = "hardware.smmu.broadcast_tlb_maintenance=true";
  for (const char* config : {"configs/unmap.yaml", "configs/permission_upgrade.yaml"}) {
    const auto result = run(load_file(
        config,
        {"kernel={base: v6.6, apply: [10e4968cd511, 7da51af9125c, 78a5fbe8395b, d38c28dbefee]}",
         broadcast, "devices.nic0.atc=false"}));
    EXPECT_TRUE(result.violations.empty())
        << config << testing::PrintToString(violations_of(result));
  }
}

TEST(SvaTest, IsRefusedWhereTheSmmuLacksThePagesOfTheCpus) {
  try {
    run(load_file("configs/unmap.yaml", {"hardware.smmu.granules=[64k]"}));
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("hardware.smmu.granules"), std::string::npos);
  }
}

}  // namespace
}  // namespace shootdown::tests
