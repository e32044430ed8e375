// Control registers: updates and their acknowledgements, global bypass, global errors. Source:
// Arm IHI 0070, 6.3.9, 6.3.14, 6.3.16 to 6.3.20, 7.5.
#include <gtest/gtest.h>

#include "support/smmu_bench.h"

namespace shootdown::tests {
namespace {

constexpr std::uint64_t kVa = 0x12'3456'7000;
constexpr std::uint64_t kPlain = 0x4f00'0000;             // in RAM, where bypass leads to
constexpr std::uint64_t kStall = std::uint64_t{1} << 44;  // CD.S
constexpr std::uint32_t kSid = 5;
constexpr unsigned kLag = 1000;

hw::SmmuConfig lagging() {
  hw::SmmuConfig config;
  config.register_update_cycles = kLag;
  return config;
}

class SmmuRegistersTest : public testing::Test {
 protected:
  void launch(SmmuBench& bench, unsigned device, std::uint64_t va) {
    bench.board.launch(device, SmmuBench::access(kSid, va, false), data_.data(), 4);
  }
  std::array<std::uint8_t, 4> data_{};
};

TEST_F(SmmuRegistersTest, Cr0AckFollowsCr0WhenTheUpdateIsDone) {
  SmmuBench bench(lagging());
  bench.run([&] {
    bench.set_reg(0x20, 0x8);
    EXPECT_EQ(bench.reg(0x20), 0x8U) << "readable at once";
    EXPECT_EQ(bench.reg(0x24), 0x0U);
    bench.pause(2 * kLag);
    EXPECT_EQ(bench.reg(0x24), 0x8U);
    bench.set_reg(0x20, 0x0);
    EXPECT_EQ(bench.reg(0x24), 0x8U);
    bench.pause(2 * kLag);
    EXPECT_EQ(bench.reg(0x24), 0x0U);
  });
}

TEST_F(SmmuRegistersTest, ReservedAndAbsentBitsAreNotAcknowledged) {
  SmmuBench bench({});  // ATS, neither PRI nor VMW
  bench.run([&] {
    bench.boot(0);
    bench.set_reg(0x20, 0xffffffff);
    bench.set_reg(0x50, 0xffffffff);
    bench.pause(100);
    EXPECT_EQ(bench.reg(0x24), 0x1dU);
    EXPECT_EQ(bench.reg(0x54), 0x5U);
  });
  hw::SmmuConfig config;
  config.features.pri = config.features.vmid_wildcard = true;
  SmmuBench more(config);
  more.run([&] {
    more.boot(0);
    more.set_reg(0x20, 0x11f);
    more.set_reg(0x50, 0xffffffff);
    more.pause(100);
    EXPECT_EQ(more.reg(0x24), 0x11fU);
    EXPECT_EQ(more.reg(0x54), 0x7U);
  });
}

TEST_F(SmmuRegistersTest, AFieldWrittenAgainDuringItsUpdateEndsUpAsOneOfTheValues) {
  SmmuBench bench(lagging());
  bench.run([&] {
    bench.set_reg(0x20, 0x8);
    bench.set_reg(0x20, 0x0);
    bench.pause(3 * kLag);
    EXPECT_EQ(bench.reg(0x20), bench.reg(0x24));
    EXPECT_TRUE(bench.reg(0x24) == 0x8 || bench.reg(0x24) == 0x0);
  });
}

TEST_F(SmmuRegistersTest, IrqCtrlAckFollowsIrqCtrl) {
  SmmuBench bench(lagging());
  bench.run([&] {
    bench.set_reg(0x50, 0x5);
    EXPECT_EQ(bench.reg(0x50), 0x5U);
    EXPECT_EQ(bench.reg(0x54), 0x0U);
    bench.pause(2 * kLag);
    EXPECT_EQ(bench.reg(0x54), 0x5U);
    bench.set_reg(0x54, 0x0);
    bench.pause(2 * kLag);
    EXPECT_EQ(bench.reg(0x54), 0x5U) << "read-only";
  });
}

TEST_F(SmmuRegistersTest, CommandsWaitForTheUpdateOfCmdqenAtMost) {
  SmmuBench bench(lagging());
  bench.run([&] {
    bench.boot(0x8);
    bench.submit({{0x46, 0}});
    bench.settle();
    EXPECT_EQ(bench.reg(0x9c) & 0xfffff, 1U);
    bench.set_cr0(0x0);
    bench.submit({{0x46, 0}});
    bench.pause(3 * kLag);
    EXPECT_EQ(bench.reg(0x9c) & 0xfffff, 1U) << "none is fetched after the update to 0";
  });
}

TEST_F(SmmuRegistersTest, SmmuenOffAbortsStallsAndFreesTheirStags) {
  hw::SmmuConfig config;
  config.features.stall_max = 2;
  SmmuBench bench(config);
  bench.run([&] {
    bench.stage1_stream(kSid, 7, kStall);
    bench.boot();
    for (unsigned round = 0; round < 3; ++round) {
      launch(bench, 0, kVa);
      launch(bench, 1, kVa + 0x1000);
      bench.board.wait_until([&] { return (bench.reg(0x100a8) & 0x1f) == (2 * round + 2) % 32; });
      const auto events = bench.events();
      ASSERT_EQ(events.size(), 2U) << "there are STAGs for both in round " << round;
      bench.set_cr0(0xc);
      ASSERT_TRUE(
          bench.board.wait_until([&] { return bench.board.done(0) && bench.board.done(1); }));
      EXPECT_FALSE(bench.board.result(0).ok);
      EXPECT_FALSE(bench.board.result(1).ok);
      bench.command({0x0000'0005'0000'1044, events[0][1] & 0xffff});
      EXPECT_FALSE(bench.stopped()) << "RESUME of a freed STAG is no error";
      bench.set_cr0(0xd);
    }
    EXPECT_TRUE(bench.events().empty());
  });
}

TEST_F(SmmuRegistersTest, SmmuenOffAbortsAStallThatWaitsForSpaceInTheEventQueue) {
  SmmuBench bench({});
  bench.queue_log2 = 0;
  bench.run([&] {
    bench.stage1_stream(kSid, 7, kStall);
    bench.boot();
    launch(bench, 0, kVa);
    bench.pause(2000);
    launch(bench, 1, kPlain);
    bench.pause(2000);
    EXPECT_EQ(bench.reg(0x100a8), 1U) << "full: the second stall has no event";
    bench.set_cr0(0xc);
    ASSERT_TRUE(bench.board.wait_until([&] { return bench.board.done(0) && bench.board.done(1); }));
    EXPECT_FALSE(bench.board.result(0).ok);
    EXPECT_FALSE(bench.board.result(1).ok);
    EXPECT_EQ(bench.reg(0x100a8), 1U);
  });
}

TEST_F(SmmuRegistersTest, SmmuenOffAbortsAStallWithoutAnEventOfItsOwn) {
  hw::SmmuConfig config;
  config.faults.suppress_duplicates = true;
  SmmuBench bench(config);
  bench.run([&] {
    bench.stage1_stream(kSid, 7, kStall);
    bench.boot();
    launch(bench, 0, kPlain);
    bench.pause(2000);
    launch(bench, 1, kPlain);
    bench.pause(2000);
    EXPECT_EQ(bench.reg(0x100a8), 1U);
    bench.set_cr0(0xc);
    ASSERT_TRUE(bench.board.wait_until([&] { return bench.board.done(0) && bench.board.done(1); }));
    EXPECT_FALSE(bench.board.result(0).ok);
    EXPECT_FALSE(bench.board.result(1).ok);
  });
}

TEST_F(SmmuRegistersTest, SmmuenOffEndsAccessesThatFoundNoRoomToStall) {
  hw::SmmuConfig config;
  config.features.stall_max = 1;
  SmmuBench bench(config);
  bench.run([&] {
    bench.stage1_stream(kSid, 7, kStall);
    bench.boot();
    for (unsigned device = 0; device < 4; ++device) launch(bench, device, kPlain + device * 0x1000);
    bench.pause(2000);
    EXPECT_EQ(bench.events().size(), 1U);
    bench.set_cr0(0xc);
    for (unsigned device = 0; device < 4; ++device)
      EXPECT_TRUE(bench.board.wait_until([&] { return bench.board.done(device); }));
    EXPECT_TRUE(bench.events().empty());
  });
}

TEST_F(SmmuRegistersTest, WithSmmuenOffAccessesBypassTablesAndMakeNoEvents) {
  SmmuBench bench({});
  bench.run([&] {
    bench.boot(0xc);
    EXPECT_EQ(bench.dma(kSid, kPlain), kPlain);
    EXPECT_EQ(bench.dma(0x1234, kPlain + 0x1000, true), kPlain + 0x1000) << "no such stream";
    bench.sync();
    EXPECT_TRUE(bench.events().empty());
  });
}

TEST_F(SmmuRegistersTest, GbpaIsWrittenWithUpdateSetOnly) {
  SmmuBench bench(lagging());
  bench.run([&] {
    bench.boot(0xc);
    const std::uint32_t before = bench.reg(0x44);
    EXPECT_EQ(before & 0x80000000, 0U);
    bench.set_reg(0x44, before ^ 0x100000);
    bench.pause(2 * kLag);
    EXPECT_EQ(bench.reg(0x44), before) << "ignored";
    bench.set_reg(0x44, 0x80100000);
    EXPECT_EQ(bench.reg(0x44) & 0x80100000, 0x80100000U) << "under way";
    bench.set_reg(0x44, 0x80000000);
    EXPECT_EQ(bench.reg(0x44) & 0x80100000, 0x80100000U) << "ignored meanwhile";
    bench.pause(2 * kLag);
    EXPECT_EQ(bench.reg(0x44) & 0x80100000, 0x00100000U);
    EXPECT_FALSE(bench.dma(kSid, kPlain));
    bench.sync();
    EXPECT_TRUE(bench.events().empty());
    bench.set_reg(0x44, 0x80000000);
    bench.board.wait_until([&] { return (bench.reg(0x44) & 0x80000000) == 0; });
    EXPECT_EQ(bench.dma(kSid, kPlain), kPlain);
  });
}

TEST_F(SmmuRegistersTest, GbpaAbortIsOfNoConcernWithSmmuenOn) {
  SmmuBench bench({});
  bench.run([&] {
    bench.stage1_stream(kSid, 7);
    bench.map(7, kVa, kPlain);
    bench.set_reg(0x44, 0x80100000);
    bench.boot();
    EXPECT_EQ(bench.dma(kSid, kVa), kPlain);
  });
}

TEST_F(SmmuRegistersTest, GerrorIsReadOnlyAndTogglingAnInactiveErrorDoesNotChangeIt) {
  SmmuBench bench({});
  bench.run([&] {
    bench.boot();
    bench.set_reg(0x60, 0xffffffff);
    EXPECT_EQ(bench.reg(0x60), 0U);
    bench.set_reg(0x64, 0xfc);  // everything but CMDQ_ERR
    EXPECT_EQ(bench.reg(0x60), 0U);
    bench.set_reg(0x64, 0);
    bench.submit({{0x00, 0}});
    bench.settle();
    EXPECT_EQ(bench.reg(0x60), 1U);
    bench.set_reg(0x64, 1);
    EXPECT_EQ(bench.reg(0x64), 1U);
  });
}

TEST_F(SmmuRegistersTest, ErrorsAreActiveIndependently) {
  SmmuBench bench({});
  bench.run([&] {
    bench.stage1_stream(kSid, 7);
    bench.boot(0x9);
    bench.set_reg(0xa0, 0x8000'0004, 8);  // no memory
    bench.set_cr0(0xd);
    EXPECT_FALSE(bench.dma(kSid, kVa));
    bench.sync();
    EXPECT_EQ(bench.reg(0x60), 0x4U);
    bench.submit({{0x00, 0}});
    ASSERT_TRUE(bench.board.wait_until([&] { return bench.reg(0x60) == 0x5; }));
    bench.set_reg(0x64, 0x4);
    bench.pause(1000);
    EXPECT_TRUE(bench.stopped()) << "acknowledging one leaves the other";
    EXPECT_EQ(bench.reg(0x9c), 0x0100'0001U);
  });
}

}  // namespace
}  // namespace shootdown::tests
