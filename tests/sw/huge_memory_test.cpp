// Splitting a huge entry, on each of its ways out, before and after 6bbd42e2df8f: what is flushed
// and notified, and that the notifier section ends when the page-table lock is dropped.
#include "sw/mm/huge_memory.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "tests/sw/mm_fixture.h"

namespace shootdown::tests {
namespace {

constexpr std::uint64_t kHugePage = 2u << 20;
constexpr std::uint64_t kHugeVa = 0x7f00'4000'0000;
constexpr sw::Protection kReadWrite{.read = true, .write = true};

class HugeMemoryTest : public MmTest {
 protected:
  HugeMemoryTest() {
    cpu_.on_enter = [this](std::string_view function) {
      if (function != "mmu_notifier_invalidate_range_end") return;
      ++sections_ended_;
      EXPECT_EQ(cpu_.preempt_count, 0U) << "the page-table lock is held";
    };
  }
  void split() {
    cpu_.forget();
    sections_ended_ = 0;
    const sw::ReadGuard lock(mm_->mmap_lock, cpu_);
    sw::split_huge_pmd(cpu_, *mm_, *mm_->find_vma({kHugeVa}), {kHugeVa});
  }

  unsigned sections_ended_{};
};

INSTANTIATE_TEST_SUITE_P(Releases, HugeMemoryTest,
                         testing::Values(sw::Release{6, 1}, sw::Release{6, 5}, sw::Release{6, 6}),
                         [](const auto& test) {
                           return "V" + std::to_string(test.param.major) + "_" +
                                  std::to_string(test.param.minor);
                         });

TEST_P(HugeMemoryTest, AnonymousMemoryIsMappedInPartsAfterOneFlush) {
  map(kHugeVa, kHugePage, kReadWrite, nullptr, false, 21);
  touch(kHugeVa, true);
  const std::uint64_t block = pte(kHugeVa, 2);

  split();

  EXPECT_EQ(pte(kHugeVa + 5 * 4096), (block | 2) + 5 * 4096);
  EXPECT_EQ(page_at(kHugeVa)->mapcount, 512);
  EXPECT_EQ(count("tlbi"), 1U) << whole_log();
  EXPECT_EQ(count(notify(kHugeVa, kHugeVa + kHugePage)), 1U) << whole_log();
  EXPECT_EQ(count("notify"), 1U) << whole_log();
  EXPECT_EQ(sections_ended_, 1U);
}

TEST_P(HugeMemoryTest, AFileIsUnmappedAfterOneFlush) {
  sw::File file;
  map(kHugeVa, kHugePage, kReadWrite, &file, true, 21);
  touch(kHugeVa, true);

  split();

  EXPECT_EQ(pte(kHugeVa, 2), 0U);
  EXPECT_EQ(file.find_page(0)->mapcount, 0);
  EXPECT_EQ(count("tlbi"), 1U) << whole_log();
  EXPECT_EQ(count(notify(kHugeVa, kHugeVa + kHugePage)), 1U) << whole_log();
  EXPECT_EQ(count("notify"), 1U) << whole_log();
  EXPECT_EQ(sections_ended_, 1U);
}

TEST_P(HugeMemoryTest, WhereNoHugeEntryIsNothingIsInvalidated) {
  map(kHugeVa, kHugePage, kReadWrite);
  touch(kHugeVa, true);
  const std::uint64_t table = pte(kHugeVa, 2);
  const std::uint64_t tables = kernel_.nr_page_table;

  split();

  EXPECT_EQ(pte(kHugeVa, 2), table);
  EXPECT_EQ(kernel_.nr_page_table, tables) << "the spare table is freed";
  expect_no_flush();
  EXPECT_EQ(sections_ended_, 1U);
}

}  // namespace
}  // namespace shootdown::tests
