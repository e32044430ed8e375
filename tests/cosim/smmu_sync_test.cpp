// What CMD_SYNC promises of events, stalls, commands and completion signals. (Accesses on their
// way: smmu_sync_race_test.cpp.) Source: Arm IHI 0070, 4.3.8, 4.7.3.
#include <gtest/gtest.h>

#include "support/smmu_bench.h"

namespace shootdown::tests {
namespace {

constexpr std::uint64_t kVa = 0x12'3456'7000;
constexpr std::uint64_t kStall = std::uint64_t{1} << 44;  // CD.S
constexpr std::uint32_t kSid = 5;
constexpr std::uint16_t kAsid = 7;
constexpr std::uint16_t kOtherAsid = 9;
constexpr Words2 kSync{0x46, 0};
constexpr std::uint64_t kTlbiVaLeaf = kVa | 1;

Words2 tlbi_va(std::uint64_t dw1) { return {0x12 | std::uint64_t{kAsid} << 48, dw1}; }
Words2 cfgi_ste() { return {0x03 | std::uint64_t{kSid} << 32, 1}; }

// ---- Events ----

/// Write-faults on a read-only page race with its becoming writable. Returns how often an event
/// about the old descriptor came after CMD_SYNC.
unsigned late_events(hw::SmmuConfig config) {
  config.mmu.walk_step_cycles = 100;
  config.mmu.hit_latency_cycles = 50;
  SmmuBench bench(config);
  unsigned late = 0;
  for (const bool warm : {false, true}) {
    for (unsigned distance = 0; distance <= 600; distance += 23) {
      bench.run([&] {
        std::array<std::uint8_t, 4> data{};
        bench.stage1_stream(kSid, kAsid);
        const std::uint64_t page = bench.allocate();
        bench.map(kAsid, kVa, page, SmmuBench::kReadOnly);
        bench.boot();
        if (warm) bench.dma(kSid, kVa);
        bench.board.launch(0, SmmuBench::access(kSid, kVa, true), data.data(), 4);
        bench.pause(distance);
        bench.map(kAsid, kVa, page, SmmuBench::kReadWrite);
        bench.submit({tlbi_va(kTlbiVaLeaf), kSync});
        bench.settle();
        bench.events();
        bench.board.wait_until([&] { return bench.board.done(0); });
        bench.pause(1000);
        late += static_cast<unsigned>(bench.events().size());
        EXPECT_EQ(bench.dma(kSid, kVa, true), page);
      });
    }
  }
  return late;
}

TEST(SmmuSyncTest, NoEventAfterSyncTellsOfAnInvalidatedTranslation) {
  EXPECT_EQ(late_events({}), 0U);
}

TEST(SmmuSyncTest, WithoutDrainAnEventComesAfterSync) {
  hw::SmmuConfig config;
  config.mmu.complete_without_drain = true;
  EXPECT_GT(late_events(config), 0U);
}

TEST(SmmuSyncTest, TheEventOfAnAccessThatHasEndedIsInTheQueueWhenSyncCompletes) {
  SmmuBench bench({});
  bench.run([&] {
    bench.stage1_stream(kSid, kAsid);
    bench.boot();
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(bench.dma(kSid, kVa, true), std::nullopt);
      bench.submit({kSync});
      bench.settle();
      const auto events = bench.events();
      ASSERT_EQ(events.size(), 1U);
      EXPECT_EQ(events[0], (Words4{0x0000'0005'0000'0010, 0x0000'0200'0000'0000, kVa, 0}));
    }
  });
}

TEST(SmmuSyncTest, AnUnwrittenStallEventIsNotWrittenAfterItsTranslationWasReplaced) {
  SmmuBench bench({});
  bench.queue_log2 = 1;
  bench.run([&] {
    bench.stage1_stream(kSid, kAsid, kStall);
    bench.stage1_stream(kSid + 1, kOtherAsid);
    const std::uint64_t page = bench.allocate();
    bench.map(kAsid, kVa, page, SmmuBench::kReadOnly);
    bench.boot();
    // The queue of two is full.
    EXPECT_EQ(bench.dma(kSid + 1, kVa), std::nullopt);
    EXPECT_EQ(bench.dma(kSid + 1, kVa), std::nullopt);
    std::array<std::uint8_t, 4> data{9, 9, 9, 9};
    bench.board.launch(0, SmmuBench::access(kSid, kVa, true), data.data(), 4);
    bench.pause(500);
    EXPECT_FALSE(bench.board.done(0));
    bench.map(kAsid, kVa, page);
    bench.submit({tlbi_va(kTlbiVaLeaf), kSync});
    bench.settle();
    ASSERT_TRUE(bench.commands_done()) << "an unrecorded stall does not hold CMD_SYNC up";
    EXPECT_EQ(bench.events().size(), 2U);  // and there is room again
    ASSERT_TRUE(bench.board.wait_until([&] { return bench.board.done(0); }))
        << "it is tried again, unasked, as it has no event";
    EXPECT_TRUE(bench.board.result(0).ok);
    EXPECT_EQ(bench.word(page), 0x0909'0909U);
    EXPECT_TRUE(bench.events().empty());
  });
}

// ---- Stalls ----

/// A write stalls on a read-only page, which is then replaced by a writable one. Returns whether
/// the retry went there.
bool retry_obeys(const hw::SmmuConfig& config) {
  SmmuBench bench(config);
  bool obeyed = false;
  bench.run([&] {
    std::array<std::uint8_t, 4> data{9, 9, 9, 9};
    bench.stage1_stream(kSid, kAsid, kStall);
    const std::uint64_t old_page = bench.allocate();
    const std::uint64_t new_page = bench.allocate();
    bench.map(kAsid, kVa, old_page, SmmuBench::kReadOnly);
    bench.boot();
    EXPECT_EQ(bench.dma(kSid, kVa), old_page);
    bench.board.launch(0, SmmuBench::access(kSid, kVa, true), data.data(), 4);
    bench.board.wait_until([&] { return bench.event_pending(); });
    const auto events = bench.events();
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0][0], 0x0000'0005'0000'0013U) << "F_PERMISSION";
    EXPECT_EQ(events[0][1] & ~std::uint64_t{0xffff}, 0x0000'0200'8000'0000U) << "Stall, IN";
    bench.map(kAsid, kVa, new_page);
    bench.submit({tlbi_va(kTlbiVaLeaf), cfgi_ste(), kSync});
    bench.settle();
    EXPECT_TRUE(bench.commands_done()) << "CMD_SYNC does not wait for stalled transactions";
    bench.pause(1000);
    EXPECT_FALSE(bench.board.done(0)) << "and does not retry them";
    bench.submit({cmd_resume(kSid, events[0][1], true)});
    bench.board.wait_until([&] { return bench.board.done(0) || bench.event_pending(); });
    obeyed = bench.board.done(0) && bench.board.result(0).ok && bench.word(new_page) != 0;
    EXPECT_EQ(bench.word(old_page), 0U);
    if (!bench.board.done(0)) {  // faulted anew
      bench.submit({cmd_resume(kSid, bench.events().at(0)[1], false)});
      bench.board.wait_until([&] { return bench.board.done(0); });
    }
  });
  return obeyed;
}

TEST(SmmuSyncTest, AStalledTransactionOutlivesSyncAndItsRetryObeysTheInvalidation) {
  EXPECT_TRUE(retry_obeys({}));
}

TEST(SmmuSyncTest, ARetryThroughAnEntryThatWasNotInvalidatedIsSeen) {
  hw::SmmuConfig config;
  config.mmu.ignore_invalidations = true;
  EXPECT_FALSE(retry_obeys(config));
}

// ---- What each kind of invalidation is for ----

TEST(SmmuSyncTest, CfgiAloneLeavesTranslationsAndTlbiAloneLeavesConfigurations) {
  SmmuBench bench({});
  bench.run([&] {
    bench.stage1_stream(kSid, kAsid);
    const std::uint64_t first = bench.allocate();
    const std::uint64_t second = bench.allocate();
    const std::uint64_t third = bench.allocate();
    bench.map(kAsid, kVa, first);
    bench.map(kOtherAsid, kVa, third);
    bench.set_cd(kSid + 1, 0, bench.stage1_cd(kOtherAsid));
    bench.boot();
    EXPECT_EQ(bench.dma(kSid, kVa), first);
    // A descriptor needs TLBI. (That CFGI does not do it as well is this model's choice.)
    bench.map(kAsid, kVa, second);
    bench.command(cfgi_ste());
    EXPECT_EQ(bench.dma(kSid, kVa), first);
    bench.command(tlbi_va(kTlbiVaLeaf));
    EXPECT_EQ(bench.dma(kSid, kVa), second);
    // An STE needs CFGI.
    bench.write_word(SmmuBench::kStreamTable + kSid * 64, 0xb | SmmuBench::cd_address(kSid + 1));
    bench.command({0x30, 0});
    EXPECT_EQ(bench.dma(kSid, kVa), second);
    bench.command(cfgi_ste());
    EXPECT_EQ(bench.dma(kSid, kVa), third);
  });
}

// ---- Order ----

/// Holds its invalidations until told.
class HeldAtc : public hw::AtcPort {
 public:
  void invalidate_atc(const arch::Invalidation&, std::optional<arch::SubstreamId>, std::uint64_t,
                      std::function<void()> completed) override {
    pending.push_back(std::move(completed));
  }
  void page_response(std::optional<arch::SubstreamId>, unsigned, hw::PageResponse) override {
    ++responses;
  }
  std::vector<std::function<void()>> pending;
  unsigned responses{};
};

TEST(SmmuSyncTest, NothingAfterSyncBeginsBeforeItHasCompletedAndSyncsCompleteInOrder) {
  hw::SmmuConfig config;
  config.features.msi = true;
  config.features.pri = true;
  SmmuBench bench(config);
  HeldAtc atc;
  bench.board.smmu().attach_atc(arch::StreamId{kSid}, atc);
  bench.run([&] {
    constexpr std::uint64_t kFirst = SmmuBench::kFree + 0x80'0000;
    constexpr std::uint64_t kSecond = kFirst + 4;
    bench.stage1_stream(kSid, kAsid, 0, 0x1000'0000);
    const std::uint64_t first = bench.allocate();
    const std::uint64_t second = bench.allocate();
    bench.map(kAsid, kVa, first);
    bench.boot(0xf);
    EXPECT_EQ(bench.dma(kSid, kVa), first);
    bench.map(kAsid, kVa, second);
    const std::uint64_t sid = std::uint64_t{kSid} << 32;
    bench.submit({{0x40 | sid, 52},                  // ATC_INV, of everything
                  {0x1046 | 0x11ULL << 32, kFirst},  // SYNC with MSI
                  tlbi_va(kTlbiVaLeaf),              //
                  {0x40 | sid, 52},                  //
                  {0x41 | sid, 0x2005},              // PRI_RESP
                  {0x1046 | 0x22ULL << 32, kSecond}});
    bench.pause(3000);
    ASSERT_EQ(atc.pending.size(), 1U) << "the second ATC_INV waits behind the SYNC";
    EXPECT_EQ(atc.responses, 0U);
    EXPECT_EQ(bench.reg(0x9c), 1U) << "CONS at the SYNC";
    EXPECT_EQ(bench.word(kFirst), 0U) << "and no signal";
    EXPECT_EQ(bench.dma(kSid, kVa), first) << "nor has the TLBI begun";
    atc.pending[0]();
    bench.pause(3000);
    EXPECT_EQ(bench.word(kFirst), 0x11U) << "the first has completed, not the second";
    EXPECT_EQ(bench.reg(0x9c), 5U);
    ASSERT_EQ(atc.pending.size(), 2U);
    EXPECT_EQ(atc.responses, 1U);
    EXPECT_EQ(bench.dma(kSid, kVa), second);
    atc.pending[1]();
    bench.settle();
    EXPECT_EQ(bench.word(kFirst), 0x22'0000'0011U);
    EXPECT_EQ(bench.reg(0x9c), 6U);
  });
}

TEST(SmmuSyncTest, TheMsiOfASyncIsVisibleBeforeConsMovesPastIt) {
  hw::SmmuConfig config;
  config.features.msi = true;
  SmmuBench bench(config);
  bench.run([&] {
    constexpr std::uint64_t kTarget = SmmuBench::kFree + 0x80'0000;
    bench.boot();
    for (std::uint64_t i = 1; i <= 8; ++i) {
      bench.submit({{0x1046 | i << 32, kTarget}});
      while (!bench.commands_done()) bench.pause(1);
      EXPECT_EQ(bench.word(kTarget), i);
    }
  });
}

}  // namespace
}  // namespace shootdown::tests
