// Every configuration does what its `expect` says, on every release and hardware model.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <ostream>
#include <string>
#include <vector>

#include "cosim/config/presets.h"
#include "support/scenario.h"
#include "sw/kernel/version.h"

namespace shootdown::tests {
namespace {

struct Case {
  std::string config;
  std::string model;
  std::string name;
};
std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

std::vector<Case> all_cases() {
  std::vector<std::string> configs;
  const std::string root = SHOOTDOWN_SOURCE_DIR;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root + "/configs")) {
    // Presets are parts of configurations, not configurations.
    const bool preset = entry.path().parent_path().filename() == "hardware";
    if (entry.path().extension() == ".yaml" && !preset) {
      configs.push_back(std::filesystem::relative(entry.path(), root).string());
    }
  }
  std::sort(configs.begin(), configs.end());
  std::vector<Case> cases;
  for (const std::string& config : configs) {
    for (const char* model : {"systemc", "rtl", "lockstep"}) {
      cases.push_back({config, model, std::filesystem::path(config).stem().string() + "_" + model});
    }
  }
  return cases;
}

class ConfigurationTest : public testing::TestWithParam<Case> {};

TEST_P(ConfigurationTest, MeetsItsExpectationOnEveryRelease) {
  for (const sw::Release& release : sw::kernel_releases()) {
    const auto config = load_file(GetParam().config,
                                  {"hardware.smmu.tlb.model=" + GetParam().model,
                                   "hardware.cpu_tlb.model=" + GetParam().model},
                                  to_string(release));
    ASSERT_NE(config.expectation(), nullptr) << to_string(release);

    const auto result = run(config);

    EXPECT_TRUE(result.met) << to_string(release) << ": expected " << result.expected << ", found "
                            << testing::PrintToString(violations_of(result)) << " " << result.limit;
  }
}

INSTANTIATE_TEST_SUITE_P(Configs, ConfigurationTest, testing::ValuesIn(all_cases()),
                         [](const auto& test) { return test.param.name; });

TEST(PermissionUpgradeTest, OneRevertedChangeBringsTheLoopBack) {
  auto config =
      load_file("configs/permission_upgrade.yaml", {"kernel={base: v6.7, revert: [6bbd42e2df8f]}"});
  EXPECT_TRUE(has_violation(run(config), "fault-loop", "notifier"));
}

TEST(PermissionUpgradeTest, OneAppliedChangeMendsTheOldKernel) {
  auto config =
      load_file("configs/permission_upgrade.yaml", {"kernel={base: v6.1, apply: [6bbd42e2df8f]}"});
  EXPECT_EQ(run(config).verdict, cosim::Verdict::kPass);
}

TEST(PermissionUpgradeTest, ChainTellsFillStoreAndMissingNotifierInOrder) {
  const auto result = run(load_file("configs/permission_upgrade.yaml"));

  ASSERT_EQ(result.violations.size(), 1U);
  const auto& chain = result.violations[0].chain;
  const auto find = [&](const std::string& text) {
    return std::find_if(chain.begin(), chain.end(), [&](const cosim::ChainItem& item) {
      return item.text.find(text) != std::string::npos;
    });
  };
  const auto fill = find("TLB fill");
  const auto store = find("PTE 0x60_");
  const auto tlbi = find("TLBI VALE1IS");
  const auto notifier = find("mmu_notifier_arch_invalidate_secondary_tlbs");
  ASSERT_NE(notifier, chain.end());
  EXPECT_LT(fill, store);
  EXPECT_LT(store, tlbi);
  EXPECT_LT(tlbi, notifier);
  EXPECT_FALSE(notifier->happened);
}

TEST(PermissionUpgradeTest, FaultsDuringASlowFlushAreNoLoop) {
  const auto result = run(
      load_file("configs/terminate_retry.yaml",
                {"devices.nic0.retry={attempts: 1000, delay_cycles: 1}",
                 "hardware.smmu.tlb.invalidate_latency_cycles=2000", "threads.app_main.on=cpu1"},
                "v6.6"));
  EXPECT_TRUE(result.violations.empty()) << testing::PrintToString(violations_of(result));
}

TEST(PermissionUpgradeTest, ADeviceThatGivesUpEarlyWasInALoopAllTheSame) {
  const auto result = run(load_file("configs/terminate_retry.yaml",
                                    {"devices.nic0.retry={attempts: 4, delay_cycles: 500}"}));
  EXPECT_TRUE(has_violation(result, "fault-loop", "notifier"));
}

TEST(PermissionUpgradeTest, BroadcastWithAnAtcIsNamedAsTheWrongOrder) {
  // From v6.6 on the notifier runs before the CPU's DSB: the ATC is told before the broadcast is
  // done.
  const auto result = run(load_file("configs/mprotect_downgrade.yaml",
                                    {"hardware.smmu.broadcast_tlb_maintenance=true",
                                     "hardware.dvm_latency_cycles=3000", "devices.nic0.atc=true"},
                                    "v6.6"));
  EXPECT_TRUE(has_violation(result, "write-after-protect", "atc-order"))
      << testing::PrintToString(violations_of(result));
}

TEST(PermissionUpgradeTest, RewalkPolicyIsNotedAsHidingTheLoop) {
  const auto result = run(load_file("configs/rewalk_hides.yaml"));

  ASSERT_EQ(result.notes.size(), 1U);
  EXPECT_EQ(result.notes[0].kind, cosim::NoteKind::kHiddenFaultLoop);
  EXPECT_NE(result.notes[0].text.find("notifier"), std::string::npos);
  EXPECT_TRUE(run(load_file("configs/rewalk_hides.yaml", {}, "v6.6")).notes.empty());
}

/// Whatever the hardware's sizes and features, the old kernel loops or does not, and the fixed one
/// never does.
class PresetTest : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Presets, PresetTest, testing::ValuesIn(cosim::preset_names()),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST_P(PresetTest, RunsAndCanBeOverridden) {
  const std::string preset = "hardware.preset=" + GetParam();
  const auto config = load_file("configs/permission_upgrade.yaml", {preset});
  EXPECT_EQ(config.hardware.smmu.mmu.translator.tlb.entries, 32U) << "the file's own word counts";
  for (const char* kernel : {"v6.5", "v6.6"}) {
    for (const char* file : {"configs/permission_upgrade.yaml", "configs/unmap.yaml",
                             "configs/mprotect_downgrade.yaml", "configs/copy_on_write.yaml"}) {
      const auto result = run(load_file(file, {preset}, kernel));
      EXPECT_TRUE(result.met) << file << " " << kernel << " " << result.limit
                              << testing::PrintToString(violations_of(result));
    }
  }
}

// The registers of Agilex 5's MMU-600, apart from what is not modelled: AArch32 tables (TTF),
// broadcast maintenance (BTM), big-endian tables, memory attributes and page-based ones; and queues
// as long as Linux makes them.
TEST(PresetRegistersTest, EmbeddedIdentifiesItselfAsThePartThatItNames) {
  const auto config = load_file("configs/unmap.yaml", {"hardware.preset=embedded"});
  const hw::IdRegisters id = hw::id_registers(config.hardware.smmu.features);
  EXPECT_EQ(id.idr0 & ~0x0060'0024U, 0x080f'7e3fU & ~0x0060'0024U);
  EXPECT_EQ(id.idr1 & 0x0400'07ffU, 0x0e73'9d18U & 0x0400'07ffU);
  EXPECT_EQ(id.idr3 & 0x1c14U, 0x3cU & 0x1c14U);
  EXPECT_EQ(id.idr5, 0x0040'0075U);
  EXPECT_EQ(id.iidr, 0x4832'243bU);
}

TEST(PresetRegistersTest, ServerTakesEveryStreamId) {
  const auto config = load_file("configs/permission_upgrade.yaml",
                                {"hardware.preset=server", "devices.nic0.stream_id=0x1234567"});
  EXPECT_TRUE(run(config).met);
}

}  // namespace
}  // namespace shootdown::tests
