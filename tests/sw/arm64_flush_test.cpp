// Where the arm64 flush functions notify, before and after 6bbd42e2df8f; entry format of Arm64Mmu.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "sw/arch/arm64/arm64_mmu.h"
#include "sw/kernel/version.h"
#include "sw/mm/kernel_gather.h"
#include "tests/sw/fake_cpu.h"

namespace shootdown::sw {
namespace {

using tests::FakeCpu;
using tests::RecordingNotifier;
using Events = std::vector<std::string>;

struct Bench {
  explicit Bench(Release release, Arm64Features features = {})
      : kernel(KernelVersion{.base = release, .revert = {}, .apply = {}}.behaviour(), {},
               PageAllocator({0x8000'0000}, 1u << 20)),
        arch(features, kernel.behaviour),
        mm(kernel, arch, {1}, {0x12}) {
    mm.notifiers.push_back(&notifier);
  }
  FakeCpu cpu;
  KernelState kernel;
  Arm64Mmu arch;
  RecordingNotifier notifier;
  Mm mm;
};

TEST(Arm64NotifyTest, PageFlushNotifiesBeforeItsFinalBarrierFromV66On) {
  Bench bench({6, 6});
  bench.arch.flush_tlb_page(bench.cpu, bench.mm, {0x7f00'1234'5678});
  EXPECT_EQ(bench.cpu.maintenance(), (Events{"dsb ishst", "tlbi vale1is 0x120007f0012345",
                                             "notify 0x7f0012345000 0x7f0012346000", "dsb ish"}));
}

TEST(Arm64NotifyTest, PageFlushWithoutBarrierNotifiesFromV66On) {
  Bench bench({6, 6});
  bench.arch.flush_tlb_page_nosync(bench.cpu, bench.mm, {0x7f00'1234'5000});
  EXPECT_EQ(bench.cpu.maintenance(), (Events{"dsb ishst", "tlbi vale1is 0x120007f0012345",
                                             "notify 0x7f0012345000 0x7f0012346000"}));
}

TEST(Arm64NotifyTest, RangeFlushNotifiesTheRoundedRangeBeforeItsFinalBarrier) {
  Bench bench({6, 6});
  bench.arch.arm64_flush_tlb_range(bench.cpu, bench.mm, {0x40'1234}, {0x60'0001},
                                   {.stride_bytes = 2u << 20, .last_level = true});
  EXPECT_EQ(bench.cpu.maintenance(),
            (Events{"dsb ishst", "tlbi vale1is 0x12000000000400", "tlbi vale1is 0x12000000000600",
                    "notify 0x400000 0x800000", "dsb ish"}));
}

TEST(Arm64NotifyTest, RangeOperationsDoNotMoveTheNotifiedStart) {
  // Known bug of 6.6 to 6.12.19: the loop advanced the start that the notifier was given.
  Bench bench({6, 6}, {.tlbi_range = true});
  bench.arch.arm64_flush_tlb_range(bench.cpu, bench.mm, {0x40'0000}, {0x40'3000},
                                   {.last_level = true});
  const auto events = bench.cpu.maintenance();
  EXPECT_EQ(std::count(events.begin(), events.end(), "notify 0x400000 0x403000"), 1);
}

TEST(Arm64NotifyTest, WholeFlushNotifiesAfterItsBarrier) {
  Bench bench({6, 6});
  bench.arch.flush_tlb_mm(bench.cpu, bench.mm);
  EXPECT_EQ(bench.cpu.maintenance(), (Events{"dsb ishst", "tlbi aside1is 0x12000000000000",
                                             "dsb ish", "notify 0x0 0xffffffffffffffff"}));
}

TEST(Arm64NotifyTest, RangeThatIsTooLongBecomesAWholeFlush) {
  Bench bench({6, 6});
  bench.arch.arm64_flush_tlb_range(bench.cpu, bench.mm, {0x40'0000}, {0x60'0000}, {});  // 512 pages
  const auto events = bench.cpu.maintenance();
  ASSERT_GE(events.size(), 4U);
  EXPECT_EQ(events[1], "tlbi aside1is 0x12000000000000");
  EXPECT_EQ(events[2], "dsb ish");
  EXPECT_EQ(events[3], "notify 0x0 0xffffffffffffffff");
}

TEST(Arm64NotifyTest, FlushFunctionsAreSilentBeforeV66) {
  Bench bench({6, 5});
  bench.arch.flush_tlb_page(bench.cpu, bench.mm, {0x1000});
  bench.arch.arm64_flush_tlb_range(bench.cpu, bench.mm, {0x1000}, {0x3000}, {});
  bench.arch.flush_tlb_mm(bench.cpu, bench.mm);
  for (const auto& event : bench.cpu.maintenance()) EXPECT_FALSE(event.starts_with("notify"));
}

TEST(Arm64NotifyTest, GatherNotifiesOnceInEveryRelease) {
  for (const Release release : {Release{6, 5}, Release{6, 6}}) {
    SCOPED_TRACE(to_string(release));
    Bench bench(release);
    KernelGather gather(bench.cpu, bench.mm);
    gather.tlb.tlb_remove_tlb_entry({0x40'0000});
    gather.tlb.tlb_remove_tlb_entry({0x40'1000});
    gather.finish();
    const Events flush{"dsb ishst", "tlbi vale1is 0x12000000000400",
                       "tlbi vale1is 0x12000000000401"};
    Events expected = flush;
    if (release >= Release{6, 6}) {
      expected.insert(expected.end(), {"notify 0x400000 0x402000", "dsb ish"});
    } else {
      expected.insert(expected.end(), {"dsb ish", "notify 0x400000 0x402000"});
    }
    EXPECT_EQ(bench.cpu.maintenance(), expected);
  }
}

TEST(Arm64NotifyTest, AgeingNotifiesFromV66On) {
  Bench bench({6, 6});
  bench.cpu.memory[0x9000'0000] = 0xe0'0000'65c4'8fc3;
  const PteSlot slot{.address = {0x9000'0000}, .va = {0x40'0000}};
  EXPECT_TRUE(bench.arch.ptep_clear_flush_young(bench.cpu, bench.mm, slot));
  EXPECT_EQ(bench.cpu.maintenance(),
            (Events{"dsb ishst", "tlbi vale1is 0x12000000000400", "notify 0x400000 0x401000"}));
}

TEST(Arm64PteTest, EntriesHaveTheBitsOfTheKernel) {
  const Arm64Mmu arch({}, {});
  const Pte page = arch.mk_pte({0x8765'4000}, 3);
  EXPECT_EQ(page.value, 0x0060'0000'8765'4fc3U);
  EXPECT_EQ(arch.mk_pte({0x8760'0000}, 2).value, 0x0060'0000'8760'0fc1U);
  EXPECT_EQ(arch.pte_mkwrite(arch.pte_mkdirty(page)).value, 0x00e8'0000'8765'4f43U);
  EXPECT_EQ(arch.pte_address(page).value, 0x8765'4000U);
  EXPECT_TRUE(arch.pte_present(page) && arch.pte_young(page));
  EXPECT_FALSE(arch.pte_write(page) || arch.pte_dirty(page) || arch.pte_table(page, 3));
  EXPECT_TRUE(arch.pte_table(arch.mk_table({0x8000'1000}), 2));
  EXPECT_FALSE(arch.pte_young(arch.pte_mkold(page)));
}

TEST(Arm64PteTest, WriteProtectingKeepsTheDirtyStateInSoftware) {
  const Arm64Mmu arch({}, {});
  const Pte hardware_dirty{0x0068'0000'8765'4f43};  // writable, AP[2] clear, software bit clear
  const Pte result = arch.pte_wrprotect(hardware_dirty);
  EXPECT_EQ(result.value, 0x00e0'0000'8765'4fc3U);
  EXPECT_TRUE(arch.pte_dirty(result));
}

}  // namespace
}  // namespace shootdown::sw
