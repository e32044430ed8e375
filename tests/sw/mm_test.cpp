// Faults, mprotect, munmap and ageing on a fake CPU, before and after 6bbd42e2df8f: what is stored,
// flushed, notified and freed, and in which order.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "tests/sw/mm_fixture.h"

namespace shootdown::tests {
namespace {

using sw::Protection;
using sw::VmFault;

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kHugePage = 2u << 20;
constexpr std::uint64_t kVa = 0x7f00'1234'5000;
constexpr std::uint64_t kHugeVa = 0x7f00'4000'0000;
constexpr Protection kReadOnly{.read = true, .write = false};
constexpr Protection kReadWrite{.read = true, .write = true};

INSTANTIATE_TEST_SUITE_P(Releases, MmTest,
                         testing::Values(sw::Release{6, 1}, sw::Release{6, 5}, sw::Release{6, 6}),
                         [](const auto& test) {
                           return "V" + std::to_string(test.param.major) + "_" +
                                  std::to_string(test.param.minor);
                         });

TEST_P(MmTest, AnonymousWriteMapsAWritableZeroedPageWithoutAFlush) {
  map(kVa, 4 * kPage, kReadWrite);

  touch(kVa + 0x123, true);

  EXPECT_EQ(pte(kVa) & ~kAddressBits, kWritablePte);
  ASSERT_NE(page_at(kVa), nullptr);
  EXPECT_EQ(page_at(kVa)->use, sw::PageUse::kAnonymous);
  EXPECT_EQ(page_at(kVa)->refcount, 1);
  EXPECT_EQ(page_at(kVa)->mapcount, 1);
  EXPECT_EQ(pte(kVa + kPage), 0U);
  expect_no_flush();
}

TEST_P(MmTest, AnonymousReadMapsTheZeroPageAndTheWriteAfterItCopies) {
  map(kVa, 2 * kPage, kReadWrite);

  touch(kVa, false);
  touch(kVa + kPage, false);
  const std::uint64_t before = pte(kVa);
  EXPECT_EQ(before & ~kAddressBits & ~kSpecialPte, kReadOnlyPte);
  EXPECT_EQ(before & kAddressBits, pte(kVa + kPage) & kAddressBits) << "one zero page for all";
  expect_no_flush();

  cpu_.forget();
  touch(kVa, true);

  EXPECT_EQ(pte(kVa) & ~kAddressBits, kWritablePte);
  EXPECT_NE(pte(kVa) & kAddressBits, before & kAddressBits);
  // Another page: break, flush, make.
  const std::size_t cleared = expect_line(stored(kVa, 0));
  const std::size_t flushed = expect_line("dsb ish", expect_line("tlbi vale1is", cleared));
  expect_line(stored(kVa, pte(kVa)), flushed);

  sw::Page* zero = kernel_.pages.find({before & kAddressBits});
  sw::do_munmap(cpu_, *mm_, {kVa}, {kVa + 2 * kPage});
  expect_all_freed(1);
  ASSERT_NE(zero, nullptr);
  EXPECT_EQ(zero->refcount, 1);
  EXPECT_EQ(zero->mapcount, 0);
}

TEST_P(MmTest, SharedFileReadThenWriteUpgradesTheEntryInPlace) {
  sw::File file;
  map(kVa, kPage, kReadWrite, &file, true);
  touch(kVa, false);
  const std::uint64_t frame = pte(kVa) & kAddressBits;
  EXPECT_EQ(pte(kVa), kReadOnlyPte | frame);
  expect_no_flush();

  cpu_.forget();
  touch(kVa + 8, true);

  // wp_page_reuse(): the arch function flushes the page; core mm tells no one.
  Events expected{stored(kVa, kWritablePte | frame)};
  for (const auto& line : page_flush(kVa)) expected.push_back(line);
  EXPECT_EQ(cpu_.log, expected);
  EXPECT_TRUE(page_at(kVa)->dirty);
}

TEST_P(MmTest, FaultOnAnEntryThatAlreadyPermitsTheAccessChangesNothing) {
  sw::File file;
  map(kVa, kPage, kReadWrite, &file, true);
  touch(kVa, false);
  touch(kVa, true);
  cpu_.forget();

  touch(kVa, true);
  touch(kVa, false);

  EXPECT_TRUE(cpu_.log.empty()) << whole_log();
}

TEST_P(MmTest, SharedFileWriteMapsItsPageWritableAtOnce) {
  sw::File file;
  map(kVa, kPage, kReadWrite, &file, true);

  touch(kVa, true);

  EXPECT_EQ(pte(kVa) & ~kAddressBits, kWritablePte);
  ASSERT_TRUE(file.pages.contains(0));
  EXPECT_EQ(file.pages[0]->address.value, pte(kVa) & kAddressBits);
  EXPECT_TRUE(file.pages[0]->dirty);
  expect_no_flush();
}

TEST_P(MmTest, PrivateFileWriteClearsFlushesAndOnlyThenSetsTheCopy) {
  sw::File file;
  map(kVa, kPage, kReadWrite, &file, false);
  touch(kVa, false);
  ASSERT_TRUE(file.pages.contains(0));
  sw::Page& original = *file.pages[0];
  ASSERT_EQ(pte(kVa), kReadOnlyPte | original.address.value);
  cpu_.memory[original.address.value + 0x40] = 0x1122'3344;
  cpu_.forget();

  touch(kVa, true);

  const std::uint64_t copy = pte(kVa) & kAddressBits;
  EXPECT_NE(copy, original.address.value);
  Events expected{stored(kVa, 0)};
  for (const auto& line : page_flush(kVa)) expected.push_back(line);
  // ptep_clear_flush_notify(): before v6.6 core mm notifies, under the lock, after the flush.
  if (!notifies_in_flush()) expected.push_back(notify(kVa, kVa + kPage));
  expected.push_back(stored(kVa, kWritablePte | copy));
  EXPECT_EQ(cpu_.log, expected);
  EXPECT_EQ(cpu_.load({copy + 0x40}), 0x1122'3344U);
  EXPECT_EQ(original.mapcount, 0);
  EXPECT_EQ(original.refcount, 1) << "the page cache keeps it";
  EXPECT_FALSE(original.dirty);
}

TEST_P(MmTest, AccessWithoutRightIsRefused) {
  map(kVa, kPage, kReadOnly);

  EXPECT_EQ(fault(kVa, true), VmFault::kSigsegv);
  EXPECT_EQ(fault(kVa - 1, false), VmFault::kSigsegv);
  EXPECT_EQ(fault(kVa + kPage, false), VmFault::kSigsegv);

  EXPECT_EQ(pte(kVa), 0U);
}

TEST_P(MmTest, MprotectFlushesWhatItMadeReadOnly) {
  map(kVa, 4 * kPage, kReadWrite);
  for (unsigned i = 0; i < 3; ++i) touch(kVa + i * kPage, true);
  cpu_.forget();

  sw::do_mprotect(cpu_, *mm_, {kVa}, {kVa + 4 * kPage}, kReadOnly);

  std::size_t last_store = 0;
  for (unsigned i = 0; i < 3; ++i) {
    const std::uint64_t va = kVa + i * kPage;
    EXPECT_EQ(pte(va) & ~kAddressBits, kReadOnlyPte | std::uint64_t{1} << 55) << "clean state kept";
    last_store = std::max(last_store, expect_line(stored(va, pte(va))));
  }
  const std::string page = hex_text(kAsid << 48 | kVa >> 12);
  const std::size_t first = expect_line("tlbi vale1is " + page, last_store);
  EXPECT_EQ(count("tlbi"), 3U) << whole_log();
  const std::size_t barrier = expect_line("dsb ish", first + 2);
  if (notifies_in_flush()) {
    EXPECT_EQ(count("notify"), 1U) << whole_log();
    EXPECT_LT(expect_line(notify(kVa, kVa + 3 * kPage), first), barrier);
  } else {
    // At the end of the notifier range, and after the flush of the gather.
    expect_line(notify(kVa, kVa + 4 * kPage), last_store);
    expect_line(notify(kVa, kVa + 3 * kPage), barrier);
    EXPECT_EQ(count("notify"), 2U) << whole_log();
  }
  EXPECT_EQ(fault(kVa, true), VmFault::kSigsegv);
}

TEST_P(MmTest, MprotectSplitsAreasAndLeavesTheRestAlone) {
  map(kVa, 4 * kPage, kReadWrite);
  for (unsigned i = 0; i < 4; ++i) touch(kVa + i * kPage, true);
  cpu_.forget();

  sw::do_mprotect(cpu_, *mm_, {kVa + kPage}, {kVa + 2 * kPage}, kReadOnly);

  EXPECT_EQ(mm_->vmas.size(), 3U);
  EXPECT_EQ(pte(kVa) & ~kAddressBits, kWritablePte);
  EXPECT_EQ(pte(kVa + 2 * kPage) & ~kAddressBits, kWritablePte);
  EXPECT_EQ(count("tlbi"), 1U) << whole_log();
  EXPECT_EQ(fault(kVa + kPage, true), VmFault::kSigsegv);
  EXPECT_EQ(fault(kVa + 2 * kPage, true), VmFault::kHandled);

  sw::do_mprotect(cpu_, *mm_, {kVa}, {kVa + 4 * kPage}, kReadWrite);
  touch(kVa + kPage, true);
  EXPECT_EQ(pte(kVa + kPage) & ~kAddressBits, kWritablePte);
}

TEST_P(MmTest, MprotectOfAHoleFails) {
  map(kVa, 4 * 4096, kReadWrite);
  EXPECT_TRUE(sw::do_mprotect(cpu_, *mm_, {kVa}, {kVa + 4 * 4096}, kReadOnly));
  EXPECT_FALSE(sw::do_mprotect(cpu_, *mm_, {kVa + 4096}, {kVa + 5 * 4096}, kReadWrite));
}

TEST_P(MmTest, MprotectOfUntouchedMemoryTellsNoOne) {
  // The notifier range starts at the first populated upper-level entry; there is none.
  map(kVa, 4 * kPage, kReadWrite);

  sw::do_mprotect(cpu_, *mm_, {kVa}, {kVa + 4 * kPage}, kReadOnly);

  expect_no_flush();
}

TEST_P(MmTest, FreedTableIsFlushedAndToldAtTheStartOfWhatItMaps) {
  // free_pgd_range() rounds down to what one table maps. The neighbour keeps the tables above.
  const std::uint64_t base = 0x7f00'1220'0000;
  map(kVa, kPage, kReadWrite);
  map(base + kHugePage, kPage, kReadWrite);
  touch(kVa, true);
  touch(base + kHugePage, true);
  const std::uint64_t pmd_entry = *entry_address(kVa, 2);
  cpu_.forget();

  sw::do_munmap(cpu_, *mm_, {kVa}, {kVa + kPage});

  const std::size_t unhooked = expect_line("store " + hex_text(pmd_entry) + " 0x0");
  const std::size_t tlbi =
      expect_line("tlbi vae1is " + hex_text(kAsid << 48 | base >> 12), unhooked);
  // One page of range per table; the flush of v6.6 tells what it rounded to its stride.
  const std::uint64_t bytes = notifies_in_flush() ? kHugePage : kPage;
  expect_line(notify(base, base + bytes), tlbi);
}

TEST_P(MmTest, MunmapFreesPagesAfterTheFlushAndTablesAfterANonLeafFlush) {
  map(kVa, 4 * kPage, kReadWrite);
  std::vector<std::uint64_t> frames, entries, tables;
  for (unsigned i = 0; i < 4; ++i) {
    touch(kVa + i * kPage, true);
    frames.push_back(pte(kVa + i * kPage) & kAddressBits);
    entries.push_back(*entry_address(kVa + i * kPage));
  }
  const std::uint64_t pmd_entry = *entry_address(kVa, 2);
  const std::uint64_t table = pte(kVa, 2) & kAddressBits;
  cpu_.forget();

  sw::do_munmap(cpu_, *mm_, {kVa}, {kVa + 4 * kPage});

  for (unsigned i = 0; i < 4; ++i) {
    SCOPED_TRACE("page " + std::to_string(i));
    const std::size_t cleared = expect_line("store " + hex_text(entries[i]) + " 0x0");
    const std::size_t tlbi =
        expect_line("tlbi vale1is " + hex_text((kAsid << 48 | kVa >> 12) + i), cleared);
    const std::size_t barrier = expect_line("dsb ish", tlbi);
    const std::size_t freed = expect_line("free " + hex_text(frames[i]));
    EXPECT_GT(freed, barrier);
    const std::size_t told = expect_line(notify(kVa, kVa + 4 * kPage), tlbi);
    EXPECT_LT(told, freed);
    EXPECT_EQ(told < barrier, notifies_in_flush()) << whole_log();
  }
  const std::size_t unhooked = expect_line("store " + hex_text(pmd_entry) + " 0x0");
  const std::size_t non_leaf =
      std::min(find("tlbi vae1is", unhooked), find("tlbi aside1is", unhooked));
  const std::size_t barrier = expect_line("dsb ish", non_leaf);
  const std::size_t freed = expect_line("free " + hex_text(table) + " table");
  EXPECT_GT(freed, barrier) << whole_log();
  EXPECT_LT(expect_line("notify", unhooked), freed) << whole_log();
  EXPECT_TRUE(mm_->vmas.empty());
  EXPECT_EQ(fault(kVa, false), VmFault::kSigsegv);
  expect_all_freed();
}

TEST_P(MmTest, MunmapOfAPartKeepsTheRestAndItsTables) {
  map(kVa, 3 * kPage, kReadWrite);
  for (unsigned i = 0; i < 3; ++i) touch(kVa + i * kPage, true);
  cpu_.forget();

  sw::do_munmap(cpu_, *mm_, {kVa + kPage}, {kVa + 2 * kPage});

  EXPECT_EQ(mm_->vmas.size(), 2U);
  EXPECT_EQ(pte(kVa + kPage), 0U);
  EXPECT_EQ(pte(kVa) & ~kAddressBits, kWritablePte);
  EXPECT_EQ(pte(kVa + 2 * kPage) & ~kAddressBits, kWritablePte);
  EXPECT_EQ(count("free"), 1U) << whole_log();
  EXPECT_EQ(fault(kVa + kPage, false), VmFault::kSigsegv);

  sw::do_munmap(cpu_, *mm_, {kVa}, {kVa + 3 * kPage});
  expect_all_freed();
}

TEST_P(MmTest, MunmapOfASharedFileRemembersThatItIsDirtyAndKeepsItsPages) {
  sw::File file;
  map(kVa, 2 * kPage, kReadWrite, &file, true);
  touch(kVa, true);
  touch(kVa + kPage, false);
  ASSERT_EQ(file.pages.size(), 2U);
  file.pages[0]->dirty = false;  // only the entry still knows

  sw::do_munmap(cpu_, *mm_, {kVa}, {kVa + 2 * kPage});

  EXPECT_TRUE(file.pages[0]->dirty);
  EXPECT_FALSE(file.pages[kPage]->dirty);
  for (const auto& [offset, page] : file.pages) {
    EXPECT_EQ(page->mapcount, 0);
    EXPECT_EQ(page->refcount, 1);
  }
  expect_all_freed(2);
}

TEST_P(MmTest, MunmapOfManyPagesFlushesWhenTheBatchesAreFullAndFreesAfterEachFlush) {
  // 8 slots in the gather and 19 batches of 510: page 9,698 fills the last.
  constexpr std::uint64_t kFull = 8 + 19 * 510;
  constexpr std::uint64_t kPages = kFull + 300;
  map(kVa, kPages * kPage, kReadWrite);
  for (std::uint64_t i = 0; i < kPages; ++i) touch(kVa + i * kPage, true);
  cpu_.forget();

  bool locked_at_first_flush = false;
  bool free_at_first_free = false;
  cpu_.on_tlbi = [&] {
    if (cpu_.count("tlbi") == 1) locked_at_first_flush = cpu_.preempt_count > 0;
  };
  cpu_.on_free = [&] {
    if (cpu_.count("free") == 1) free_at_first_free = cpu_.preempt_count == 0;
  };
  sw::do_munmap(cpu_, *mm_, {kVa}, {kVa + kPages * kPage});
  EXPECT_TRUE(locked_at_first_flush);
  EXPECT_TRUE(free_at_first_free) << "pages are freed under the page-table lock";

  // The first flush is of more than 512 pages, the rest page by page.
  const std::size_t first = expect_line("tlbi aside1is");
  const std::size_t second = expect_line("tlbi", first + 1);
  const std::size_t first_free = expect_line("free");
  EXPECT_GT(first_free, first);
  std::size_t freed = 0;
  for (std::size_t i = first; i < second; ++i)
    freed += cpu_.log[i].find(" anonymous") != std::string::npos;
  EXPECT_EQ(freed, kFull);
  expect_all_freed();
}

TEST_P(MmTest, TheZeroPageTakesNoRoomInTheBatches) {
  constexpr std::uint64_t kPages = 8 + 19 * 510 + 300;
  map(kVa, kPages * kPage, kReadWrite);
  for (std::uint64_t i = 0; i < kPages; ++i) touch(kVa + i * kPage, false);
  cpu_.forget();

  sw::do_munmap(cpu_, *mm_, {kVa}, {kVa + kPages * kPage});

  // One flush of the area, then the tables; a flush in between would leave the rest to single
  // TLBIs.
  EXPECT_EQ(count("tlbi aside1is"), 1U);
  EXPECT_EQ(count("tlbi vale1is"), 0U);
  EXPECT_EQ(kernel_.zero_page->mapcount, 0);
  expect_all_freed(1);
}

TEST_P(MmTest, ADirtyFilePageKeepsItsMapUntilTheFlushFromV62On) {
  sw::File file;
  map(kVa, kPage, kReadWrite, &file, /*shared=*/true);
  touch(kVa, true);
  const sw::Page* page = page_at(kVa);
  int mapped_at_flush = -1;
  cpu_.on_tlbi = [&] {
    if (mapped_at_flush >= 0) return;  // later ones are for the tables
    mapped_at_flush = page->mapcount;
    // Who looks for the page's maps waits for this lock: the flush has to be over when it is free.
    EXPECT_GT(cpu_.preempt_count, 0U) << "flushed after the page-table lock was dropped";
  };

  sw::do_munmap(cpu_, *mm_, {kVa}, {kVa + kPage});

  EXPECT_EQ(mapped_at_flush, (GetParam() >= sw::Release(6, 2)) ? 1 : 0);
  EXPECT_EQ(page->mapcount, 0);
  EXPECT_TRUE(page->dirty);
}

TEST_P(MmTest, AgeingFlushesWithoutABarrierAndTheNextReadNeedsNoFlush) {
  map(kVa, 2 * kPage, kReadWrite);
  touch(kVa, true);
  const std::uint64_t young = pte(kVa);
  cpu_.forget();

  sw::age_pages(cpu_, *mm_, {kVa}, {kVa + 2 * kPage});

  EXPECT_EQ(pte(kVa), young & ~(std::uint64_t{1} << 10));
  Events expected{stored(kVa, pte(kVa)), "dsb ishst",
                  "tlbi vale1is " + hex_text(kAsid << 48 | kVa >> 12)};
  if (notifies_in_flush()) expected.push_back(notify(kVa, kVa + kPage));
  EXPECT_EQ(cpu_.log, expected);

  cpu_.forget();
  sw::age_pages(cpu_, *mm_, {kVa}, {kVa + 2 * kPage});
  EXPECT_TRUE(cpu_.maintenance().empty()) << "already old" << whole_log();
  EXPECT_EQ(pte(kVa), young & ~(std::uint64_t{1} << 10));

  touch(kVa, false);
  EXPECT_EQ(pte(kVa), young);
  expect_no_flush();  // an entry whose access flag is 0 is in no TLB
}

TEST_P(MmTest, HugePagesAreBlocksThatOneTlbiFlushes) {
  map(kHugeVa, 2 * kHugePage, kReadWrite, nullptr, false, 21);
  touch(kHugeVa + 0x1'2345, true);
  const std::uint64_t block = pte(kHugeVa, 2);
  EXPECT_EQ(block & ~kAddressBits, kWritablePte & ~std::uint64_t{2}) << "a block, not a table";
  EXPECT_EQ(block & kAddressBits & (kHugePage - 1), 0U);
  ASSERT_NE(page_at(kHugeVa, 2), nullptr);
  EXPECT_EQ(page_at(kHugeVa, 2)->order, 9U);
  expect_no_flush();
  cpu_.forget();

  sw::do_munmap(cpu_, *mm_, {kHugeVa}, {kHugeVa + 2 * kHugePage});

  const std::size_t tlbi = expect_line("tlbi vale1is " + hex_text(kAsid << 48 | kHugeVa >> 12));
  EXPECT_EQ(count("tlbi vale1is"), 1U) << whole_log();
  const std::size_t told = expect_line(notify(kHugeVa, kHugeVa + kHugePage), tlbi);
  const std::size_t freed = expect_line("free " + hex_text(block & kAddressBits));
  EXPECT_GT(freed, expect_line("dsb ish", tlbi));
  EXPECT_GT(freed, told);
  expect_all_freed();
}

TEST_P(MmTest, HugeSharedFileUpgradeFlushesOneAddressOfTheBlock) {
  sw::File file;
  map(kHugeVa, kHugePage, kReadWrite, &file, true, 21);
  touch(kHugeVa, false);
  ASSERT_EQ(pte(kHugeVa, 2) & ~kAddressBits, kReadOnlyPte & ~std::uint64_t{2});
  cpu_.forget();

  touch(kHugeVa + 0x5000, true);

  EXPECT_EQ(pte(kHugeVa, 2) & ~kAddressBits, kWritablePte & ~std::uint64_t{2});
  EXPECT_EQ(count("tlbi vale1is"), 1U) << whole_log();
  EXPECT_EQ(count("tlbi"), 1U) << whole_log();
  EXPECT_EQ(count("notify"), notifies_in_flush() ? 1U : 0U) << whole_log();
}

}  // namespace
}  // namespace shootdown::tests
