// Checkers on logs written by hand: each rule fires on the events that break it, and is silent on
// those that keep it.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "cosim/check/accounting_checker.h"
#include "cosim/check/bbm_checker.h"
#include "cosim/check/cost_checker.h"
#include "cosim/check/dirty_checker.h"
#include "cosim/check/table_checker.h"
#include "support/hand_log.h"
#include "support/scenario.h"

namespace shootdown::tests {
namespace {

constexpr std::uint64_t kLeaf = HandLog::kLeaf;
constexpr std::uint64_t kTable = HandLog::kTable;
constexpr arch::MmId kMm = HandLog::kMm;
constexpr arch::Asid kAsid = HandLog::kAsid;

/// One checker on a log written by hand.
template <class Checker>
class Bench : public HandLog {
 public:
  template <class... More>
  explicit Bench(More... more) : checker_(ledger, findings_, more...) {
    log.subscribe(checker_);
  }
  void write(std::uint64_t va, std::uint64_t pa) { access(cpu, va, pa, arch::Access::kWrite); }
  std::vector<std::string> end(bool quiet = true) {
    checker_.on_end(quiet);
    std::vector<std::string> names;
    for (const auto& violation : findings_.violations()) {
      names.push_back(std::string(name_of(violation.kind)) + "/" +
                      std::string(name_of(violation.missing_hop)));
    }
    return names;
  }
  const std::vector<cosim::Note>& notes() const { return findings_.notes(); }
  const std::vector<cosim::Violation>& violations() const { return findings_.violations(); }

 private:
  cosim::Findings findings_;
  Checker checker_;
};

using Names = std::vector<std::string>;

// ---- accounting ------------------------------------------------------------------------------

using Accounting = Bench<cosim::AccountingChecker>;

TEST(AccountingCheckerTest, CountsThatAgreeAreFine) {
  Accounting bench;
  bench.allocate(0x4000, sw::PageUse::kTable);
  bench.store(0x0, 0, 0, 0x2000 | kTable);
  bench.store(0x0, 1, 0, 0x3000 | kTable);
  bench.store(0x0, 2, 0, 0x4000 | kTable);
  bench.say(sw::TableAccounted{
      .mm = kMm, .page = {0x4000}, .level = 3, .constructed = true, .tables = 1});
  bench.allocate(0x8000, sw::PageUse::kAnonymous);
  bench.say(sw::MapcountChanged{.page = {0x8000}, .mapcount = 1});
  bench.store(0x5000, 3, 0, 0x8000 | kLeaf);
  bench.say(sw::FlushPending{.mm = kMm, .count = 1});
  bench.say(sw::FlushPending{.mm = kMm, .count = 0});
  EXPECT_EQ(bench.end(), Names{});
}

TEST(AccountingCheckerTest, AGatherThatNeverFinishes) {
  Accounting bench;
  bench.say(sw::FlushPending{.mm = kMm, .count = 1});
  EXPECT_EQ(bench.end(/*quiet=*/false), Names{}) << "a run that was cut off proves nothing";
  EXPECT_EQ(bench.end(), Names{"accounting/pending"});
}

TEST(AccountingCheckerTest, ATableWithoutItsDestructor) {
  Accounting bench;
  bench.allocate(0x4000, sw::PageUse::kTable);
  bench.say(sw::TableAccounted{
      .mm = kMm, .page = {0x4000}, .level = 3, .constructed = true, .tables = 1});
  bench.free(0x4000, sw::PageUse::kTable);
  EXPECT_EQ(bench.end(), (Names{"accounting/dtor", "accounting/dtor"}))
      << "page type, NR_PAGETABLE";
}

TEST(AccountingCheckerTest, ADestructorTwice) {
  Accounting bench;
  bench.allocate(0x4000, sw::PageUse::kTable);
  bench.say(sw::TableAccounted{
      .mm = kMm, .page = {0x4000}, .level = 3, .constructed = false, .tables = 0});
  EXPECT_EQ(bench.end(), Names{"accounting/dtor"});
}

TEST(AccountingCheckerTest, MapCountsThatDisagree) {
  Accounting bench;
  bench.allocate(0x8000, sw::PageUse::kFile);
  bench.say(sw::MapcountChanged{.page = {0x8000}, .mapcount = 1});
  EXPECT_EQ(bench.end(), Names{"accounting/rmap"});
  bench.say(sw::MapcountChanged{.page = {0x8000}, .mapcount = -1});
  EXPECT_EQ(bench.end().size(), 3U) << "at once, and at the end";
}

// ---- table-use-after-free --------------------------------------------------------------------

using Tables = Bench<cosim::TableChecker>;

void read_level_2(Tables& bench, std::uint64_t link) {
  bench.hardware(
      bench.cpu,
      hw::WalkRead{.access_id = 1, .level = 2, .address = {0x3000}, .descriptor = {link}});
}
void read_level_3(Tables& bench) {
  bench.hardware(
      bench.cpu,
      hw::WalkRead{
          .access_id = 1, .level = 3, .address = {0x4008}, .descriptor = {0x8000 | kLeaf}});
}
Tables& with_table(Tables& bench) {
  bench.allocate(0x3000, sw::PageUse::kTable);
  bench.allocate(0x4000, sw::PageUse::kTable);
  bench.store(0x0, 2, 0, 0x4000 | kTable);
  read_level_2(bench, 0x4000 | kTable);
  read_level_3(bench);
  return bench;
}

TEST(TableCheckerTest, ALinkedTableAndAnUnhookedOneThatIsThereAreFine) {
  Tables bench;
  with_table(bench).store(0x0, 2, 0x4000 | kTable, 0);
  read_level_3(bench);
  EXPECT_EQ(bench.end(), Names{});
}

TEST(TableCheckerTest, AFreedTableBeforeItsFlush) {
  Tables bench;
  with_table(bench).store(0x0, 2, 0x4000 | kTable, 0);
  bench.free(0x4000, sw::PageUse::kTable);
  read_level_3(bench);
  EXPECT_EQ(bench.end(), Names{"table-use-after-free/flush"});
}

TEST(TableCheckerTest, AFreedTableThatAWalkCacheStillKnows) {
  Tables bench;
  with_table(bench).store(0x0, 2, 0x4000 | kTable, 0);
  bench.say(sw::FlushBegin{.flush = 1, .mm = kMm, .start = {0}, .end = {0x200000}});
  bench.say(sw::FlushEnd{.flush = 1, .done = true});
  bench.free(0x4000, sw::PageUse::kTable);
  read_level_3(bench);
  EXPECT_EQ(bench.end(), Names{"table-use-after-free/cpu-tlbi"});
}

TEST(TableCheckerTest, ATableThatIsAnotherTableByNow) {
  Tables bench;
  with_table(bench).store(0x0, 2, 0x4000 | kTable, 0);
  bench.free(0x4000, sw::PageUse::kTable);
  bench.allocate(0x4000, sw::PageUse::kTable);
  read_level_3(bench);
  EXPECT_EQ(bench.end().size(), 1U);
  read_level_2(bench, 0x4000 | kTable);  // the new link: from here on it is this table
  read_level_3(bench);
  EXPECT_EQ(bench.end().size(), 1U);
}

/// A walk of `asid` that reads its first table at 0x4000.
void read_first(Tables& bench, std::uint64_t access_id, arch::Asid asid) {
  bench.hardware(bench.cpu, hw::WalkBegin{.access_id = access_id, .requester = {.asid = asid}});
  bench.hardware(bench.cpu, hw::WalkRead{.access_id = access_id, .level = 0, .address = {0x4008}});
  bench.hardware(bench.cpu, hw::WalkEnd{.access_id = access_id});
}

TEST(TableCheckerTest, ATableThatIsTheFirstOfAnotherProcessByNow) {
  Tables bench;
  with_table(bench).store(0x0, 2, 0x4000 | kTable, 0);
  bench.free(0x4000, sw::PageUse::kTable);
  bench.allocate(0x4000, sw::PageUse::kTable);
  bench.say(sw::MmCreated{.mm = {2}, .asid = {4}, .pgd = {0x4000}});
  read_first(bench, 2, {4});
  EXPECT_EQ(bench.end(), Names{}) << "the way to it is a register";
  read_level_3(bench);
  EXPECT_EQ(bench.end().size(), 1U) << "the old way to it is not";
}

TEST(TableCheckerTest, AFirstTableThatIsThatOfAnotherProcessByNow) {
  Tables bench;
  bench.allocate(0x4000, sw::PageUse::kTable);
  bench.say(sw::MmCreated{.mm = {2}, .asid = {4}, .pgd = {0x4000}});
  read_first(bench, 1, {4});
  bench.free(0x4000, sw::PageUse::kTable);
  bench.allocate(0x4000, sw::PageUse::kTable);
  bench.say(sw::MmCreated{.mm = {3}, .asid = {5}, .pgd = {0x4000}});
  read_first(bench, 2, {5});
  EXPECT_EQ(bench.end(), Names{});
  read_first(bench, 3, {4});
  EXPECT_EQ(bench.end().size(), 1U) << "a context that still names it";
}

TEST(TableCheckerTest, ALocklessReaderNeedsASync) {
  Tables bench;
  bench.allocate(0x3000, sw::PageUse::kTable);
  bench.allocate(0x4000, sw::PageUse::kTable);
  bench.store(0x0, 2, 0, 0x4000 | kTable);
  bench.say(sw::LocklessRead{
      .mm = kMm, .va = {0}, .level = 2, .entry = {0x3000}, .value = {0x4000 | kTable}});
  bench.store(0x0, 2, 0x4000 | kTable, 0);
  bench.free(0x4000, sw::PageUse::kTable);
  bench.say(sw::LocklessRead{.mm = kMm, .va = {0}, .level = 3, .entry = {0x4000}, .value = {0}});
  EXPECT_EQ(bench.end(), Names{"table-use-after-free/table-sync"});
}

// ---- lost-dirty ------------------------------------------------------------------------------

using Dirty = Bench<cosim::DirtyChecker>;

Dirty& with_file_page(Dirty& bench) {
  bench.allocate(0x8000, sw::PageUse::kFile);
  bench.store(0x5000, 3, 0, 0x8000 | kLeaf);
  bench.say(sw::FolioDirtied{.page = {0x8000}});
  bench.write(0x5000, 0x8000);
  return bench;
}

TEST(DirtyCheckerTest, WrittenBackAndDroppedIsFine) {
  Dirty bench;
  with_file_page(bench).store(0x5000, 3, 0x8000 | kLeaf, 0);
  bench.say(sw::FolioWritten{.page = {0x8000}});
  bench.say(sw::FolioDiscarded{.page = {0x8000}, .order = 0});
  EXPECT_EQ(bench.end(), Names{});
}

TEST(DirtyCheckerTest, ADirtyFolioOrADirtyEntryRemembersToTheEnd) {
  Dirty folio;
  with_file_page(folio).store(0x5000, 3, 0x8000 | kLeaf, 0);
  EXPECT_EQ(folio.end(), Names{});
  Dirty entry;
  with_file_page(entry).say(sw::FolioWritten{.page = {0x8000}});
  entry.write(0x5000, 0x8000);
  EXPECT_EQ(entry.end(), Names{}) << "the entry is dirty";
}

TEST(DirtyCheckerTest, DroppedWithoutWritingBack) {
  Dirty bench;
  with_file_page(bench).say(sw::FolioDiscarded{.page = {0x8000}, .order = 0});
  EXPECT_EQ(bench.end(), Names{"lost-dirty/flush"});
}

TEST(DirtyCheckerTest, WrittenAfterTheCleanAndKnownToNobody) {
  Dirty bench;
  with_file_page(bench).store(0x5000, 3, 0x8000 | kLeaf, 0);
  bench.say(sw::FolioWritten{.page = {0x8000}});
  bench.write(0x5000, 0x8000);
  EXPECT_EQ(bench.end(/*quiet=*/false), Names{});
  EXPECT_EQ(bench.end(), Names{"lost-dirty/rmap"});
}

TEST(DirtyCheckerTest, ContentsThatWereGivenUpMayGo) {
  Dirty bench;
  bench.allocate(0x8000, sw::PageUse::kAnonymous);
  bench.write(0x5000, 0x8000);
  bench.say(sw::FolioGivenUp{.page = {0x8000}});
  bench.say(sw::FolioDiscarded{.page = {0x8000}, .order = 0});
  EXPECT_EQ(bench.end(), Names{});
}

// ---- break-before-make -----------------------------------------------------------------------

using Bbm = Bench<cosim::BbmChecker>;

TEST(BbmCheckerTest, UpgradesAndBreaksAreFine) {
  Bbm bench;
  bench.store(0x5000, 3, 0, 0x8000 | kLeaf);
  bench.store(0x5000, 3, 0x8000 | kLeaf, 0x8000 | kLeaf | 0x80);  // read-only
  bench.store(0x5000, 3, 0x8000 | kLeaf | 0x80, 0);
  bench.store(0x5000, 3, 0, 0x9000 | kLeaf);
  EXPECT_EQ(bench.end(), Names{});
}

TEST(BbmCheckerTest, AnotherPageWithoutABreak) {
  Bbm bench;
  bench.store(0x5000, 3, 0x8000 | kLeaf, 0x9000 | kLeaf);
  EXPECT_EQ(bench.end(), Names{"break-before-make/break"});
}

TEST(BbmCheckerTest, ATableInThePlaceOfABlock) {
  Bbm bench;
  bench.store(0x200000, 2, 0x400000 | (kLeaf & ~2), 0x4000 | kTable);
  EXPECT_EQ(bench.end(), Names{"break-before-make/break"});
}

TEST(BbmCheckerTest, TwoTranslationsInOneTlb) {
  Bbm bench;
  bench.store(0x200000, 2, 0, 0x400000 | (kLeaf & ~2));
  bench.fill(bench.cpu, 0x200000, 0x400000, true, 21);
  bench.store(0x200000, 2, 0x400000 | (kLeaf & ~2), 0);
  bench.store(0x200000, 2, 0, 0x4000 | kTable);
  bench.store(0x200000, 3, 0, 0x8000 | kLeaf);
  EXPECT_EQ(bench.notes().size(), 1U) << "made before the old translation was gone";
  bench.fill(bench.cpu, 0x200000, 0x8000, true, 12);
  EXPECT_EQ(bench.end().size(), 1U);
  EXPECT_TRUE(bench.end()[0].starts_with("break-before-make/"));
}

TEST(BbmCheckerTest, TwoTranslationsWhileTheFlushOfOneIsUnderWayAreANote) {
  Bbm bench;
  bench.store(0x200000, 2, 0, 0x400000 | (kLeaf & ~2));
  bench.fill(bench.cpu, 0x200000, 0x400000, true, 21);
  bench.say(sw::FlushPending{.mm = kMm, .count = 1});
  bench.store(0x200000, 2, 0x400000 | (kLeaf & ~2), 0);
  bench.say(sw::FlushBegin{.flush = 1, .mm = kMm, .start = {0x200000}, .end = {0x400000}});
  bench.store(0x200000, 2, 0, 0x4000 | kTable);
  bench.store(0x200000, 3, 0, 0x8000 | kLeaf);
  bench.fill(bench.cpu, 0x200000, 0x8000, true, 12);
  EXPECT_EQ(bench.end(), Names{});
  EXPECT_EQ(bench.notes().size(), 1U);
}

// ---- over-invalidation -----------------------------------------------------------------------

using CostBench = Bench<cosim::CostChecker>;

TEST(CostCheckerTest, OnlyAFlushOfNothingIsRemarkedOn) {
  CostBench bench;
  bench.store(0x5000, 3, 0, 0x8000 | kLeaf);
  bench.store(0x5000, 3, 0x8000 | kLeaf, 0);
  bench.say(sw::FlushBegin{.flush = 1, .mm = kMm, .start = {0x5000}, .end = {0x6000}});
  bench.say(sw::FlushEnd{.flush = 1, .done = true});
  EXPECT_EQ(bench.end(), Names{});
  EXPECT_TRUE(bench.notes().empty());
  bench.say(sw::FlushBegin{.flush = 2, .mm = kMm, .start = {0x5000}, .end = {0x6000}});
  bench.say(sw::FlushEnd{.flush = 2, .done = true});
  EXPECT_EQ(bench.end(), Names{});
  ASSERT_EQ(bench.notes().size(), 1U);
  EXPECT_EQ(bench.notes()[0].kind, cosim::NoteKind::kOverInvalidation);
}

// ---- isolation -------------------------------------------------------------------------------

TEST(IsolationTest, AStaleAccessInTheFrameOfAnotherProcess) {
  const std::string text = R"(schema_version: 1
description: A frame changes hands while a CPU still reaches it.
kernel: v6.7
hardware: {cpus: 3}
processes:
  first:
    regions:
      heap: {at: 0x7f8000010000, pages: 8, kind: anonymous}
  second:
    regions:
      heap: {at: 0x7f8000010000, pages: 8, kind: anonymous}
inject: [free_before_flush]
schedule:
  - {hold: main, at: enter tlb_flush_mmu_tlbonly, until: {signal: used}, at_most_cycles: 50000}
threads:
  main:
    on: cpu0
    process: first
    steps:
      - wait_for: cached
      - munmap: heap
  reader:
    on: cpu1
    process: first
    steps:
      - write: {at: heap, count: 8, stride_bytes: 4096, value: 1}
      - signal: cached
      - wait_for: taken
      - read: {at: heap, count: 8, stride_bytes: 4096}
      - signal: used
  other:
    on: cpu2
    process: second
    steps:
      - wait_for: cached
      - delay_cycles: 8000
      - write: {at: heap, count: 8, stride_bytes: 4096, value: 2}
      - signal: taken
)";
  const auto result = run(load_text(text));
  EXPECT_TRUE(has_violation(result, "isolation", "flush"))
      << testing::PrintToString(violations_of(result)) << testing::PrintToString(result.remarks);
  EXPECT_TRUE(has_violation(result, "use-after-free", "flush"));
  const auto clean = run(load_text(text, {"inject=[]"}));
  EXPECT_TRUE(clean.violations.empty()) << testing::PrintToString(violations_of(clean));
}

}  // namespace
}  // namespace shootdown::tests
