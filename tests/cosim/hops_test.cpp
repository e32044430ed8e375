// The hop finder on logs written by hand: a log for every row of the table of hops that it can
// name. The other rows are the checkers' own (checkers_test.cpp), and a last test sees to it that
// no row is left out.
#include <gtest/gtest.h>

#include <functional>
#include <ostream>
#include <set>
#include <string>

#include "cosim/check/hops/missing_hop.h"
#include "support/hand_log.h"

namespace shootdown::tests {
namespace {

using cosim::Hop;
using hw::InvalidationCause;

constexpr std::uint64_t kVa = 0x5000;
constexpr std::uint64_t kPa = 0x8000;

/// A page that `tlb` has cached, and a thread in the kernel that is about to unmap it.
class Story : public HandLog {
 public:
  explicit Story(const cosim::ActorId HandLog::*tlb_of, bool broadcast = false)
      : tlb(this->*tlb_of) {
    if (tlb != cpu) bind(tlb == atc, broadcast);
    store(kVa, 3, 0, kPa | kLeaf);
    fill(tlb, kVa, kPa);
    enter("do_munmap");
  }
  void unmap() { store(kVa, 3, kPa | kLeaf, 0); }
  /// A flush of the page in which `inside` happens.
  Story& flushed(const std::function<void(Story&)>& inside = {}) {
    flush_begin(kVa, kVa + 0x1000, true);
    if (inside) inside(*this);
    flush_end();
    return *this;
  }
  /// A TLBI of the page, its effect on the CPUs with `removed` entries, and its DSB.
  void told_cpus(unsigned removed = 1) {
    const auto what = by_address(kVa);
    const std::uint64_t id = tlbi(what);
    invalidate(cpu, InvalidationCause::kDvm, id, what, removed);
    dsb();
  }
  /// The notifier of the page, and what the driver sends: commands are taken at once.
  void commands(const std::vector<arch::Maintenance>& sent) {
    notify(kVa, kVa + 0x1000);
    for (const arch::Maintenance& command : sent) send(command);
  }
  cosim::MissingHop look() {
    const cosim::CachedEntry* entry = ledger.cached().cached(tlb, {kVa}, kAsid);
    EXPECT_NE(entry, nullptr);
    cosim::StaleEntry stale = cosim::stale_entry(ledger, tlb, *entry, kMm);
    stale.used = used;
    if (freed) stale.freed = {.sequence = log.events() + 1, .time_ps = 0};
    return cosim::find_missing_hop(ledger, stale);
  }
  cosim::ActorId tlb;
  cosim::Stamp used;
  bool freed{};
};

struct Row {
  const char* name;
  Hop hop;
  std::function<cosim::MissingHop()> tell;
};
std::ostream& operator<<(std::ostream& out, const Row& row) { return out << row.name; }

std::vector<Row> rows() {
  return {
      {"NobodyFlushed", Hop::kFlush,
       [] {
         Story story(&HandLog::cpu);
         story.unmap();
         return story.look();
       }},
      {"FreedBeforeTheFlushWasOver", Hop::kFlush,
       [] {
         Story story(&HandLog::cpu);
         story.unmap();
         story.flush_begin(kVa, kVa + 0x1000);
         story.freed = true;
         return story.look();
       }},
      {"FlushWithoutTlbi", Hop::kCpuTlbi,
       [] {
         Story story(&HandLog::cpu);
         story.unmap();
         return story.flushed().look();
       }},
      {"TlbiOfAnotherAsid", Hop::kAsid,
       [] {
         Story story(&HandLog::cpu);
         story.unmap();
         return story
             .flushed([](Story& s) {
               s.tlbi(HandLog::by_address(kVa, {9}));
               s.dsb();
             })
             .look();
       }},
      {"TlbiOfAnotherPage", Hop::kRange,
       [] {
         Story story(&HandLog::cpu);
         story.unmap();
         return story
             .flushed([](Story& s) {
               s.tlbi(HandLog::by_address(kVa + 0x1000));
               s.dsb();
             })
             .look();
       }},
      {"NobodyWaited", Hop::kDsb,
       [] {
         Story story(&HandLog::cpu);
         story.unmap();
         return story.flushed([](Story& s) { s.tlbi(HandLog::by_address(kVa)); }).look();
       }},
      {"DsbBeforeTheEffect", Hop::kDsb,
       [] {
         Story story(&HandLog::cpu);
         story.unmap();
         return story
             .flushed([](Story& s) {
               s.tlbi(HandLog::by_address(kVa));
               s.dsb();
             })
             .look();
       }},
      {"DsbBeforeAnAccessThatHadLookedUp", Hop::kDsb,
       [] {
         Story story(&HandLog::cpu);
         story.unmap();
         story.look_up(story.cpu, kVa, kPa);
         story.used = story.ledger.cached().open_accesses(story.cpu).front().looked_up;
         return story.flushed([](Story& s) { s.told_cpus(0); }).look();
       }},
      {"CpuTlbKeptIt", Hop::kHardware,
       [] {
         Story story(&HandLog::cpu);
         story.unmap();
         return story.flushed([](Story& s) { s.told_cpus(0); }).look();
       }},
      {"CpuWithoutIpi", Hop::kIpi,
       [] {
         Story story(&HandLog::cpu1);
         story.ledger.set_local_invalidation(true);
         story.unmap();
         return story.flushed([](Story& s) { s.say(sw::IpiSent{.mask = {4}, .function = "f"}); })
             .look();
       }},
      {"InterruptedCpuThatDidNothing", Hop::kCpuTlbi,
       [] {
         Story story(&HandLog::cpu1);
         story.ledger.set_local_invalidation(true);
         story.unmap();
         return story.flushed([](Story& s) { s.say(sw::IpiSent{.mask = {2}, .function = "f"}); })
             .look();
       }},
      {"InterruptedCpuThatInvalidatedAnotherAsid", Hop::kAsid,
       [] {
         Story story(&HandLog::cpu1);
         story.ledger.set_local_invalidation(true);
         story.unmap();
         return story
             .flushed([](Story& s) {
               s.say(sw::IpiSent{.mask = {2}, .function = "f"});
               s.invalidate(s.cpu1, InvalidationCause::kLocal, 0, HandLog::by_address(kVa, {9}), 0);
             })
             .look();
       }},
      {"InterruptedCpuWhoseTlbKeptIt", Hop::kHardware,
       [] {
         Story story(&HandLog::cpu1);
         story.ledger.set_local_invalidation(true);
         story.unmap();
         return story
             .flushed([](Story& s) {
               s.say(sw::IpiSent{.mask = {2}, .function = "f"});
               s.invalidate(s.cpu1, InvalidationCause::kLocal, 0, HandLog::by_address(kVa), 0);
             })
             .look();
       }},
      {"WalkCacheKeptTheTable", Hop::kWalkCache,
       [] {
         Story story(&HandLog::cpu);
         story.store(0x400000, 2, 0, 0x4000 | HandLog::kTable);
         story.store(0x400000, 3, 0, 0xa000 | HandLog::kLeaf);
         story.store(0x400000, 2, 0x4000 | HandLog::kTable, 0);
         story.flush_begin(0x400000, 0x600000);
         auto what = HandLog::by_address(0x400000);
         what.leaf_only = true;
         story.invalidate(story.cpu, InvalidationCause::kDvm, story.tlbi(what), what, 0);
         story.dsb();
         story.flush_end();
         // A walk comes, by the walk cache, to the table that is out, and fills from it.
         const hw::Requester requester{.asid = HandLog::kAsid, .stream_id = {}, .substream_id = {}};
         story.hardware(story.cpu,
                        hw::WalkBegin{.access_id = 77, .requester = requester, .va = {0x400000}});
         story.hardware(story.cpu, hw::WalkRead{.access_id = 77,
                                                .level = 3,
                                                .stage2 = false,
                                                .address = {0x4000},
                                                .descriptor = {0xa000 | HandLog::kLeaf}});
         story.hardware(story.cpu, hw::TlbFill{.access_id = 77,
                                               .requester = requester,
                                               .global = false,
                                               .regime = {},
                                               .page = {0x400000},
                                               .page_shift = 12,
                                               .output = {0xa000},
                                               .permissions = {},
                                               .dropped = false});
         const auto* entry = story.ledger.cached().cached(story.cpu, {0x400000}, HandLog::kAsid);
         return cosim::find_missing_hop(
             story.ledger, cosim::stale_entry(story.ledger, story.cpu, *entry, HandLog::kMm));
       }},
      {"NotifierNotCalled", Hop::kNotifier,
       [] {
         Story story(&HandLog::smmu);
         story.unmap();
         return story.flushed([](Story& s) { s.told_cpus(); }).look();
       }},
      {"NotifierOfAnotherRange", Hop::kRange,
       [] {
         Story story(&HandLog::smmu);
         story.unmap();
         return story.flushed([](Story& s) { s.notify(kVa + 0x1000, kVa + 0x2000); }).look();
       }},
      {"NotifierOfAnotherRangeBeforeTheFlush", Hop::kRange,
       [] {
         Story story(&HandLog::smmu);
         story.unmap();
         story.notify(kVa + 0x1000, kVa + 0x2000);
         return story.flushed().look();
       }},
      {"DriverSentNothing", Hop::kCommand,
       [] {
         Story story(&HandLog::smmu);
         story.unmap();
         return story.flushed([](Story& s) { s.commands({HandLog::sync_command()}); }).look();
       }},
      {"DriverSentNothingAtExit", Hop::kCommand,
       [] {
         Story story(&HandLog::smmu);
         story.notify(0, ~std::uint64_t{0}, /*release=*/true);
         story.unmap();
         return story.look();
       }},
      {"CommandOfAnotherAsid", Hop::kAsid,
       [] {
         Story story(&HandLog::smmu);
         story.unmap();
         return story
             .flushed([](Story& s) {
               s.commands(
                   {HandLog::tlbi_command(HandLog::by_address(kVa, {9})), HandLog::sync_command()});
             })
             .look();
       }},
      {"CommandOfAnotherPage", Hop::kRange,
       [] {
         Story story(&HandLog::smmu);
         story.unmap();
         return story
             .flushed([](Story& s) {
               s.commands({HandLog::tlbi_command(HandLog::by_address(kVa + 0x1000)),
                           HandLog::sync_command()});
             })
             .look();
       }},
      {"CommandThatWasRefused", Hop::kCommand,
       [] {
         Story story(&HandLog::smmu);
         story.unmap();
         return story
             .flushed([](Story& s) {
               const auto command = HandLog::tlbi_command(HandLog::by_address(kVa));
               s.commands({command});
               const std::uint64_t number = s.fetch(command);
               s.hardware(s.smmu,
                          hw::CommandError{
                              .number = number, .code = 1, .text = "CERROR_ILL", .timeout = false});
             })
             .look();
       }},
      {"NoSync", Hop::kSync,
       [] {
         Story story(&HandLog::smmu);
         story.unmap();
         return story
             .flushed(
                 [](Story& s) { s.commands({HandLog::tlbi_command(HandLog::by_address(kVa))}); })
             .look();
       }},
      {"SyncBeforeTheEffect", Hop::kSync,
       [] {
         Story story(&HandLog::smmu);
         story.unmap();
         return story
             .flushed([](Story& s) {
               const auto command = HandLog::tlbi_command(HandLog::by_address(kVa));
               s.commands({command, HandLog::sync_command()});
               s.fetch(command);
               s.hardware(s.smmu, hw::SyncCompleted{.number = s.fetch(HandLog::sync_command())});
             })
             .look();
       }},
      {"SyncThatHasNotCompleted", Hop::kUnknown,
       [] {
         Story story(&HandLog::smmu);
         story.unmap();
         return story
             .flushed([](Story& s) {
               const auto command = HandLog::tlbi_command(HandLog::by_address(kVa));
               s.commands({command, HandLog::sync_command()});
               s.fetch(command);
             })
             .look();
       }},
      {"SmmuTlbKeptIt", Hop::kHardware,
       [] {
         Story story(&HandLog::smmu);
         story.unmap();
         return story
             .flushed([](Story& s) {
               const auto what = HandLog::by_address(kVa);
               s.commands({HandLog::tlbi_command(what), HandLog::sync_command()});
               const std::uint64_t number = s.fetch(HandLog::tlbi_command(what));
               s.invalidate(s.smmu, InvalidationCause::kCommand, number, what, 0);
               s.hardware(s.smmu, hw::SyncCompleted{.number = s.fetch(HandLog::sync_command())});
             })
             .look();
       }},
      {"NoAtcInvalidation", Hop::kAtc,
       [] {
         Story story(&HandLog::atc);
         story.unmap();
         return story
             .flushed([](Story& s) {
               s.commands(
                   {HandLog::tlbi_command(HandLog::by_address(kVa)), HandLog::sync_command()});
             })
             .look();
       }},
      {"AtcThatDidNotAnswerInTime", Hop::kAtc,
       [] {
         Story story(&HandLog::atc);
         story.unmap();
         return story
             .flushed([](Story& s) {
               const auto tlbi = HandLog::tlbi_command(HandLog::by_address(kVa));
               s.commands({tlbi, HandLog::atc_command(kVa), HandLog::sync_command()});
               s.fetch(tlbi);
               s.fetch(HandLog::atc_command(kVa));
               s.hardware(s.smmu, hw::CommandError{.number = s.fetch(HandLog::sync_command()),
                                                   .code = 3,
                                                   .text = "CERROR_ATC_INV_SYNC",
                                                   .timeout = true});
               s.hardware(s.smmu, hw::SyncCompleted{.number = s.fetch(HandLog::sync_command())});
             })
             .look();
       }},
      {"AtcBeforeTheSmmu", Hop::kAtcOrder,
       [] {
         Story story(&HandLog::atc);
         story.unmap();
         return story
             .flushed([](Story& s) {
               s.commands({HandLog::atc_command(kVa),
                           HandLog::tlbi_command(HandLog::by_address(kVa)),
                           HandLog::sync_command()});
             })
             .look();
       }},
      {"AtcBeforeTheBroadcast", Hop::kAtcOrder,
       [] {
         Story story(&HandLog::atc, /*broadcast=*/true);
         story.unmap();
         return story
             .flushed([](Story& s) {
               s.tlbi(HandLog::by_address(kVa));
               s.commands({HandLog::atc_command(kVa), HandLog::sync_command()});
               s.dsb();
             })
             .look();
       }},
      {"FlushOfAPartOfATable", Hop::kRange,
       [] {
         Story story(&HandLog::cpu);
         story.store(0x400000, 2, 0, 0x4000 | HandLog::kTable);
         story.store(0x400000, 3, 0, 0xa000 | HandLog::kLeaf);
         story.fill(story.cpu, 0x400000, 0xa000);
         story.enter("hugetlb_unshare_pmds");
         story.store(0x400000, 2, 0x4000 | HandLog::kTable, 0);
         story.flush_begin(0x500000, 0x501000);
         story.flush_end();
         const auto* entry = story.ledger.cached().cached(story.cpu, {0x400000}, HandLog::kAsid);
         return cosim::find_missing_hop(
             story.ledger, cosim::stale_entry(story.ledger, story.cpu, *entry, HandLog::kMm));
       }},
  };
}

class HopTest : public ::testing::TestWithParam<Row> {};

TEST_P(HopTest, IsNamed) {
  const cosim::MissingHop found = GetParam().tell();
  EXPECT_EQ(found.hop, GetParam().hop) << name_of(found.hop) << ": " << found.text;
  EXPECT_FALSE(found.text.empty());
  ASSERT_FALSE(found.items.empty());
  EXPECT_FALSE(found.items.items().back().happened) << "the chain ends with what is missing";
  for (const cosim::ChainItem& item : found.items.items()) {
    EXPECT_EQ(item.happened, item.sequence != 0) << item.text;
  }
}
INSTANTIATE_TEST_SUITE_P(Rows, HopTest, ::testing::ValuesIn(rows()),
                         [](const auto& row) { return row.param.name; });

TEST(HopsTest, EveryRowOfTheTableHasALog) {
  std::set<Hop> named;
  for (const Row& row : rows()) named.insert(row.hop);
  // What checkers name without following a chain; checkers_test.cpp has their logs.
  named.insert({Hop::kTableSync, Hop::kRmap, Hop::kBreak, Hop::kDtor, Hop::kMask, Hop::kPending});
  for (const auto& word : cosim::hop_words()) EXPECT_TRUE(named.contains(word.kind)) << word.name;
}

TEST(HopsTest, AFlushThatHasReturnedComesBeforeOneThatIsUnderWay) {
  Story story(&HandLog::cpu);
  story.unmap();
  story.leave("do_munmap");
  // Somebody else flushes for ever; another is through, and has told nobody.
  story.other_says(sw::FunctionEnter{.function = "slow"});
  story.other_says(sw::FlushBegin{
      .flush = 90, .mm = HandLog::kMm, .start = {kVa}, .end = {kVa + 0x1000}, .secondary = true});
  story.say(sw::FunctionEnter{.function = "later"});
  const cosim::MissingHop found = story.flushed().look();
  EXPECT_EQ(found.hop, Hop::kCpuTlbi);
  EXPECT_EQ(found.items.items().back().actor, story.cpu) << "the one that returned is to blame";
}

TEST(HopsTest, WhatALaterFlushDoesIsNotPutDownToTheOneThatWasDue) {
  Story device(&HandLog::smmu);
  device.unmap();
  device.flushed([](Story& story) { story.told_cpus(0); });
  device.flush_begin(0x9000, 0xa000, true);
  device.notify(0x9000, 0xa000);
  device.flush_end();
  EXPECT_EQ(device.look().hop, Hop::kNotifier) << "the call for the next area is not a wrong range";

  Story cpu(&HandLog::cpu);
  cpu.unmap();
  cpu.flushed();
  cpu.flush_begin(kVa, kVa + 0x1000, true);
  cpu.tlbi(HandLog::by_address(kVa, {9}));
  cpu.flush_end();
  EXPECT_EQ(cpu.look().hop, Hop::kCpuTlbi);
}

TEST(HopsTest, AFlushThatFoundNothingToDoOwesNothing) {
  Story story(&HandLog::cpu);
  story.unmap();
  story.flush_begin(kVa, kVa + 0x1000);
  story.say(sw::FlushEnd{.flush = 1, .done = false});
  story.freed = true;
  const cosim::MissingHop found = story.look();
  EXPECT_EQ(found.hop, Hop::kFlush);
  EXPECT_NE(found.text.find("nobody flushed"), std::string::npos) << found.text;
}

TEST(HopsTest, EachKindOfMmuIsToldOfInItsOwnWords) {
  Story story(&HandLog::atc);
  story.log.set_words(story.smmu, {.mmu = "IOMMU",
                                   .tlb = "INVALIDATE_IOMMU_PAGES",
                                   .atc = "INVALIDATE_IOTLB_PAGES",
                                   .barrier = "COMPLETION_WAIT"});
  story.unmap();
  story.flushed([](Story& s) { s.commands({HandLog::tlbi_command(HandLog::by_address(kVa))}); });
  const cosim::MissingHop found = story.look();
  EXPECT_EQ(found.hop, Hop::kAtc);
  EXPECT_EQ(found.text, "the IOMMU's TLB was emptied, the device's ATC was not");
  EXPECT_EQ(found.items.items().back().text, "INVALIDATE_IOTLB_PAGES: not sent");
}

TEST(HopsTest, ATlbiForAnotherProcessIsNoWrongAsid) {
  Story story(&HandLog::cpu);
  story.say(sw::MmCreated{.mm = arch::MmId{2}, .asid = arch::Asid{9}, .pgd = {0x2000}});
  story.unmap();
  story.tlbi(HandLog::by_address(kVa, {9}));
  EXPECT_EQ(story.look().hop, Hop::kFlush);
}

TEST(HopsTest, AnEntryThatWasGivenBackWhatItHadIsNotStaleByThat) {
  Story story(&HandLog::cpu);
  story.store(kVa, 3, kPa | HandLog::kLeaf, 0);
  story.store(kVa, 3, 0, kPa | HandLog::kLeaf);
  story.enter("later");
  story.unmap();
  const cosim::MissingHop found = story.flushed().look();
  EXPECT_EQ(found.hop, Hop::kCpuTlbi) << "the flush of the last store is the one that owes it";
}

}  // namespace
}  // namespace shootdown::tests
