// x86: which changes of an entry need a flush, when a range becomes everything, and what its
// entries mean to hardware.
#include "sw/arch/x86/x86_mmu.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <random>
#include <string>

#include "hw/arch/x86_64.h"
#include "sw/kernel/version.h"
#include "sw/mm/fork.h"
#include "sw/mm/memory.h"
#include "sw/mm/mmap.h"
#include "tests/sw/fake_cpu.h"

namespace shootdown::sw {
namespace {

using tests::FakeCpu;
using tests::RecordingNotifier;

constexpr std::uint64_t kP = 1;
constexpr std::uint64_t kRw = 2;
constexpr std::uint64_t kUser = 4;
constexpr std::uint64_t kPwt = 8;
constexpr std::uint64_t kPcd = 16;
constexpr std::uint64_t kA = 32;
constexpr std::uint64_t kD = 64;
constexpr std::uint64_t kPse = 128;
constexpr std::uint64_t kGlobal = 256;
constexpr std::uint64_t kSoft1 = 512;
constexpr std::uint64_t kNx = std::uint64_t{1} << 63;
constexpr std::uint64_t kFrame = 0x8000'5000;

class X86MmuTest : public testing::Test {
 protected:
  X86MmuTest()
      : kernel_(KernelVersion{.base = {6, 6}, .revert = {}, .apply = {}}.behaviour(), {},
                PageAllocator({0x8000'0000}, 16u << 20)),
        arch_(*gather_shape("x86_native", kernel_.behaviour), kernel_.behaviour),
        mm_(mm_create(cpu_, kernel_, arch_, {1}, {7})) {
    mm_->notifiers.push_back(&notifier_);
    arch_.switch_mm(cpu_, *mm_);
    cpu_.forget();
  }
  FakeCpu cpu_;
  KernelState kernel_;
  X86Mmu arch_;
  RecordingNotifier notifier_;
  std::unique_ptr<Mm> mm_;
};

/// The rule in words: asm/tlbflush.h, pte_needs_flush() and huge_pmd_needs_flush(), written as a
/// list of bits and not as masks.
bool slow_rule(std::uint64_t old_entry, std::uint64_t new_entry, bool pmd) {
  if ((old_entry & kP) == 0) return false;
  const std::uint64_t frame = 0x000f'ffff'ffff'f000;
  if ((old_entry & frame) != (new_entry & frame)) return true;
  for (unsigned bit = 0; bit < 64; ++bit) {
    const std::uint64_t mask = std::uint64_t{1} << bit;
    const bool was = (old_entry & mask) != 0;
    const bool is = (new_entry & mask) != 0;
    if (was == is) continue;
    switch (bit) {
      case 0:  // present
      case 6:  // dirty
        if (was) return true;
        break;
      case 5:  // accessed: a cleared one is no reason for a PTE
        if (was && pmd) return true;
        break;
      case 1:   // write
      case 2:   // user
      case 3:   // PWT
      case 4:   // PCD
      case 7:   // page size, or PAT of a PTE
      case 8:   // global
      case 63:  // no execute
        return true;
      default:
        break;
    }
  }
  return false;
}

TEST_F(X86MmuTest, NeedsAFlushForWhatTheManualSays) {
  const std::uint64_t base = kFrame | kP | kUser | kA;
  const auto needs = [&](std::uint64_t a, std::uint64_t b, int level = 3) {
    return arch_.pte_needs_flush({a}, {b}, level);
  };
  EXPECT_FALSE(needs(base, base));
  EXPECT_TRUE(needs(base | kRw, base));
  EXPECT_TRUE(needs(base, base | kRw)) << "an upgrade by mprotect flushes too";
  EXPECT_FALSE(needs(base, base | kD));
  EXPECT_TRUE(needs(base | kD, base));
  EXPECT_FALSE(needs(base, base & ~kA));
  EXPECT_TRUE(needs(base | kPse, (base | kPse) & ~kA, 2));
  EXPECT_FALSE(needs(base, base | kSoft1));
  EXPECT_TRUE(needs(base, base + 0x1000));
  EXPECT_FALSE(needs(base & ~kP, base));
}

TEST_F(X86MmuTest, AgreesWithTheSlowRuleOnRandomEntries) {
  std::mt19937_64 random(1);
  const std::uint64_t bits =
      kP | kRw | kUser | kPwt | kPcd | kA | kD | kPse | kGlobal | kSoft1 | kNx;
  for (int i = 0; i < 200'000; ++i) {
    const std::uint64_t a = kFrame | (random() & bits);
    const std::uint64_t b = (i % 8 == 0 ? kFrame + 0x1000 : kFrame) | (random() & bits);
    const bool pmd = i % 2 == 0;
    ASSERT_EQ(arch_.pte_needs_flush({a}, {b}, pmd ? 2 : 3), slow_rule(a, b, pmd))
        << std::hex << a << " -> " << b;
  }
}

TEST_F(X86MmuTest, ThirtyThreePagesAreARangeAndOneMoreIsEverything) {
  const arch::VirtAddr start{0x7000'0000};
  arch_.flush_tlb_range(cpu_, *mm_, start, start + 33 * arch::kPageSize, arch::kPageShift);
  EXPECT_EQ(cpu_.count("local va"), 33U);
  EXPECT_EQ(cpu_.count("notify 0x70000000 0x70021000"), 1U);
  cpu_.forget();
  arch_.flush_tlb_range(cpu_, *mm_, start, start + 34 * arch::kPageSize, arch::kPageShift);
  EXPECT_EQ(cpu_.count("local va"), 0U);
  EXPECT_EQ(cpu_.count("local asid"), 1U);
  EXPECT_EQ(cpu_.count("notify 0x0 0xffffffffffffffff"), 1U);
}

TEST_F(X86MmuTest, AMissedGenerationTurnsARangeIntoEverything) {
  const arch::VirtAddr page{0x7000'0000};
  ++mm_->tlb_gen;  // a flush that this CPU has not heard of yet
  arch_.flush_tlb_page(cpu_, *mm_, page);
  EXPECT_EQ(cpu_.count("local asid"), 1U);
  cpu_.forget();
  arch_.flush_tlb_page(cpu_, *mm_, page);
  EXPECT_EQ(cpu_.count("local va 0x70000000"), 1U);
}

TEST_F(X86MmuTest, ALazyCpuIsLeftAloneUnlessTablesWereFreed) {
  arch_.enter_lazy_tlb(cpu_, *mm_);
  arch_.flush_tlb_page(cpu_, *mm_, {0x7000'0000});
  EXPECT_EQ(cpu_.count("local"), 0U);
  EXPECT_NE(mm_->cpumask, 0U);
  arch_.flush_tlb_mm_range(cpu_, *mm_, {0x7000'0000}, {0x7000'1000}, 12, /*freed_tables=*/true);
  EXPECT_EQ(mm_->cpumask, 0U) << "it has switched to init_mm";
  cpu_.forget();
  arch_.switch_mm(cpu_, *mm_);
  EXPECT_EQ(cpu_.count("local asid"), 1U) << "what it missed is made up for";
  EXPECT_EQ(cpu_.irq_off_count, 0U);
}

TEST_F(X86MmuTest, AnotherMmIsNotFlushedHereButCatchesUp) {
  const auto other = mm_create(cpu_, kernel_, arch_, {2}, {8});
  arch_.switch_mm(cpu_, *other);
  cpu_.forget();
  arch_.flush_tlb_mm(cpu_, *mm_);
  EXPECT_EQ(cpu_.count("local"), 0U);
  arch_.switch_mm(cpu_, *mm_);
  EXPECT_EQ(cpu_.count("local asid"), 1U);
}

TEST_F(X86MmuTest, EntriesMeanToHardwareWhatSoftwareWroteIntoThem) {
  // A fault builds four levels; read them with bit operations alone.
  Vma vma;
  vma.start = {0x7f12'3456'7000};
  vma.end = vma.start + arch::kPageSize;
  vma.protection = {.read = true, .write = true};
  do_mmap(cpu_, *mm_, vma);
  ASSERT_EQ(fault_in(cpu_, *mm_, vma.start, {.write = true}), VmFault::kHandled);
  std::uint64_t table = mm_->pgd.value;
  std::uint64_t entry = 0;
  for (unsigned shift = 39; shift >= 12; shift -= 9) {
    entry = cpu_.load({table + 8 * (vma.start.value >> shift & 511)});
    EXPECT_EQ(entry & (kP | kRw | kUser), kP | kRw | kUser) << shift;
    table = entry & 0x000f'ffff'ffff'f000;
  }
  EXPECT_EQ(entry & kNx, kNx);
  EXPECT_EQ(entry & kD, kD);
}

TEST(X86EntryTest, IsWritableToATlbOnlyWhenDirty) {
  namespace vmsa64 = arch::vmsa64;
  const auto permissions = [](std::uint64_t entry, bool needs_dirty) {
    return vmsa64::leaf_permissions(arch::x86_64::to_vmsa64(entry, 3, needs_dirty), {});
  };
  const std::uint64_t entry = kFrame | kP | kUser | kA;
  EXPECT_TRUE(permissions(entry, true).user_read());
  EXPECT_FALSE(permissions(entry | kRw, true).user_write());
  EXPECT_TRUE(permissions(entry | kRw | kD, true).user_write());
  EXPECT_FALSE(permissions(entry | kD, true).user_write());
  EXPECT_TRUE(permissions(entry | kRw, false).user_write());
  EXPECT_FALSE(permissions(kFrame | kP | kRw | kD, true).user_read());
  EXPECT_EQ(arch::x86_64::to_vmsa64(kFrame | kRw | kUser, 3, true), 0U);
}

TEST(X86EntryTest, LevelsAndSizesAreTold) {
  namespace vmsa64 = arch::vmsa64;
  const std::uint64_t entry = kFrame | kP | kRw | kUser;
  for (int level = 0; level < 4; ++level) {
    const bool table = vmsa64::is_table(arch::x86_64::to_vmsa64(entry, level, true), level);
    EXPECT_EQ(table, level < 3);
    const bool leaf = vmsa64::is_leaf(arch::x86_64::to_vmsa64(entry | kPse, level, true), level);
    EXPECT_EQ(leaf, level >= 1) << "the bit is PAT at level 3, reserved at level 0";
  }
  EXPECT_TRUE(vmsa64::TableRestrictions::of(false, true) == [&] {
    vmsa64::TableRestrictions above{};
    above.add(arch::x86_64::to_vmsa64(kFrame | kP | kUser, 1, true));
    return above;
  }());
}

}  // namespace
}  // namespace shootdown::sw
