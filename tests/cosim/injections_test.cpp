// Each planted defect is caught under its name, with the hop that is missing; the same run without
// it is silent.
#include "cosim/config/injections.h"

#include <gtest/gtest.h>

#include <ostream>
#include <set>
#include <string>

#include "support/scenario.h"

namespace shootdown::tests {
namespace {

struct Case {
  const char* injection;
  const char* config;
  const char* violation;
  const char* hop;
};
std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.injection << " in " << c.config;
}

constexpr Case kCases[] = {
    {"skip_cpu_tlbi", "terminate_retry", "fault-loop", "cpu-tlbi"},
    {"skip_cpu_tlbi", "copy_on_write", "stale-access", "cpu-tlbi"},
    {"skip_cpu_tlbi", "unmap", "use-after-free", "cpu-tlbi"},
    {"wrong_asid_cpu_tlbi", "terminate_retry", "fault-loop", "asid"},
    {"wrong_asid_cpu_tlbi", "unmap", "use-after-free", "asid"},
    {"skip_notifier", "permission_upgrade", "fault-loop", "notifier"},
    {"skip_notifier", "mprotect_downgrade", "write-after-protect", "notifier"},
    {"skip_notifier", "unmap", "use-after-free", "notifier"},
    {"skip_notifier", "unmap", "stale-access", "notifier"},
    {"skip_notifier", "copy_on_write", "fault-loop", "notifier"},
    {"notifier_wrong_range", "permission_upgrade", "fault-loop", "range"},
    {"notifier_wrong_range", "mprotect_downgrade", "write-after-protect", "range"},
    {"skip_smmu_tlbi", "permission_upgrade", "fault-loop", "command"},
    {"skip_smmu_tlbi", "unmap", "use-after-free", "command"},
    {"wrong_asid_smmu_tlbi", "permission_upgrade", "fault-loop", "asid"},
    {"wrong_asid_smmu_tlbi", "huge_page_upgrade", "fault-loop", "asid"},
    {"short_smmu_tlbi", "permission_upgrade", "fault-loop", "range"},
    {"skip_cmd_sync", "mprotect_downgrade", "write-after-protect", "sync"},
    {"skip_cmd_sync", "unmap", "stale-access", "sync"},
    {"skip_atc_inv", "atc_upgrade", "fault-loop", "atc"},
    {"skip_atc_inv", "atc_skipped", "use-after-free", "atc"},
    {"reserved_range_command", "permission_upgrade", "driver-misuse", "command"},
    {"reserved_range_command", "permission_upgrade", "fault-loop", "command"},
    {"skip_mprotect_flush", "mprotect_downgrade", "write-after-protect", "flush"},
    {"free_before_flush", "unmap", "use-after-free", "flush"},
    {"skip_unshare_flush", "hugetlb_unshare", "use-after-free", "flush"},
    {"skip_unshare_flush", "hugetlb_split", "use-after-free", "flush"},
    {"lax_pte_needs_flush", "changes/mprotect_needs_flush", "write-after-protect", "flush"},
    {"unmasked_page_flag", "changes/encoded_pages", "accounting", "mask"},
    {"table_freed_as_page", "changes/page_table_descriptors", "accounting", "dtor"},
    {"double_rmap_removal", "changes/delayed_rmap", "accounting", "rmap"},
    {"no_break_before_make", "copy_on_write", "break-before-make", "break"},
    {"cpu_tlb_ignores_tlbi", "terminate_retry", "fault-loop", "hardware"},
    {"cpu_tlb_ignores_tlbi", "unmap", "use-after-free", "hardware"},
    {"smmu_tlb_ignores_tlbi", "unmap", "use-after-free", "hardware"},
    {"smmu_tlb_ignores_tlbi", "permission_upgrade", "fault-loop", "hardware"},
    {"smmu_tlb_ignores_tlbi", "mprotect_downgrade", "write-after-protect", "hardware"},
    {"smmu_tlb_ignores_tlbi", "unmap", "stale-access", "hardware"},
};

class InjectionTest : public testing::TestWithParam<Case> {};

TEST_P(InjectionTest, IsCaughtUnderItsNameAndHop) {
  const Case& c = GetParam();
  const std::string file = std::string("configs/") + c.config + ".yaml";

  const auto result = run(load_file(file, {std::string("inject=[") + c.injection + "]"}, "v6.6"));

  EXPECT_TRUE(has_violation(result, c.violation, c.hop))
      << "expected " << c.violation << "/" << c.hop << ", found "
      << testing::PrintToString(violations_of(result));
  EXPECT_TRUE(run(load_file(file, {"inject=[]"}, "v6.6")).violations.empty());
}

INSTANTIATE_TEST_SUITE_P(Table, InjectionTest, testing::ValuesIn(kCases));

TEST(InjectionTest, PermissionBlindTlbIsCaughtAsWriteAfterProtect) {
  const auto result = run(load_file("configs/permission_upgrade.yaml",
                                    {"hardware.smmu.tlb.hit_without_permission=ignore"}));
  EXPECT_TRUE(has_violation(result, "write-after-protect", "hardware"));
}

TEST(InjectionTest, AMissingInvalidationIsNamedInTheTermsOfTheArchitecture) {
  const auto chain_of = [](const char* architecture) {
    const auto result =
        run(load_file("configs/unmap.yaml",
                      {std::string("architecture=") + architecture, "inject=[skip_cpu_tlbi]"}));
    EXPECT_FALSE(result.violations.empty());
    return result.violations.empty() ? std::string() : result.violations.front().hop_text;
  };
  EXPECT_EQ(chain_of("arm64"), "the flush issued no TLBI");
  EXPECT_EQ(chain_of("x86"), "the CPU that flushed did not invalidate the address");
}

TEST(InjectionTest, EveryInjectionIsListedOnce) {
  std::set<std::string_view> names;
  for (const cosim::Injection& injection : cosim::injections()) {
    EXPECT_TRUE(names.insert(injection.name).second) << injection.name;
    EXPECT_EQ(cosim::find_injection(injection.name), &injection);
  }
}

}  // namespace
}  // namespace shootdown::tests
