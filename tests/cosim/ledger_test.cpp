// The rooms of the ledger, each on logs written by hand, and that they forget.
#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>
#include <string>
#include <vector>

#include "support/hand_log.h"
#include "support/scenario.h"

namespace shootdown::tests {
namespace {

constexpr std::uint64_t kVa = 0x5000;
constexpr std::uint64_t kPa = 0x8000;

// ---- Address spaces --------------------------------------------------------------------------

TEST(AddressSpacesTest, AnAsidBelongsToWhoeverUsesIt) {
  HandLog log;
  log.say(sw::MmCreated{.mm = {2}, .asid = {4}, .pgd = {0x2000}, .format = {}});
  log.say(sw::SvaBound{.mm = {2},
                       .unit = 0,
                       .stream_id = HandLog::kStream,
                       .substream_id = {},
                       .asid = {3},
                       .atc = true,
                       .broadcast = false});
  const auto& spaces = log.ledger.spaces();
  EXPECT_EQ(spaces.mm_of(log.cpu, {3}), arch::MmId{1}) << "the CPUs' number";
  EXPECT_EQ(spaces.mm_of(log.smmu, {3}), arch::MmId{2}) << "the SMMU's own";
  EXPECT_EQ(spaces.mm_of(log.atc, {3}), arch::MmId{2}) << "which its devices' ATCs share";
  EXPECT_EQ(spaces.mm_of(log.smmu, {4}), std::nullopt);
  ASSERT_NE(spaces.binding(log.smmu, HandLog::kStream), nullptr);
  EXPECT_EQ(spaces.binding(log.smmu, HandLog::kStream)->device, log.device);
  EXPECT_EQ(spaces.binding(log.cpu, HandLog::kStream), nullptr);
  EXPECT_EQ(spaces.cpu_asid({2}), arch::Asid{4});
}

TEST(AddressSpacesTest, ACpuReachesWhatItHasLoaded) {
  HandLog log;
  const auto& spaces = log.ledger.spaces();
  EXPECT_TRUE(spaces.reachable(log.cpu, HandLog::kMm)) << "a CPU that does not tell may use all";
  log.say(sw::MmActive{.mm = {}});
  EXPECT_FALSE(spaces.reachable(log.cpu, HandLog::kMm));
  log.say(sw::MmActive{.mm = HandLog::kMm});
  EXPECT_TRUE(spaces.reachable(log.cpu, HandLog::kMm));
  log.say(sw::MmExiting{.mm = HandLog::kMm});
  EXPECT_FALSE(spaces.reachable(log.cpu, HandLog::kMm));
  EXPECT_TRUE(spaces.reachable(log.smmu, HandLog::kMm)) << "a device may still";
}

TEST(AddressSpacesTest, AReleasedProcessHasLetGoOfItsDevices) {
  HandLog log;
  EXPECT_FALSE(log.ledger.spaces().is_released(HandLog::kMm));
  log.notify(0, ~std::uint64_t{0}, /*release=*/true);
  EXPECT_TRUE(log.ledger.spaces().is_released(HandLog::kMm));
}

TEST(AddressSpacesTest, BroadcastsAreForCpusAndForMmusThatFollow) {
  HandLog log;
  EXPECT_TRUE(log.ledger.spaces().takes_part_in_broadcast(log.cpu));
  EXPECT_FALSE(log.ledger.spaces().takes_part_in_broadcast(log.smmu));
  log.bind(false, /*broadcast=*/true);
  EXPECT_TRUE(log.ledger.spaces().takes_part_in_broadcast(log.smmu));
  EXPECT_FALSE(log.ledger.spaces().takes_part_in_broadcast(log.atc));
}

// ---- Frames ----------------------------------------------------------------------------------

TEST(FramesTest, AFrameIsFreeUntilSomebodyHasItAgain) {
  HandLog log;
  log.allocate(kPa, sw::PageUse::kAnonymous);
  EXPECT_FALSE(log.ledger.frames().free_since({kPa}));
  log.free(kPa, sw::PageUse::kAnonymous);
  const auto freed = log.ledger.frames().free_since({kPa + 8});
  EXPECT_EQ(freed.sequence, log.log.events());
  log.allocate(kPa, sw::PageUse::kFile);
  EXPECT_FALSE(log.ledger.frames().free_since({kPa}));
  EXPECT_EQ(log.ledger.frames().last_freed({kPa}).sequence, freed.sequence);
}

// ---- Kernel stacks -----------------------------------------------------------------------------

TEST(KernelStacksTest, APathHasOneNumberAndItsFunctions) {
  HandLog log;
  const auto& stacks = log.ledger.stacks();
  EXPECT_FALSE(stacks.inside(log.thread));
  static const char* const kOuter = "do_munmap";
  static const char* const kInner = "zap_pte_range";
  log.enter(kOuter);
  const auto entered = stacks.entered_kernel(log.thread);
  const auto outer = stacks.path(log.thread);
  log.enter(kInner);
  const auto inner = stacks.path(log.thread);
  EXPECT_EQ(stacks.text(inner), "do_munmap > zap_pte_range");
  EXPECT_EQ(stacks.innermost(inner), "zap_pte_range");
  EXPECT_TRUE(stacks.within(inner, outer));
  EXPECT_FALSE(stacks.within(outer, inner));
  log.leave(kInner);
  log.enter(kInner);
  EXPECT_EQ(stacks.path(log.thread), inner) << "the same path again";
  EXPECT_EQ(stacks.entered_kernel(log.thread).sequence, entered.sequence);
  EXPECT_FALSE(stacks.inside(log.other)) << "each thread has its own";
  log.leave(kInner);
  log.leave(kOuter);
  EXPECT_FALSE(stacks.inside(log.thread));
  EXPECT_FALSE(stacks.entered_kernel(log.thread));
}

// ---- Cached translations ------------------------------------------------------------------------

TEST(CachedTranslationsTest, AnEntryLivesUntilItIsEvictedOrInvalidated) {
  HandLog log;
  log.fill(log.cpu, kVa, kPa);
  const auto& cached = log.ledger.cached();
  EXPECT_NE(cached.cached(log.cpu, {kVa + 0xff8}, HandLog::kAsid), nullptr);
  EXPECT_EQ(cached.cached(log.cpu, {kVa}, {9}), nullptr);
  EXPECT_EQ(cached.cached(log.cpu1, {kVa}, HandLog::kAsid), nullptr);
  EXPECT_EQ(cached.live_into({kPa}, 0x1000).size(), 1U);
  log.hardware(
      log.cpu,
      hw::TlbEvict{
          .asid = HandLog::kAsid, .global = false, .regime = {}, .page = {kVa}, .page_shift = 12});
  EXPECT_TRUE(cached.live_into({kPa}, 0x1000).empty());
  log.fill(log.cpu, kVa, kPa);
  log.invalidate(log.cpu, hw::InvalidationCause::kDvm, 1, HandLog::by_address(kVa), 1);
  EXPECT_TRUE(cached.live_into({kPa}, 0x1000).empty());
}

TEST(CachedTranslationsTest, ATlbThatRemovedTooFewIsNotBelieved) {
  HandLog log;
  log.fill(log.cpu, kVa, kPa);
  log.invalidate(log.cpu, hw::InvalidationCause::kDvm, 1, HandLog::by_address(kVa), 0);
  EXPECT_EQ(log.ledger.cached().live_into({kPa}, 0x1000).size(), 1U);
}

TEST(CachedTranslationsTest, ATlbThatTellsOfNoEvictionsMayHoldWhatItFilled) {
  HandLog log;
  log.log.set_silent_evictions(log.cpu);
  log.fill(log.cpu, kVa, kPa);
  EXPECT_TRUE(log.ledger.cached().live_into({kPa}, 0x1000).empty()) << "it need not be there";
  EXPECT_NE(log.ledger.cached().cached(log.cpu, {kVa}, HandLog::kAsid), nullptr) << "it may";
  log.invalidate(log.cpu, hw::InvalidationCause::kDvm, 1, HandLog::by_address(kVa), 0);
  EXPECT_EQ(log.ledger.cached().cached(log.cpu, {kVa}, HandLog::kAsid), nullptr)
      << "how many went is for the reader only";
}

TEST(CachedTranslationsTest, WhatAnAccessOnItsWayHasUsedIsKept) {
  HandLog log;
  log.fill(log.cpu, kVa, kPa);
  const std::uint64_t id = log.look_up(log.cpu, kVa, kPa);
  log.invalidate(log.cpu, hw::InvalidationCause::kDvm, 1, HandLog::by_address(kVa), 1);
  EXPECT_NE(log.ledger.cached().cached(log.cpu, {kVa}, HandLog::kAsid), nullptr);
  log.done(log.cpu, id, kVa, kPa);
  EXPECT_NE(log.ledger.cached().cached(log.cpu, {kVa}, HandLog::kAsid), nullptr)
      << "whoever judges its end may still ask";
  log.access(log.cpu, kVa + 0x1000, kPa + 0x1000);
  EXPECT_EQ(log.ledger.cached().cached(log.cpu, {kVa}, HandLog::kAsid), nullptr);
}

TEST(CachedTranslationsTest, StageTwoIsNoTranslationOfAProcess) {
  HandLog log;
  log.hardware(log.smmu, hw::TlbLookup{.access_id = 1,
                                       .requester = log.requester_of(log.smmu),
                                       .va = {kVa},
                                       .access = arch::Access::kRead,
                                       .outcome = hw::LookupOutcome::kMiss,
                                       .pa = {},
                                       .regime = arch::Regime::kStage2});
  EXPECT_TRUE(log.ledger.cached().open_accesses(log.smmu).empty());
  log.hardware(log.smmu, hw::TlbFill{.access_id = 1,
                                     .requester = log.requester_of(log.smmu),
                                     .global = false,
                                     .regime = arch::Regime::kStage2,
                                     .page = {kVa},
                                     .page_shift = 12,
                                     .output = {kPa},
                                     .permissions = {},
                                     .dropped = false});
  EXPECT_TRUE(log.ledger.cached().live_into({kPa}, 0x1000).empty());
}

TEST(CachedTranslationsTest, AnAnswerOnItsWayToAnAtcKeepsWhatItWasReadFrom) {
  HandLog log;
  log.bind(/*with_atc=*/true);
  log.store(kVa, 3, 0, kPa | HandLog::kLeaf);
  constexpr std::uint64_t kId = 77;
  const auto requester = log.requester_of(log.smmu);
  log.hardware(log.smmu,
               hw::WalkBegin{.access_id = kId, .requester = requester, .va = {kVa}, .regime = {}});
  log.hardware(log.smmu, hw::WalkRead{.access_id = kId,
                                      .level = 3,
                                      .stage2 = false,
                                      .address = {0x9000},
                                      .descriptor = {kPa | HandLog::kLeaf}});
  log.hardware(
      log.smmu,
      hw::AtsAnswered{
          .access_id = kId, .requester = requester, .va = {kVa}, .read = true, .write = true});
  log.store(kVa, 3, kPa | HandLog::kLeaf, 0);
  const std::uint64_t made_stale = log.log.events();
  for (std::uint64_t i = 1; i < 1000; ++i) {
    log.store(kVa, 3, 0, (i << 12) | HandLog::kLeaf);
    log.store(kVa, 3, (i << 12) | HandLog::kLeaf, 0);
  }
  bool kept = false;
  for (const cosim::StoreRecord* store : log.ledger.tables().stores(HandLog::kMm, {kVa})) {
    kept |= store->at.sequence == made_stale;
  }
  EXPECT_TRUE(kept);
}

// ---- Maintenance --------------------------------------------------------------------------------

TEST(MaintenanceTest, AStayHoldsWhatAThreadDidInIt) {
  HandLog log;
  log.bind();
  log.store(kVa, 3, 0, kPa | HandLog::kLeaf);
  log.enter("do_munmap");
  log.store(kVa, 3, kPa | HandLog::kLeaf, 0);
  log.flush_begin(kVa, kVa + 0x1000);
  log.tlbi(HandLog::by_address(kVa));
  log.dsb();
  log.notify(kVa, kVa + 0x1000);
  log.send(HandLog::tlbi_command(HandLog::by_address(kVa)));
  log.flush_end();
  log.leave("do_munmap");
  log.enter("do_mmap");
  log.tlbi(HandLog::by_address(kVa));
  const auto stores = log.ledger.tables().stores(HandLog::kMm, {kVa});
  ASSERT_EQ(stores.size(), 2U);
  ASSERT_NE(stores[1]->stay, nullptr);
  EXPECT_EQ(stores[1]->stay->tlbis.size(), 1U) << "the second is of another stay";
  EXPECT_TRUE(stores[1]->stay->tlbis.front()->completed);
  EXPECT_EQ(stores[1]->stay->notifiers.size(), 1U);
  EXPECT_EQ(stores[1]->stay->commands.size(), 1U);
  ASSERT_EQ(stores[1]->flushes.size(), 1U);
  EXPECT_TRUE(stores[1]->flushes.front().flush->end);
}

TEST(MaintenanceTest, FlushesOfOthersCountForAStore) {
  HandLog log;
  log.store(kVa, 3, 0, kPa | HandLog::kLeaf);
  log.enter("try_to_unmap");
  log.store(kVa, 3, kPa | HandLog::kLeaf, 0);
  log.leave("try_to_unmap");
  log.other_says(sw::FlushBegin{
      .flush = 5, .mm = HandLog::kMm, .start = {0}, .end = {~std::uint64_t{0}}, .secondary = true});
  const auto stores = log.ledger.tables().stores(HandLog::kMm, {kVa});
  ASSERT_EQ(stores.back()->flushes.size(), 1U);
  EXPECT_EQ(stores.back()->flushes.front().flush->begin.thread, log.other);
  EXPECT_TRUE(log.ledger.flush_in_progress(HandLog::kMm, {kVa}));
  log.other_says(sw::FlushEnd{.flush = 5, .done = true});
  EXPECT_FALSE(log.ledger.flush_in_progress(HandLog::kMm, {kVa}));
  EXPECT_FALSE(log.ledger.tables().changed_since_flush(HandLog::kMm, {0}, {0x10000}));
}

TEST(MaintenanceTest, AFlushForCpusLeavesDevicesToALaterOne) {
  HandLog log;
  log.store(kVa, 3, 0, kPa | HandLog::kLeaf);
  log.store(kVa, 3, kPa | HandLog::kLeaf, 0);
  for (const bool secondary : {false, true, true}) {
    log.flush_begin(kVa, kVa + 0x1000, secondary);
    log.flush_end();
  }
  const auto& flushes = log.ledger.tables().stores(HandLog::kMm, {kVa}).back()->flushes;
  ASSERT_EQ(flushes.size(), 2U) << "after the second nothing is owed to anybody";
  EXPECT_FALSE(flushes[0].flush->secondary);
  EXPECT_TRUE(flushes[1].flush->secondary);
}

TEST(MaintenanceTest, FlushesThatDidNothingCrowdNobodyOut) {
  HandLog log;
  log.store(kVa, 3, 0, kPa | HandLog::kLeaf);
  log.store(kVa, 3, kPa | HandLog::kLeaf, 0);
  for (unsigned i = 0; i < 20; ++i) {
    log.flush_begin(kVa, kVa + 0x1000, true);
    log.say(sw::FlushEnd{.flush = i + 1, .done = false});
  }
  log.flush_begin(kVa, kVa + 0x1000, true);
  const auto& flushes = log.ledger.tables().stores(HandLog::kMm, {kVa}).back()->flushes;
  ASSERT_EQ(flushes.size(), 1U);
  EXPECT_FALSE(flushes[0].flush->idle);
  EXPECT_TRUE(log.ledger.flush_in_progress(HandLog::kMm, {kVa}));
}

TEST(MaintenanceTest, AStayIsNotCutWhileItsThreadFlushes) {
  HandLog log;
  log.store(kVa, 3, 0, kPa | HandLog::kLeaf);
  log.store(kVa, 3, kPa | HandLog::kLeaf, 0);
  log.flush_begin(kVa, kVa + 0x1000);
  for (int i = 0; i < 1000; ++i) log.notify(0, 0x1000);
  log.tlbi(HandLog::by_address(kVa));
  const auto& flushes = log.ledger.tables().stores(HandLog::kMm, {kVa}).back()->flushes;
  ASSERT_EQ(flushes.size(), 1U);
  EXPECT_EQ(flushes[0].stay->tlbis.size(), 1U);
}

TEST(MaintenanceTest, AFlushIsOwedByWhoeverSaidSoBeforeTheStore) {
  HandLog log;
  const auto& maintenance = log.ledger.maintenance();
  const auto last_store = [&] {
    return log.ledger.tables().stores(HandLog::kMm, {kVa}).back()->at;
  };
  log.store(kVa, 3, 0, kPa | HandLog::kLeaf);
  log.other_says(sw::FlushPending{.mm = HandLog::kMm, .count = 1});
  log.store(kVa, 3, kPa | HandLog::kLeaf, 0);
  EXPECT_TRUE(maintenance.flush_pending(HandLog::kMm));
  EXPECT_FALSE(maintenance.flush_owed(HandLog::kMm, last_store())) << "another thread's affair";
  log.say(sw::FlushPending{.mm = HandLog::kMm, .count = 2});
  EXPECT_FALSE(maintenance.flush_owed(HandLog::kMm, last_store())) << "said after the store";
  log.store(kVa, 3, 0, kPa | HandLog::kLeaf);
  EXPECT_TRUE(maintenance.flush_owed(HandLog::kMm, last_store()));
  log.say(sw::FlushPending{.mm = HandLog::kMm, .count = 1});
  EXPECT_FALSE(maintenance.flush_owed(HandLog::kMm, last_store()));
  EXPECT_TRUE(maintenance.flush_pending(HandLog::kMm));
}

TEST(PageTablesTest, TheSystemCallThatCoversAPageOfATableIsKept) {
  HandLog log;
  constexpr std::uint64_t kBase = 0x20'0000;
  log.store(kBase, 2, 0, 0xa000 | HandLog::kTable);
  log.store(kBase + kVa, 3, 0, kPa | HandLog::kLeaf);
  log.store(kBase, 2, 0xa000 | HandLog::kTable, 0);
  for (std::uint64_t page = 0; page < 30; ++page) {
    const std::uint64_t start = kBase + (100 - page) * 0x1000;
    log.say(sw::ProtectionRemoved{
        .mm = HandLog::kMm, .start = {start}, .end = {start + 0x1000}, .operation = "munmap"});
  }
  log.say(sw::ProtectionRemoved{.mm = HandLog::kMm,
                                .start = {kBase + kVa},
                                .end = {kBase + kVa + 0x1000},
                                .operation = "munmap"});
  const cosim::StoreRecord* taken_out = log.ledger.tables().unhooked({0xa000});
  ASSERT_NE(taken_out, nullptr);
  const auto covers = [&](const cosim::ProtectionRecord& one) {
    return one.start.value <= kBase + kVa && kBase + kVa < one.limit.value;
  };
  EXPECT_TRUE(std::any_of(taken_out->removals.begin(), taken_out->removals.end(), covers));
  const std::size_t kept = taken_out->removals.size();
  for (int i = 0; i < 100; ++i) {
    log.say(sw::ProtectionRemoved{.mm = HandLog::kMm,
                                  .start = {kBase + kVa},
                                  .end = {kBase + kVa + 0x1000},
                                  .operation = "munmap"});
  }
  EXPECT_EQ(taken_out->removals.size(), kept) << "the first one of a page decides";
}

// ---- Reset, and bounds --------------------------------------------------------------------------

/// One page mapped, used by all, unmapped with everything that belongs to it, and freed.
void unmap_once(HandLog& log) {
  log.allocate(kPa, sw::PageUse::kAnonymous);
  log.store(kVa, 3, 0, kPa | HandLog::kLeaf);
  for (const cosim::ActorId tlb : {log.cpu, log.smmu, log.atc}) {
    log.fill(tlb, kVa, kPa);
    log.access(tlb, kVa, kPa, arch::Access::kWrite);
  }
  log.enter("do_munmap");
  log.store(kVa, 3, kPa | HandLog::kLeaf, 0);
  log.flush_begin(kVa, kVa + 0x1000, true);
  const auto what = HandLog::by_address(kVa);
  log.invalidate(log.cpu, hw::InvalidationCause::kDvm, log.tlbi(what), what, 1);
  log.dsb();
  log.notify(kVa, kVa + 0x1000);
  const auto commands = {HandLog::tlbi_command(what), HandLog::atc_command(kVa),
                         HandLog::sync_command()};
  for (const auto& command : commands) log.send(command);
  log.invalidate(log.smmu, hw::InvalidationCause::kCommand, log.fetch(*commands.begin()), what, 1);
  log.invalidate(log.atc, hw::InvalidationCause::kAtcInvalidation,
                 log.fetch(HandLog::atc_command(kVa)), HandLog::by_address(kVa, HandLog::kAsid), 1);
  log.hardware(log.smmu, hw::SyncCompleted{.number = log.fetch(HandLog::sync_command())});
  log.flush_end();
  log.say(sw::ProtectionRemoved{
      .mm = HandLog::kMm, .start = {kVa}, .end = {kVa + 0x1000}, .operation = "munmap"});
  log.leave("do_munmap");
  log.free(kPa, sw::PageUse::kAnonymous);
}

TEST(LedgerTest, WhatNothingLiveCanAskForIsForgotten) {
  HandLog log;
  log.bind(/*with_atc=*/true);
  for (int i = 0; i < 100; ++i) unmap_once(log);
  const std::size_t cached = log.ledger.cached().remembered();
  const std::size_t outstanding = log.ledger.maintenance().outstanding();
  const std::size_t stores = log.ledger.tables().remembered();
  for (int i = 0; i < 5000; ++i) unmap_once(log);
  EXPECT_LE(log.ledger.cached().remembered(), cached);
  EXPECT_LE(log.ledger.maintenance().outstanding(), outstanding);
  EXPECT_LE(log.ledger.tables().remembered(), stores + 32) << "within a sweep";
}

TEST(LedgerTest, AnOldTranslationKeepsWhatMadeItStale) {
  HandLog log;
  log.store(kVa, 3, 0, kPa | HandLog::kLeaf);
  log.fill(log.cpu, kVa, kPa);
  log.store(kVa, 3, kPa | HandLog::kLeaf, 0);
  const std::uint64_t made_stale = log.log.events();
  for (std::uint64_t i = 0; i < 1000; ++i) {
    log.store(kVa, 3, 0, (i << 12) | HandLog::kLeaf);
    log.store(kVa, 3, (i << 12) | HandLog::kLeaf, 0);
  }
  bool kept = false;
  for (const cosim::StoreRecord* store : log.ledger.tables().stores(HandLog::kMm, {kVa})) {
    kept |= store->at.sequence == made_stale;
  }
  EXPECT_TRUE(kept);
}

TEST(LedgerTest, AnOldTranslationKeepsNoMoreThanItTakes) {
  HandLog log;
  log.store(kVa, 3, 0, kPa | HandLog::kLeaf);
  log.fill(log.cpu, kVa, kPa);  // and is never used again
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    log.store(kVa, 3, kPa | HandLog::kLeaf, kPa | HandLog::kReadOnly);
    log.store(kVa, 3, kPa | HandLog::kReadOnly, kPa | HandLog::kLeaf);
  }
  const auto stores = log.ledger.tables().stores(HandLog::kMm, {kVa});
  EXPECT_LT(stores.size(), 1200U);
  EXPECT_EQ(stores.back()->at.sequence, log.log.events());
  const auto first = std::find_if(stores.begin(), stores.end(), [](const auto* store) {
    return store->after == (kPa | HandLog::kReadOnly);
  });
  EXPECT_EQ((*first)->at.sequence, 4U) << "the first that made it stale";
}

TEST(LedgerTest, TablesThatComeAndGoAreForgottenWhileATranslationIsCached) {
  HandLog log;
  log.store(kVa, 3, 0, kPa | HandLog::kLeaf);
  log.fill(log.cpu, kVa, kPa);
  constexpr std::uint64_t kBase = 0x20'0000;
  const auto rounds = [&](int count) {
    for (int i = 0; i < count; ++i) {
      log.store(kBase, 2, 0, 0xa000 | HandLog::kTable);
      log.store(kBase, 2, 0xa000 | HandLog::kTable, 0);
      log.flush_begin(kBase, 2 * kBase, true);
      log.flush_end();
    }
    return log.ledger.tables().remembered();
  };
  const std::size_t few = rounds(100);
  EXPECT_LE(rounds(10'000), few + 32);
  ASSERT_NE(log.ledger.tables().unhooked({0xa000}), nullptr);
}

struct LongRun {
  const char* name;
  const char* hardware;
  std::vector<std::string> set;
};
std::ostream& operator<<(std::ostream& out, const LongRun& run) { return out << run.name; }

class BoundedTest : public testing::TestWithParam<LongRun> {};

/// What a ledger remembers when two CPUs and a device have used, dropped and protected pages, in
/// `times` rounds, and all is quiet.
std::size_t remembered_after(const LongRun& run, unsigned times) {
  const std::string rounds = "{repeat: {times: " + std::to_string(times) + ", steps: ";
  const auto config = load_text(small_machine(std::string("hardware: ") + run.hardware + R"(
threads:
  one:
    on: cpu0
    process: app
    steps:
      - write: {at: heap, count: 4, stride_bytes: 4096}
      - signal: go
      - )" + rounds +
                                              R"([{write: {at: heap, count: 4, stride_bytes: 4096}},
                        {mprotect: {at: heap, pages: 4, protection: read_only}},
                        {mprotect: {at: heap, pages: 4, protection: read_write}},
                        {madvise: {at: heap, pages: 4, advice: dontneed}}]}}
  two:
    on: cpu1
    process: app
    steps:
      - wait_for: go
      - )" + rounds +
                                              R"([{read: {at: heap, count: 4, stride_bytes: 4096}},
                        {write: {at: file, count: 4, stride_bytes: 4096}}, {writeback: file}]}}
  dma:
    on: nic0
    steps:
      - wait_for: go
      - )" + rounds +
                                              R"([{read: {at: heap, count: 4, stride_bytes: 4096}},
                        {write: {at: file, count: 4, stride_bytes: 4096}}]}}
)"),
                                run.set);
  cosim::Experiment experiment(config);
  cosim::Ledger ledger(experiment.platform().log());
  experiment.platform().log().subscribe(ledger);
  const auto result = experiment.run();
  EXPECT_NE(result.verdict, cosim::Verdict::kLimit) << result.limit;
  EXPECT_TRUE(result.violations.empty()) << testing::PrintToString(violations_of(result));
  for (std::size_t i = 0; i < experiment.platform().log().actors().size(); ++i) {
    const auto actor = static_cast<cosim::ActorId>(i);
    EXPECT_TRUE(ledger.cached().open_accesses(actor).empty())
        << experiment.platform().log().name(actor) << " has a look-up that never ended";
  }
  experiment.platform().log().unsubscribe(ledger);
  return ledger.cached().remembered() + ledger.maintenance().outstanding() +
         ledger.tables().remembered();
}

TEST_P(BoundedTest, ARunTenTimesAsLongLeavesNoMore) {
  const std::size_t once = remembered_after(GetParam(), 40);
  const std::size_t longer = remembered_after(GetParam(), 400);
  EXPECT_LE(longer, once + once / 2) << "of " << once;
}

INSTANTIATE_TEST_SUITE_P(
    Machines, BoundedTest,
    testing::Values(
        LongRun{"Stall", "{}", {}},
        LongRun{"Terminate", "{smmu: {faults: terminate}}", {"devices.nic0.retry={attempts: 3}"}},
        LongRun{"Atc", "{}", {"devices.nic0.atc=true"}},
        LongRun{
            "SmallAtc", "{smmu: {tlb: {entries: 2, ways: 2}}}", {"devices.nic0.atc={entries: 2}"}},
        LongRun{"Broadcast", "{smmu: {broadcast_tlb_maintenance: true}}", {}},
        LongRun{"SecondStage", "{smmu: {stage2: true}}", {}},
        LongRun{"X86", "{}", {"architecture=x86", "devices.nic0.atc=true"}},
        LongRun{"Generic", "{}", {"architecture=generic"}}),
    [](const auto& test) { return test.param.name; });

TEST(LedgerTest, ResetForgetsEverything) {
  HandLog log;
  log.bind(/*with_atc=*/true);
  unmap_once(log);
  log.fill(log.cpu, kVa, kPa);
  log.enter("do_mmap");
  log.flush_begin(kVa, kVa + 0x1000);
  log.say(sw::FlushPending{.mm = HandLog::kMm, .count = 1});
  const std::uint64_t generation = log.ledger.generation();
  log.ledger.reset();
  EXPECT_NE(log.ledger.generation(), generation) << "no memo of before is good";
  EXPECT_EQ(log.ledger.cached().remembered(), 0U);
  EXPECT_EQ(log.ledger.maintenance().outstanding(), 0U);
  EXPECT_EQ(log.ledger.tables().remembered(), 0U);
  EXPECT_FALSE(log.ledger.maintenance().flush_pending(HandLog::kMm));
  EXPECT_FALSE(log.ledger.stacks().inside(log.thread));
  EXPECT_EQ(log.ledger.spaces().mm_of(log.cpu, HandLog::kAsid), std::nullopt);
  EXPECT_EQ(log.ledger.spaces().binding(log.smmu, HandLog::kStream), nullptr);
  EXPECT_FALSE(log.ledger.frames().last_freed({kPa}));
}

}  // namespace
}  // namespace shootdown::tests
