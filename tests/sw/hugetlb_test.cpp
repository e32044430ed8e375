// hugetlb: who shares a PMD table with whom, what takes it out again, and that the flush comes
// while the locks are still held.
#include "sw/mm/hugetlb.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <ostream>
#include <sstream>
#include <string>

#include "sw/mm/gup.h"
#include "sw/mm/madvise.h"
#include "sw/mm/mremap.h"
#include "tests/sw/mm_fixture.h"

namespace shootdown::tests {
namespace {

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;
constexpr std::uint64_t kMiB2 = std::uint64_t{2} << 20;
constexpr std::uint64_t kHere = 0x7f80'0000'0000;
constexpr std::uint64_t kThere = 0x7f00'4000'0000;
constexpr sw::Protection kReadWrite{.read = true, .write = true};
constexpr sw::Protection kReadOnly{.read = true, .write = false};

/// Two address spaces that can map one file.
class HugetlbTest : public MmTest {
 protected:
  HugetlbTest() : other_(sw::mm_create(cpu_, kernel_, arch_, {2}, {kAsid + 1})) {
    other_->notifiers.push_back(&notifier_);
    empty_pages_ = kernel_.pages.allocated();
    empty_tables_ = kernel_.nr_page_table;
    cpu_.forget();
  }

  void map_pool(sw::Mm& mm, std::uint64_t start, std::uint64_t bytes = kGiB,
                sw::Protection protection = kReadWrite, std::uint64_t offset = 0) {
    sw::Vma vma;
    vma.start = {start};
    vma.end = {start + bytes};
    vma.protection = protection;
    vma.file = &pool_;
    vma.file_offset = offset;
    vma.shared = true;
    vma.page_shift = 21;
    vma.hugetlb_page_size = kMiB2;
    ASSERT_TRUE(sw::do_mmap(cpu_, mm, vma));
  }
  void write(sw::Mm& mm, std::uint64_t va) {
    ASSERT_EQ(sw::fault_in(cpu_, mm, {va}, {.write = true}), sw::VmFault::kHandled);
  }
  void read(sw::Mm& mm, std::uint64_t va) {
    ASSERT_EQ(sw::fault_in(cpu_, mm, {va}, {.write = false}), sw::VmFault::kHandled);
  }
  /// Both map the pool and have touched its first two pages.
  void share() {
    map_pool(*mm_, kHere);
    map_pool(*other_, kThere);
    for (const std::uint64_t page : {std::uint64_t{0}, kMiB2}) {
      write(*mm_, kHere + page);
      write(*other_, kThere + page);
    }
    ASSERT_EQ(table_of(*mm_, kHere), table_of(*other_, kThere));
    EXPECT_EQ(count("tlbi"), 0U) << whole_log();
    cpu_.forget();
  }
  /// The descriptor of `level` that maps `va`; 0 if a table above it is missing.
  std::uint64_t descriptor(const sw::Mm& mm, std::uint64_t va, int level) {
    std::uint64_t table = mm.pgd.value;
    for (int at = 0;; ++at) {
      const std::uint64_t value = cpu_.load({table + 8 * (va >> (39 - 9 * at) & 511)});
      if (at == level || (value & 3) != 3) return at == level ? value : 0;
      table = value & kAddressBits;
    }
  }
  std::uint64_t table_of(const sw::Mm& mm, std::uint64_t va) {
    return descriptor(mm, va, 1) & kAddressBits;
  }
  int sharers(std::uint64_t table) {
    const sw::Page* page = kernel_.pages.find({table});
    return page == nullptr ? 0 : static_cast<int>(page->refcount);
  }
  /// Whether the first TLBI from here on finds the file's lock held for writing.
  void watch_first_flush() {
    cpu_.on_tlbi = [this] {
      if (!first_flush_locked_) first_flush_locked_ = pool_.lock.held_for_write();
    };
  }
  /// Whether a notifier was told of all of [start, end) at once.
  bool notified(std::uint64_t start, std::uint64_t end) const {
    return std::any_of(cpu_.log.begin(), cpu_.log.end(), [&](const std::string& line) {
      std::istringstream text(line);
      std::string word;
      std::uint64_t first = 0;
      std::uint64_t limit = 0;
      return text >> word >> std::hex >> first >> limit && word == "notify" && first <= start &&
             limit >= end;
    });
  }
  void exit_both() {
    cpu_.on_tlbi = {};
    sw::exit_mmap(cpu_, *mm_);
    sw::exit_mmap(cpu_, *other_);
    mm_->notifiers.clear();
  }

  sw::File pool_;
  std::unique_ptr<sw::Mm> other_;
  std::optional<bool> first_flush_locked_;
};

INSTANTIATE_TEST_SUITE_P(Releases, HugetlbTest,
                         testing::Values(sw::Release{6, 1}, sw::Release{6, 2}, sw::Release{6, 6}),
                         [](const auto& test) {
                           return "V" + std::to_string(test.param.major) + "_" +
                                  std::to_string(test.param.minor);
                         });

TEST_P(HugetlbTest, WholeGibibytesOfOneFileAreMappedThroughOneTable) {
  share();
  EXPECT_EQ(sharers(table_of(*mm_, kHere)), 2);
  EXPECT_EQ(kernel_.nr_page_table, empty_tables_ + 1) << "those of level 1 count from v6.7 on";
  EXPECT_EQ(kernel_.pages.find({descriptor(*mm_, kHere, 2) & kAddressBits})->mapcount, 1);
  write(*mm_, kHere + 5 * kMiB2);
  EXPECT_EQ(descriptor(*other_, kThere + 5 * kMiB2, 2), descriptor(*mm_, kHere + 5 * kMiB2, 2))
      << "what one faults in the other has";
}

TEST_P(HugetlbTest, ATableIsSharedOnlyWhereItMapsTheSameTheSameWay) {
  struct Case {
    const char* what;
    std::uint64_t start;
    std::uint64_t bytes;
    sw::Protection protection;
    std::uint64_t offset;
  };
  for (const Case& c : {Case{"not at a whole GiB", kThere + kMiB2, kGiB, kReadWrite, 0},
                        Case{"less than a GiB", kThere, kGiB - kMiB2, kReadWrite, 0},
                        Case{"another protection", kThere, kGiB, kReadOnly, 0},
                        Case{"another part of the file", kThere, kGiB, kReadWrite, kMiB2}}) {
    map_pool(*mm_, kHere);
    write(*mm_, kHere + kMiB2);
    map_pool(*other_, c.start, c.bytes, c.protection, c.offset);
    read(*other_, c.start + kMiB2 - c.offset);
    EXPECT_NE(table_of(*other_, c.start), table_of(*mm_, kHere)) << c.what;
    EXPECT_EQ(sharers(table_of(*mm_, kHere)), 1) << c.what;
    EXPECT_EQ(descriptor(*other_, c.start + kMiB2 - c.offset, 2) & kAddressBits,
              descriptor(*mm_, kHere + kMiB2, 2) & kAddressBits)
        << c.what << ": the same page all the same";
    sw::do_munmap(cpu_, *mm_, {kHere}, {kHere + kGiB});
    sw::do_munmap(cpu_, *other_, {c.start}, {c.start + c.bytes});
    cpu_.forget();
  }
  EXPECT_EQ(kernel_.nr_page_table, empty_tables_);
}

TEST_P(HugetlbTest, ZappingASharedTableTakesItOutAndFlushesUnderTheLock) {
  share();
  const std::uint64_t table = table_of(*mm_, kHere);
  watch_first_flush();
  sw::madvise_dontneed(cpu_, *mm_, {kHere}, {kHere + kMiB2});
  EXPECT_EQ(table_of(*mm_, kHere), 0U);
  EXPECT_EQ(table_of(*other_, kThere), table);
  EXPECT_EQ(sharers(table), 1);
  EXPECT_NE(descriptor(*other_, kThere, 2), 0U) << "the other's entries stay";
  EXPECT_GT(count("tlbi"), 0U);
  EXPECT_EQ(first_flush_locked_, true) << whole_log();
  EXPECT_TRUE(notified(kHere, kHere + kGiB)) << whole_log();
  cpu_.on_tlbi = {};
  write(*mm_, kHere);
  EXPECT_EQ(sharers(table), 2) << "the next fault shares again";
}

TEST_P(HugetlbTest, TheLastOwnerClearsTheEntriesThemselves) {
  share();
  sw::madvise_dontneed(cpu_, *mm_, {kHere}, {kHere + kMiB2});
  cpu_.forget();
  sw::madvise_dontneed(cpu_, *other_, {kThere}, {kThere + kMiB2});
  EXPECT_NE(table_of(*other_, kThere), 0U);
  EXPECT_EQ(descriptor(*other_, kThere, 2), 0U);
  EXPECT_NE(descriptor(*other_, kThere + kMiB2, 2), 0U);
  EXPECT_GT(count("tlbi"), 0U);
}

TEST_P(HugetlbTest, MprotectUnsharesAndFaultsFillATableOfItsOwn) {
  share();
  watch_first_flush();
  sw::do_mprotect(cpu_, *mm_, {kHere}, {kHere + kGiB}, kReadOnly);
  EXPECT_EQ(first_flush_locked_, true) << whole_log();
  EXPECT_EQ(table_of(*mm_, kHere), 0U);
  read(*mm_, kHere);
  EXPECT_NE(table_of(*mm_, kHere), table_of(*other_, kThere));
  EXPECT_EQ(descriptor(*mm_, kHere, 2) & ~kAddressBits, kReadOnlyPte & ~std::uint64_t{2});
  EXPECT_EQ(descriptor(*other_, kThere, 2) & ~kAddressBits, kWritablePte & ~std::uint64_t{2});
}

TEST_P(HugetlbTest, MprotectOfATableOfItsOwnChangesTheEntries) {
  map_pool(*mm_, kHere);
  write(*mm_, kHere);
  const std::uint64_t table = table_of(*mm_, kHere);
  cpu_.forget();
  sw::do_mprotect(cpu_, *mm_, {kHere}, {kHere + kGiB}, kReadOnly);
  EXPECT_EQ(table_of(*mm_, kHere), table);
  EXPECT_EQ(descriptor(*mm_, kHere, 2) & 0xc0, 0xc0U) << "read-only";
  EXPECT_GT(count("tlbi"), 0U);
}

TEST_P(HugetlbTest, ASplitUnsharesAndFlushesTheWholeTableFromV62On) {
  share();
  watch_first_flush();
  sw::do_mprotect(cpu_, *mm_, {kHere + 3 * kMiB2}, {kHere + 5 * kMiB2}, kReadOnly);
  EXPECT_EQ(table_of(*mm_, kHere), 0U);
  EXPECT_EQ(first_flush_locked_, true);
  EXPECT_EQ(notified(kHere, kHere + kGiB), GetParam() >= sw::Release(6, 2))
      << "b30c14cd6102" << whole_log();
}

TEST_P(HugetlbTest, ASplitAtAWholeGibibyteLeavesTablesAlone) {
  map_pool(*mm_, kHere, 2 * kGiB);
  map_pool(*other_, kThere, 2 * kGiB);
  for (const std::uint64_t at : {std::uint64_t{0}, kGiB}) {
    write(*mm_, kHere + at);
    write(*other_, kThere + at);
    ASSERT_EQ(sharers(table_of(*mm_, kHere + at)), 2);
  }
  sw::do_mprotect(cpu_, *mm_, {kHere}, {kHere + kGiB}, kReadOnly);
  EXPECT_EQ(table_of(*mm_, kHere), 0U);
  EXPECT_EQ(sharers(table_of(*mm_, kHere + kGiB)), 2) << "on the other side of the split";
}

TEST_P(HugetlbTest, APunchedHoleIsToldOfTheAreasAsTheyAreByNow) {
  map_pool(*mm_, kHere);
  for (const std::uint64_t page : {std::uint64_t{0}, kMiB2, 2 * kMiB2}) write(*mm_, kHere + page);
  ASSERT_TRUE(sw::do_mprotect(cpu_, *mm_, {kHere + 2 * kMiB2}, {kHere + kGiB}, kReadOnly));
  cpu_.forget();
  sw::hugetlbfs_punch_hole(cpu_, kernel_, pool_, 0, 3 * kMiB2);
  EXPECT_GT(count(notify(kHere, kHere + 2 * kMiB2)), 0U) << whole_log();
  EXPECT_GT(count(notify(kHere + 2 * kMiB2, kHere + 3 * kMiB2)), 0U) << whole_log();
  EXPECT_FALSE(notified(kHere, kHere + 3 * kMiB2)) << "not as one area" << whole_log();
}

/// As kernels from v6.16 on, where the gather does it.
TEST_P(HugetlbTest, WithAGatherUnsharingIsFlushedUnderTheLockToo) {
  kernel_.behaviour.unshare_on_split = true;
  kernel_.behaviour.unshare_in_split = true;
  kernel_.behaviour.unshare_sync = true;
  kernel_.behaviour.unshare_by_gather = true;
  share();
  watch_first_flush();
  sw::do_mprotect(cpu_, *mm_, {kHere + 3 * kMiB2}, {kHere + 5 * kMiB2}, kReadOnly);
  EXPECT_EQ(first_flush_locked_, true) << "split" << whole_log();
  EXPECT_EQ(table_of(*mm_, kHere), 0U);
  sw::do_munmap(cpu_, *mm_, {kHere}, {kHere + kGiB});

  map_pool(*mm_, kHere);
  write(*mm_, kHere);
  ASSERT_EQ(table_of(*mm_, kHere), table_of(*other_, kThere));
  first_flush_locked_.reset();
  sw::do_mprotect(cpu_, *mm_, {kHere}, {kHere + kGiB}, kReadOnly);
  EXPECT_EQ(first_flush_locked_, true) << "mprotect" << whole_log();

  sw::do_mprotect(cpu_, *mm_, {kHere}, {kHere + kGiB}, kReadWrite);
  write(*mm_, kHere);
  ASSERT_EQ(table_of(*mm_, kHere), table_of(*other_, kThere));
  first_flush_locked_.reset();
  ASSERT_TRUE(sw::do_mremap(cpu_, *mm_, {kHere}, {kHere + kGiB}, {0x7e80'0000'0000}));
  EXPECT_EQ(first_flush_locked_, true) << "mremap" << whole_log();
}

TEST_P(HugetlbTest, MprotectMakesDirtyEntriesWritableAndCleanOnesByAFault) {
  map_pool(*mm_, kHere);
  write(*mm_, kHere);
  const auto read_only = [&] { return (descriptor(*mm_, kHere, 2) & 0x80) != 0; };
  sw::do_mprotect(cpu_, *mm_, {kHere}, {kHere + kGiB}, kReadOnly);
  EXPECT_TRUE(read_only());
  sw::do_mprotect(cpu_, *mm_, {kHere}, {kHere + kGiB}, kReadWrite);
  EXPECT_FALSE(read_only());
  sw::do_mprotect(cpu_, *mm_, {kHere}, {kHere + kGiB}, kReadOnly);
  read(*mm_, kHere + 2 * kMiB2);
  sw::do_mprotect(cpu_, *mm_, {kHere}, {kHere + kGiB}, kReadWrite);
  EXPECT_NE(descriptor(*mm_, kHere + 2 * kMiB2, 2) & 0x80, 0U) << "read-only for hardware";
}

TEST_P(HugetlbTest, MremapMovesItsOwnEntriesAndLeavesSharedOnesToFaults) {
  constexpr std::uint64_t kNew = 0x7e80'0000'0000;
  share();
  watch_first_flush();
  ASSERT_TRUE(sw::do_mremap(cpu_, *mm_, {kHere}, {kHere + kGiB}, {kNew}));
  EXPECT_EQ(first_flush_locked_, true);
  cpu_.on_tlbi = {};
  EXPECT_EQ(table_of(*mm_, kNew), 0U);
  write(*mm_, kNew);
  EXPECT_EQ(table_of(*mm_, kNew), table_of(*other_, kThere));

  ASSERT_TRUE(sw::do_mremap(cpu_, *mm_, {kNew}, {kNew + kGiB}, {kHere}));
  sw::do_munmap(cpu_, *other_, {kThere}, {kThere + kGiB});
  write(*mm_, kHere);
  const std::uint64_t entry = descriptor(*mm_, kHere, 2);
  ASSERT_TRUE(sw::do_mremap(cpu_, *mm_, {kHere}, {kHere + kGiB}, {kNew}));
  EXPECT_EQ(descriptor(*mm_, kNew, 2), entry);
}

TEST_P(HugetlbTest, AForkedChildSharesAtItsFirstFault) {
  map_pool(*mm_, kHere);
  write(*mm_, kHere);
  sw::dup_mmap(cpu_, *mm_, *other_);
  EXPECT_EQ(table_of(*other_, kHere), 0U);
  EXPECT_NE(descriptor(*mm_, kHere, 2) & 0x80, 0x80U) << "not write-protected";
  read(*other_, kHere);
  EXPECT_EQ(table_of(*other_, kHere), table_of(*mm_, kHere));
}

TEST_P(HugetlbTest, APunchedHoleFreesPagesAfterEveryoneWasFlushed) {
  share();
  watch_first_flush();
  std::size_t flushes_before_free = 0;
  cpu_.on_free = [&] {
    flushes_before_free = flushes_before_free ? flushes_before_free : count("tlbi");
  };
  sw::hugetlbfs_punch_hole(cpu_, kernel_, pool_, 0, kMiB2);
  EXPECT_EQ(first_flush_locked_, true);
  EXPECT_GT(flushes_before_free, 0U) << whole_log();
  EXPECT_EQ(count("free"), 1U) << whole_log();
  EXPECT_EQ(descriptor(*mm_, kHere, 2), 0U);
  EXPECT_EQ(descriptor(*other_, kThere, 2), 0U);
  cpu_.on_free = {};
  write(*mm_, kHere);
  EXPECT_EQ(count("free"), 1U);
}

TEST_P(HugetlbTest, ExitGivesASharedTableBackOnce) {
  share();
  exit_both();
  EXPECT_EQ(kernel_.nr_page_table, empty_tables_);
  EXPECT_EQ(pool_.pages.size(), 2U);
  sw::hugetlbfs_punch_hole(cpu_, kernel_, pool_, 0, kGiB);
  EXPECT_TRUE(pool_.pages.empty());
}

TEST_P(HugetlbTest, GupFastPinsAPageOfTheTableItShares) {
  share();
  sw::Page* page = sw::pin_user_pages_fast(cpu_, *mm_, {kHere + kMiB2}, true);
  ASSERT_NE(page, nullptr);
  EXPECT_EQ(page->address.value, descriptor(*other_, kThere + kMiB2, 2) & kAddressBits);
  sw::unpin_user_page(cpu_, *mm_, *page);
}

TEST_P(HugetlbTest, AGatherThatUnsharedFlushesWalkCachesWithC2ff4764e03e) {
  for (const bool mended : {false, true}) {
    kernel_.behaviour.unshare_sync = mended;
    kernel_.behaviour.unshare_by_gather = mended;
    kernel_.behaviour.arm64_unshare_walk_cache = mended;
    sw::Arm64Mmu ranges({.tlbi_range = true}, kernel_.behaviour);
    const auto mm = sw::mm_create(cpu_, kernel_, ranges, {3}, {kAsid + 2});
    map_pool(*mm, kHere);
    map_pool(*other_, kThere);
    write(*mm, kHere);
    write(*other_, kThere);
    cpu_.forget();
    sw::do_munmap(cpu_, *mm, {kHere}, {kHere + kGiB});
    const std::size_t first = expect_line("tlbi");
    EXPECT_TRUE(cpu_.log.at(first).starts_with(mended ? "tlbi rvae1is" : "tlbi rvale1is"))
        << whole_log();
    sw::do_munmap(cpu_, *other_, {kThere}, {kThere + kGiB});
  }
}

}  // namespace
}  // namespace shootdown::tests
