// How a fault ends, as A, R, S and S2R, S2S say, and what an implementation may choose about it:
// early retries, suppressed and merged events. Source: Arm IHI
// 0070, 3.5.5, 3.12.2.1, 3.12.2.2, 5.5, 7.3.1.
#include <gtest/gtest.h>

#include "support/smmu_bench.h"

namespace shootdown::tests {
namespace {

constexpr std::uint64_t kVa = 0x12'3456'7000;
constexpr std::uint32_t kSid = 5;
constexpr std::uint64_t kS = std::uint64_t{1} << 44;         // CD.S
constexpr std::uint64_t kMev = std::uint64_t{1} << 19;       // STE, second word
constexpr std::uint64_t kS1Stalld = std::uint64_t{1} << 27;  // likewise
constexpr std::uint64_t kOfSid5 = 0x0000'0005'0000'0010;     // F_TRANSLATION
constexpr std::uint64_t kRead = 0x0000'0208'0000'0000;       // CLASS = IN, RnW
constexpr std::uint64_t kStalledRead = kRead | 0x8000'0000;
constexpr std::uint64_t kNoStag = ~std::uint64_t{0xffff};
constexpr std::array<std::uint8_t, 4> kZero{};

class SmmuFaultChoicesTest : public testing::Test {
 protected:
  void SetUp() override { data_.fill({0xaa, 0xaa, 0xaa, 0xaa}); }
  void launch(SmmuBench& bench, unsigned device, std::uint64_t va, bool write = false,
              std::uint32_t sid = kSid) {
    data_.at(device) = {0xaa, 0xaa, 0xaa, 0xaa};
    bench.board.launch(device, SmmuBench::access(sid, va, write), data_.at(device).data(), 4);
    bench.pause(2000);
  }
  static void resume(SmmuBench& bench, std::uint64_t stag, bool retry, std::uint32_t sid = kSid) {
    bench.submit({cmd_resume(sid, stag, retry)});
    bench.settle();
    EXPECT_FALSE(bench.stopped());
  }
  static void expect_end(SmmuBench& bench, unsigned device, bool ok) {
    ASSERT_TRUE(bench.board.wait_until([&] { return bench.board.done(device); }));
    EXPECT_EQ(bench.board.result(device).ok, ok);
  }
  /// An access that faults: how it ends, and its event `record` (STAG and Stall aside) where there
  /// is one.
  void expect_outcome(SmmuBench& bench, std::uint32_t sid, std::uint64_t va, bool write,
                      bool stalls, bool recorded, bool ok, Words4 record) {
    launch(bench, 0, va, write, sid);
    EXPECT_EQ(bench.board.done(0), !stalls);
    const auto events = bench.events();
    ASSERT_EQ(events.size(), recorded ? 1U : 0U);
    if (recorded) {
      if (stalls) record[1] |= 0x8000'0000;
      EXPECT_EQ(events[0][0], record[0]);
      EXPECT_EQ(events[0][1] & (stalls ? kNoStag : ~std::uint64_t{0}), record[1]);
      EXPECT_EQ(events[0][2], record[2]);
      EXPECT_EQ(events[0][3], record[3]);
    }
    if (stalls) {
      resume(bench, events[0][1], false, sid);
      expect_end(bench, 0, false);
    } else {
      EXPECT_EQ(bench.board.result(0).ok, ok);
      if (!write && ok) {
        EXPECT_EQ(data_[0], kZero);
      }
    }
    EXPECT_TRUE(bench.events().empty());
  }
  /// An access of a stream whose configuration is illegal: aborts with `type`, and nothing else.
  static void expect_illegal(const hw::SmmuConfig& config, std::uint64_t cd_clear,
                             std::uint64_t cd_set, std::uint64_t ste1, std::uint64_t type) {
    SmmuBench bench(config);
    bench.run([&] {
      bench.stage1_stream(kSid, 7, 0, ste1);
      Words8 cd = bench.stage1_cd(7);
      cd[0] = (cd[0] & ~cd_clear) | cd_set;
      bench.set_cd(kSid, 0, cd);
      bench.map(7, kVa, bench.allocate());
      bench.boot();
      EXPECT_FALSE(bench.dma(kSid, kVa));
      bench.sync();
      EXPECT_EQ(bench.events(), (std::vector<Words4>{{0x0000'0005'0000'0000 | type, 0, 0, 0}}));
    });
  }
  std::array<std::array<std::uint8_t, 4>, 4> data_{};
};

TEST_F(SmmuFaultChoicesTest, ARAndSDecideHowAStage1FaultEnds) {
  SmmuBench bench({});
  bench.run([&] {
    const std::uint64_t page = bench.allocate();
    bench.write_word(page, 0x1234'5678);
    for (std::uint32_t ars = 0; ars < 8; ++ars) {
      const std::uint32_t sid = 8 + ars;
      const auto asid = static_cast<std::uint16_t>(sid);
      bench.stage1_stream(sid, asid);
      Words8 cd = bench.stage1_cd(asid);
      cd[0] &= ~(std::uint64_t{7} << 44);
      if ((ars & 4) != 0) cd[0] |= std::uint64_t{1} << 46;
      if ((ars & 2) != 0) cd[0] |= std::uint64_t{1} << 45;
      if ((ars & 1) != 0) cd[0] |= std::uint64_t{1} << 44;
      bench.set_cd(sid, 0, cd);
      bench.map(asid, kVa + 0x1000, page, SmmuBench::kReadOnly);
    }
    bench.boot();
    struct Outcome {
      std::uint32_t ars;
      bool stalls, recorded, ok;
    };
    for (const auto& [ars, stalls, recorded, ok] :
         {Outcome{0b000, false, false, true}, Outcome{0b010, false, true, true},
          Outcome{0b100, false, false, false}, Outcome{0b110, false, true, false},
          Outcome{0b001, true, true, false}, Outcome{0b011, true, true, false},
          Outcome{0b101, true, true, false}, Outcome{0b111, true, true, false}}) {
      SCOPED_TRACE(ars);
      const std::uint32_t sid = 8 + ars;
      const std::uint64_t stream = std::uint64_t{sid} << 32;
      expect_outcome(bench, sid, kVa + 0x18, false, stalls, recorded, ok,
                     {stream | 0x10, kRead, kVa + 0x18, 0});
      expect_outcome(bench, sid, kVa + 0x1000, true, stalls, recorded, ok,
                     {stream | 0x13, 0x0000'0200'0000'0000, kVa + 0x1000, 0});
      EXPECT_EQ(bench.word(page), 0x1234'5678U);
    }
  });
}

TEST_F(SmmuFaultChoicesTest, S2RAndS2SDecideHowAStage2FaultEndsAndItNeverReadsZero) {
  hw::SmmuConfig config;
  config.features.stage2 = true;
  SmmuBench bench(config);
  bench.run([&] {
    for (std::uint32_t rs = 0; rs < 4; ++rs) {
      // 39 bits from level 1, 4 KiB, S2PS = 48 bits, S2AA64, S2AFFD.
      const std::uint64_t word2 = std::uint64_t{0x002d'3559} << 32 | rs;
      bench.set_ste(8 + rs,
                    {0xd, 0, word2 | std::uint64_t{rs >> 1} << 58 | std::uint64_t{rs & 1} << 57,
                     bench.allocate()});
    }
    bench.boot();
    for (std::uint32_t rs = 0; rs < 4; ++rs) {
      SCOPED_TRACE(rs);
      const bool stalls = (rs & 1) != 0;
      expect_outcome(
          bench, 8 + rs, kVa + 0x18, false, stalls, rs != 0, false,
          {std::uint64_t{8 + rs} << 32 | 0x10, kRead | 0x0000'0080'0000'0000, kVa + 0x18, kVa});
    }
  });
}

TEST_F(SmmuFaultChoicesTest, AStallOfStage2MayEndAsZeroWhenResumeSaysSo) {
  hw::SmmuConfig config;
  config.features.stage2 = true;
  SmmuBench bench(config);
  bench.run([&] {
    bench.set_ste(kSid, {0xd, 0, std::uint64_t{0x022d'3559} << 32, bench.allocate()});
    bench.boot();
    launch(bench, 0, kVa);
    const auto events = bench.events();
    ASSERT_EQ(events.size(), 1U);
    bench.submit({{0x0000'0005'0000'0044, events[0][1] & 0xffff}});
    expect_end(bench, 0, true);
    EXPECT_EQ(data_[0], kZero);
  });
}

TEST_F(SmmuFaultChoicesTest, ConfigurationsThatStallOrDoNotAgainstTheStallModelAreIllegal) {
  expect_illegal({}, 0, kS, kS1Stalld, 0x0a);  // C_BAD_CD
  hw::SmmuConfig config;
  config.features.stall_model = hw::StallModel::kTerminateOnly;
  expect_illegal(config, 0, kS, 0, 0x0a);
  expect_illegal(config, 0, 0, kS1Stalld, 0x04);  // C_BAD_STE
  config.features.stall_model = hw::StallModel::kStallForced;
  expect_illegal(config, 0, 0, 0, 0x0a);
  expect_illegal(config, 0, kS, kS1Stalld, 0x04);
  hw::SmmuConfig abort_only;
  abort_only.features.abort_only = true;
  expect_illegal(abort_only, std::uint64_t{1} << 46, 0, 0, 0x0a);  // A = 0
}

TEST_F(SmmuFaultChoicesTest, S1StalldAllowsAStreamThatDoesNotStall) {
  SmmuBench bench({});
  bench.run([&] {
    bench.stage1_stream(kSid, 7, 0, kS1Stalld);
    const std::uint64_t page = bench.allocate();
    bench.map(7, kVa, page);
    bench.boot();
    EXPECT_EQ(bench.dma(kSid, kVa), page);
  });
}

TEST_F(SmmuFaultChoicesTest, AnEarlyRetryThatSucceedsEndsTheAccessAndKeepsItsStag) {
  hw::SmmuConfig config;
  config.faults.early_retry_cycles = 100;
  SmmuBench bench(config);
  bench.run([&] {
    bench.stage1_stream(kSid, 7, kS);
    bench.boot();
    launch(bench, 0, kVa);
    const auto events = bench.events();
    ASSERT_EQ(events.size(), 1U) << "failed retries make no event";
    EXPECT_EQ(events[0][1] & kNoStag, kStalledRead);
    EXPECT_FALSE(bench.board.done(0));
    bench.map(7, kVa, bench.allocate());
    expect_end(bench, 0, true);
    const std::uint64_t stag = events[0][1] & 0xffff;
    for (unsigned i = 0; i < 100; ++i) {
      launch(bench, 1, kVa + 0x1000);
      const auto more = bench.events();
      ASSERT_EQ(more.size(), 1U);
      ASSERT_NE(more[0][1] & 0xffff, stag) << "it has not been answered";
      resume(bench, more[0][1], false);
      expect_end(bench, 1, false);
    }
    resume(bench, stag, true);
    bench.pause(1000);
    EXPECT_TRUE(bench.events().empty());
  });
}

TEST_F(SmmuFaultChoicesTest, AnEarlyRetryMayEndUnderAConfigurationThatTerminatesWithoutAnEvent) {
  hw::SmmuConfig config;
  config.faults.early_retry_cycles = 100;
  SmmuBench bench(config);
  bench.run([&] {
    bench.stage1_stream(kSid, 7, kS);
    bench.boot();
    launch(bench, 0, kVa);
    const auto events = bench.events();
    ASSERT_EQ(events.size(), 1U);
    bench.set_cd(kSid, 0, bench.stage1_cd(7));  // A = R = 1, S = 0
    bench.command({0x0000'0005'0000'0005, 1});  // CFGI_CD
    bench.pause(2000);
    EXPECT_TRUE(bench.events().empty());
    resume(bench, events[0][1], false);
    expect_end(bench, 0, false);
    bench.sync();
    EXPECT_TRUE(bench.events().empty());
  });
}

TEST_F(SmmuFaultChoicesTest, AnEarlyRetryMayEndAtAnIllegalConfigurationWithoutAnEvent) {
  hw::SmmuConfig config;
  config.faults.early_retry_cycles = 100;
  SmmuBench bench(config);
  bench.run([&] {
    bench.stage1_stream(kSid, 7, kS);
    bench.boot();
    launch(bench, 0, kVa);
    const auto events = bench.events();
    ASSERT_EQ(events.size(), 1U);
    bench.set_ste(kSid, {});                    // V = 0
    bench.command({0x0000'0005'0000'0003, 1});  // CFGI_STE
    bench.pause(2000);
    resume(bench, events[0][1], false);
    expect_end(bench, 0, false);
    bench.sync();
    EXPECT_TRUE(bench.events().empty());
  });
}

TEST_F(SmmuFaultChoicesTest, AnExplicitRetryIsNoEarlyOneAndRecordsAnew) {
  hw::SmmuConfig config;
  config.faults.early_retry_cycles = 100;
  SmmuBench bench(config);
  bench.run([&] {
    bench.stage1_stream(kSid, 7, kS);
    bench.boot();
    launch(bench, 0, kVa);
    const auto first = bench.events();
    ASSERT_EQ(first.size(), 1U);
    resume(bench, first[0][1], true);
    bench.pause(2000);
    const auto second = bench.events();
    ASSERT_EQ(second.size(), 1U);
    EXPECT_EQ(second[0][0], kOfSid5);
    EXPECT_EQ(second[0][1] & kNoStag, kStalledRead);
    resume(bench, second[0][1], false);
    expect_end(bench, 0, false);
  });
}

TEST_F(SmmuFaultChoicesTest, ADuplicateOfAPendingStallMayHaveNoEventAndIsRetriedWithIt) {
  hw::SmmuConfig config;
  config.faults.suppress_duplicates = true;
  SmmuBench bench(config);
  bench.run([&] {
    bench.stage1_stream(kSid, 7, kS);
    bench.boot();
    launch(bench, 0, kVa);
    launch(bench, 1, kVa + 8);
    launch(bench, 2, kVa, true);
    launch(bench, 3, kVa + 0x1000);
    const auto events = bench.events();
    ASSERT_EQ(events.size(), 3U) << "neither the write nor the other page is a duplicate";
    EXPECT_EQ(events[0][2], kVa);
    EXPECT_EQ(events[1][1] & kNoStag, 0x0000'0200'8000'0000U);
    EXPECT_EQ(events[2][2], kVa + 0x1000);
    bench.map(7, kVa, bench.allocate());
    resume(bench, events[0][1], true);
    expect_end(bench, 0, true);
    expect_end(bench, 1, true);
    bench.pause(1000);
    EXPECT_FALSE(bench.board.done(2));
    resume(bench, events[1][1], true);
    expect_end(bench, 2, true);
    resume(bench, events[2][1], false);
    expect_end(bench, 3, false);
    EXPECT_TRUE(bench.events().empty());
  });
}

TEST_F(SmmuFaultChoicesTest, ADuplicateOfATerminatedStallBecomesVisible) {
  hw::SmmuConfig config;
  config.faults.suppress_duplicates = true;
  SmmuBench bench(config);
  bench.run([&] {
    bench.stage1_stream(kSid, 7, kS);
    bench.boot();
    launch(bench, 0, kVa);
    launch(bench, 1, kVa + 8);
    const auto first = bench.events();
    ASSERT_EQ(first.size(), 1U);
    resume(bench, first[0][1], false);
    expect_end(bench, 0, false);
    bench.pause(2000);
    const auto second = bench.events();
    ASSERT_EQ(second.size(), 1U);
    EXPECT_EQ(second[0][1] & kNoStag, kStalledRead);
    EXPECT_EQ(second[0][2], kVa + 8);
    EXPECT_FALSE(bench.board.done(1));
    resume(bench, second[0][1], false);
    expect_end(bench, 1, false);
  });
}

TEST_F(SmmuFaultChoicesTest, EventsAreMergedWhereMevPermitsAndOnlyIdenticalOnes) {
  hw::SmmuConfig config;
  config.faults.merge_events = true;
  SmmuBench bench(config);
  bench.run([&] {
    bench.stage1_stream(kSid, 7, 0, kMev);
    bench.stage1_stream(6, 8);
    bench.boot();
    for (unsigned i = 0; i < 4; ++i) EXPECT_FALSE(bench.dma(kSid, kVa + 8 * i));
    EXPECT_FALSE(bench.dma(kSid, kVa, true));
    EXPECT_FALSE(bench.dma(kSid, kVa + 0x1000));
    bench.sync();
    EXPECT_EQ(bench.events(), (std::vector<Words4>{{kOfSid5, kRead, kVa, 0},
                                                   {kOfSid5, 0x0000'0200'0000'0000, kVa, 0},
                                                   {kOfSid5, kRead, kVa + 0x1000, 0}}));
    for (unsigned i = 0; i < 4; ++i) EXPECT_FALSE(bench.dma(6, kVa));
    bench.sync();
    EXPECT_EQ(bench.events(), (std::vector<Words4>(4, {0x0000'0006'0000'0010, kRead, kVa, 0})));
  });
}

TEST_F(SmmuFaultChoicesTest, StallsAreNeverMerged) {
  hw::SmmuConfig config;
  config.faults.merge_events = true;
  SmmuBench bench(config);
  bench.run([&] {
    bench.stage1_stream(kSid, 7, kS, kMev);
    bench.boot();
    for (unsigned device : {0U, 1U, 2U}) launch(bench, device, kVa);
    const auto events = bench.events();
    ASSERT_EQ(events.size(), 3U);
    for (const Words4& event : events) {
      EXPECT_EQ(event[1] & kNoStag, kStalledRead);
      resume(bench, event[1], false);
    }
    for (unsigned device : {0U, 1U, 2U}) expect_end(bench, device, false);
  });
}

}  // namespace
}  // namespace shootdown::tests
