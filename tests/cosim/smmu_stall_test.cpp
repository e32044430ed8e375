// Stalled transactions: CMD_RESUME, CMD_STALL_TERM, and how many there may be. Source:
// Arm IHI 0070, 3.12.2, 4.7.1, 4.7.2.
#include <gtest/gtest.h>

#include <set>

#include "support/smmu_bench.h"

namespace shootdown::tests {
namespace {

constexpr std::uint64_t kVa = 0x12'3456'7000;
constexpr std::uint64_t kStall = std::uint64_t{1} << 44;  // CD.S
constexpr std::uint64_t kStalledRead = 0x0000'0208'8000'0000;
constexpr std::uint32_t kSid = 5;

class SmmuStallTest : public testing::Test {
 protected:
  void SetUp() override { data_.fill({0xaa, 0xaa, 0xaa, 0xaa}); }
  /// An access by `device` that is to stall: its event, but for the STAG, which is returned.
  std::uint64_t stall(SmmuBench& bench, unsigned device, std::uint32_t sid, std::uint64_t va,
                      bool write = false) {
    bench.board.launch(device, SmmuBench::access(sid, va, write), data_.at(device).data(), 4);
    bench.board.wait_until([&] { return bench.event_pending(); });
    const auto events = bench.events();
    EXPECT_EQ(events.size(), 1U);
    EXPECT_EQ(events.at(0)[0], std::uint64_t{sid} << 32 | (write ? 0x13 : 0x10));
    EXPECT_EQ(events.at(0)[1] & ~std::uint64_t{0xffff},
              write ? 0x0000'0200'8000'0000 : kStalledRead)
        << "Stall, RnW, CLASS = IN";
    EXPECT_EQ(events.at(0)[2], va);
    EXPECT_EQ(events.at(0)[3], 0U);
    EXPECT_FALSE(bench.board.done(device));
    return events.at(0)[1] & 0xffff;
  }
  /// A stalled read of an unmapped page, by device 0. Returns its STAG.
  std::uint64_t stall_a_read(SmmuBench& bench) {
    bench.stage1_stream(kSid, 7, kStall);
    bench.boot();
    return stall(bench, 0, kSid, kVa);
  }
  static void expect_end(SmmuBench& bench, unsigned device, bool ok) {
    ASSERT_TRUE(bench.board.wait_until([&] { return bench.board.done(device); }));
    EXPECT_EQ(bench.board.result(device).ok, ok);
  }
  /// What software does before CMD_STALL_TERM: V = 1, Config = 0, CFGI_STE, SYNC.
  static void abort_stream(SmmuBench& bench, std::uint32_t sid) {
    bench.set_ste(sid, {1});
    bench.command({0x03 | std::uint64_t{sid} << 32, 1});
  }
  std::array<std::array<std::uint8_t, 4>, 4> data_{};
};
constexpr std::array<std::uint8_t, 4> kZero{};

TEST_F(SmmuStallTest, RetryLooksEverythingUpAgain) {
  SmmuBench bench({});
  bench.run([&] {
    const std::uint64_t stag = stall_a_read(bench);
    bench.map(7, kVa, bench.allocate());
    bench.submit({cmd_resume(kSid, stag, true)});
    expect_end(bench, 0, true);
    EXPECT_TRUE(bench.events().empty());
  });
}

TEST_F(SmmuStallTest, ARetryThatFaultsIsANewStallWithAnEventOfItsOwn) {
  SmmuBench bench({});
  bench.run([&] {
    const std::uint64_t stag = stall_a_read(bench);
    bench.submit({{0x0000'0005'0000'3044, stag}});  // Ac = 1: Ab is ignored
    ASSERT_TRUE(bench.board.wait_until([&] { return bench.event_pending(); }));
    const auto events = bench.events();
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0][1] & ~std::uint64_t{0xffff}, kStalledRead);
    EXPECT_FALSE(bench.board.done(0));
    bench.submit({cmd_resume(kSid, events[0][1] & 0xffff, false)});
    expect_end(bench, 0, false);
  });
}

TEST_F(SmmuStallTest, ARetryObeysAConfigurationThatHasBecomeTerminating) {
  SmmuBench bench({});
  bench.run([&] {
    const std::uint64_t stag = stall_a_read(bench);
    bench.set_cd(kSid, 0, bench.stage1_cd(7));  // A = R = 1, S = 0
    bench.command({0x0000'0005'0000'0005, 1});  // CFGI_CD
    bench.submit({cmd_resume(kSid, stag, true)});
    expect_end(bench, 0, false);
    bench.sync();
    EXPECT_EQ(bench.events(),
              (std::vector<Words4>{{0x0000'0005'0000'0010, 0x0000'0208'0000'0000, kVa, 0}}));
  });
}

TEST_F(SmmuStallTest, AnAnswerToAnotherStreamOrStagIsNone) {
  SmmuBench bench({});
  bench.run([&] {
    const std::uint64_t stag = stall_a_read(bench);
    bench.submit({cmd_resume(kSid + 1, stag, false), cmd_resume(kSid, stag + 1, false)});
    bench.settle();
    bench.pause(1000);
    EXPECT_FALSE(bench.board.done(0));
    EXPECT_FALSE(bench.stopped()) << "no error either";
    bench.submit({cmd_resume(kSid, stag, false)});
    expect_end(bench, 0, false);
  });
}

TEST_F(SmmuStallTest, TerminationWithoutAbortReadsZeroAndIgnoresWrites) {
  SmmuBench bench({});
  bench.run([&] {
    const std::uint64_t read = stall_a_read(bench);
    const std::uint64_t page = bench.allocate();
    bench.write_word(page, 0x1234'5678);
    bench.map(7, kVa + 0x1000, page, SmmuBench::kReadOnly);
    const std::uint64_t write = stall(bench, 1, kSid, kVa + 0x1000, true);
    bench.submit({{0x0000'0005'0000'0044, read}, {0x0000'0005'0000'0044, write}});
    expect_end(bench, 0, true);
    expect_end(bench, 1, true);
    EXPECT_EQ(data_[0], kZero);
    EXPECT_EQ(bench.word(page), 0x1234'5678U);
    EXPECT_TRUE(bench.events().empty());
  });
}

TEST_F(SmmuStallTest, WhereOnlyAbortsExistTerminationIsOneWhateverItAsksFor) {
  hw::SmmuConfig config;
  config.features.abort_only = true;
  SmmuBench bench(config);
  bench.run([&] {
    const std::uint64_t stag = stall_a_read(bench);
    bench.submit({{0x0000'0005'0000'0044, stag}});
    expect_end(bench, 0, false);
  });
}

TEST_F(SmmuStallTest, StallsOfOneStreamMayBeAnsweredInAnyOrder) {
  SmmuBench bench({});
  bench.run([&] {
    std::array<std::uint64_t, 4> stags{stall_a_read(bench)};
    for (unsigned device : {1U, 2U, 3U})
      stags.at(device) = stall(bench, device, kSid, kVa + device * 0x1000);
    EXPECT_EQ(std::set<std::uint64_t>(stags.begin(), stags.end()).size(), 4U);
    for (unsigned page = 0; page < 4; ++page) bench.map(7, kVa + page * 0x1000, bench.allocate());
    std::set<unsigned> ended;
    for (unsigned device : {2U, 0U, 3U, 1U}) {
      bench.submit({cmd_resume(kSid, stags.at(device), device != 3)});
      expect_end(bench, device, device != 3);
      ended.insert(device);
      bench.pause(1000);
      for (unsigned other = 0; other < 4; ++other)
        EXPECT_EQ(bench.board.done(other), ended.contains(other)) << other;
    }
    EXPECT_TRUE(bench.events().empty());
  });
}

TEST_F(SmmuStallTest, AStallHoldsUpNeitherItsStreamNorSync) {
  SmmuBench bench({});
  bench.run([&] {
    const std::uint64_t stag = stall_a_read(bench);
    const std::uint64_t page = bench.allocate();
    bench.map(7, kVa + 0x1000, page);
    EXPECT_EQ(bench.dma(kSid, kVa + 0x1000), page);
    bench.command({0x30, 0});  // NSNH_ALL
    EXPECT_TRUE(bench.commands_done());
    EXPECT_FALSE(bench.board.done(0));
    bench.submit({cmd_resume(kSid, stag, false)});
    expect_end(bench, 0, false);
  });
}

TEST_F(SmmuStallTest, AStagIsNotUsedAgainBeforeItsAnswer) {
  SmmuBench bench({});
  bench.run([&] {
    const std::uint64_t first = stall_a_read(bench);
    for (unsigned i = 0; i < 200; ++i) {
      const std::uint64_t stag = stall(bench, 1, kSid, kVa + 0x1000);
      ASSERT_NE(stag, first);
      bench.submit({cmd_resume(kSid, stag, false)});
      expect_end(bench, 1, false);
    }
    EXPECT_FALSE(bench.board.done(0));
    bench.submit({cmd_resume(kSid, first, false)});
    expect_end(bench, 0, false);
  });
}

TEST_F(SmmuStallTest, MoreStallsThanStallMaxWaitForAnswersToOthers) {
  hw::SmmuConfig config;
  config.features.stall_max = 2;
  SmmuBench bench(config);
  bench.run([&] {
    EXPECT_EQ(bench.reg(0x14) >> 16, 2U);
    bench.stage1_stream(kSid, 7, kStall);
    bench.boot();
    for (unsigned device = 0; device < 4; ++device) {
      bench.board.launch(device, SmmuBench::access(kSid, kVa + device * 0x1000, false),
                         data_.at(device).data(), 4);
      bench.pause(1000);
    }
    EXPECT_EQ(bench.reg(0x100a8), 2U);
    std::set<std::uint64_t> seen;
    for (unsigned round = 0; round < 4; ++round) {
      ASSERT_TRUE(
          bench.board.wait_until([&] { return bench.reg(0x100a8) == std::min(round + 2, 4U); }));
      const std::uint64_t slot = SmmuBench::kEventQueue + round * 32;
      EXPECT_EQ(bench.word(slot), 0x0000'0005'0000'0010U);
      seen.insert(bench.word(slot + 16));
      bench.submit({cmd_resume(kSid, bench.word(slot + 8) & 0xffff, false)});
      bench.settle();
      bench.pause(1000);
      EXPECT_EQ(bench.reg(0x100a8), std::min(round + 3, 4U));
    }
    EXPECT_EQ(seen, (std::set<std::uint64_t>{kVa, kVa + 0x1000, kVa + 0x2000, kVa + 0x3000}));
    for (unsigned device = 0; device < 4; ++device) expect_end(bench, device, false);
  });
}

TEST_F(SmmuStallTest, StallTermAbortsAllStallsOfItsStreamAndNoOthers) {
  SmmuBench bench({});
  bench.run([&] {
    bench.stage1_stream(6, 8, kStall);
    const std::uint64_t first = stall_a_read(bench);
    stall(bench, 1, kSid, kVa + 0x1000);
    const std::uint64_t other = stall(bench, 2, 6, kVa);
    abort_stream(bench, kSid);
    bench.pause(1000);
    EXPECT_FALSE(bench.board.done(0)) << "SYNC retries nothing that is recorded";
    bench.submit({{0x0000'0005'0000'0045, 0}});
    expect_end(bench, 0, false);
    expect_end(bench, 1, false);
    bench.pause(1000);
    EXPECT_FALSE(bench.board.done(2));
    bench.command(cmd_resume(kSid, first, true));
    EXPECT_TRUE(bench.commands_done()) << "its STAG is free: no effect, no error";
    bench.submit({cmd_resume(6, other, false)});
    expect_end(bench, 2, false);
    EXPECT_TRUE(bench.events().empty());
  });
}

TEST_F(SmmuStallTest, StallTermEndsAStallThatCouldNotBeRecorded) {
  SmmuBench bench({});
  bench.queue_log2 = 0;
  bench.run([&] {
    bench.stage1_stream(kSid, 7, kStall);
    bench.boot();
    for (unsigned device : {0U, 1U}) {
      bench.board.launch(device, SmmuBench::access(kSid, kVa + device * 0x1000, false),
                         data_.at(device).data(), 4);
      bench.pause(1000);
    }
    EXPECT_EQ(bench.reg(0x100a8), 1U) << "full";
    for (const Words2& command :
         {Words2{0x0000'0005'0000'0003, 1}, Words2{0x46, 0}, Words2{0x0000'0005'0000'0045, 0}}) {
      bench.set_ste(kSid, {1});
      bench.submit({command});
      bench.settle();
    }
    bench.pause(5000);
    EXPECT_TRUE(bench.board.done(0) && bench.board.done(1)) << "though the queue is still full";
    bench.events();
    expect_end(bench, 0, false);
    expect_end(bench, 1, false);
    bench.pause(1000);
    EXPECT_TRUE(bench.events().empty()) << "of a stream that aborts silently";
  });
}

TEST_F(SmmuStallTest, AStallThatCouldNotBeRecordedIsRetriedAfterAnInvalidation) {
  SmmuBench bench({});
  bench.queue_log2 = 0;
  bench.run([&] {
    const std::uint64_t stag = stall_a_read(bench);
    EXPECT_EQ(bench.dma(kSid + 1, kVa), std::nullopt);  // C_BAD_STE fills the queue
    bench.board.launch(1, SmmuBench::access(kSid, kVa + 0x1000, false), data_[1].data(), 4);
    bench.pause(1000);
    bench.map(7, kVa + 0x1000, bench.allocate());
    for (const Words2& command :
         {Words2{0x30, 0}, Words2{0x46, 0}, cmd_resume(kSid, stag, false)}) {
      bench.submit({command});
      bench.settle();
    }
    expect_end(bench, 0, false);
    EXPECT_EQ(bench.events(), (std::vector<Words4>{{0x0000'0006'0000'0004, 0, 0, 0}}));
    expect_end(bench, 1, true);
    bench.pause(1000);
    EXPECT_TRUE(bench.events().empty()) << "the original event is stale";
  });
}

TEST_F(SmmuStallTest, TranslationRequestsNeverStallAndMakeNoEvent) {
  SmmuBench bench({});
  bench.run([&] {
    bench.stage1_stream(kSid, 7, kStall, std::uint64_t{1} << 28);  // EATS = 1
    bench.boot();
    auto request = SmmuBench::access(kSid, kVa, false);
    request.kind = hw::StreamExtension::Kind::kTranslationRequest;
    const auto result = bench.board.dma(request, data_[0].data(), 4);
    EXPECT_FALSE(result.answer.unsupported);
    EXPECT_FALSE(result.answer.read);
    EXPECT_FALSE(result.answer.write);
    bench.sync();
    EXPECT_TRUE(bench.events().empty());
  });
}

}  // namespace
}  // namespace shootdown::tests
