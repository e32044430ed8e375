// Interrupts by wire. Source: Arm IHI 0070, 3.18, 4.7.3, 6.3.16 to 6.3.36, 7.5.1.
#include <gtest/gtest.h>

#include "support/smmu_bench.h"

namespace shootdown::tests {
namespace {

constexpr std::uint64_t kVa = 0x12'3456'7000;
constexpr std::uint32_t kSid = 5;
constexpr std::uint64_t kNowhere = 0x8000'0000;  // no memory there
constexpr std::uint32_t kPriCfg = 0xd0;          // PRIQ_IRQ_CFG0
constexpr std::uint32_t kGerrorOn = 1, kPriOn = 2, kEventOn = 4;

class SmmuInterruptsTest : public testing::Test {
 protected:
  static hw::SmmuConfig with_msi() {
    hw::SmmuConfig config;
    config.features.msi = config.features.pri = true;
    return config;
  }
  void count(SmmuBench& bench) {
    auto& lines = bench.board.smmu().interrupt;
    lines.event.connect([this] { ++event_; });
    lines.gerror.connect([this] { ++gerror_; });
    lines.pri.connect([this] { ++pri_; });
    lines.sync.connect([this] { ++sync_; });
  }
  static void fault(SmmuBench& bench) {
    EXPECT_FALSE(bench.dma(kSid, kVa));
    bench.sync();
  }
  /// The PRI queue's interrupt is a wire; `cfg2` has LO.
  static void no_pri_message(SmmuBench& bench, std::uint32_t cfg2) {
    bench.set_reg(kPriCfg, 0, 8);
    bench.set_reg(kPriCfg + 12, cfg2);
  }
  static void set_interrupts(SmmuBench& bench, std::uint32_t enabled) {
    bench.set_reg(0x50, enabled);
    bench.board.wait_until([&] { return bench.reg(0x54) == enabled; });
  }
  /// Boots with all interrupts off, to be configured.
  static void boot(SmmuBench& bench, std::uint32_t cr0 = 0xd) {
    bench.stage1_stream(kSid, 7);
    bench.boot(cr0);
    set_interrupts(bench, 0);
  }
  static void page_request(SmmuBench& bench, bool last) {
    auto access = SmmuBench::access(kSid, kVa, false);
    access.kind = hw::StreamExtension::Kind::kPageRequest;
    access.page_request.address = {kVa};
    access.page_request.last = last;
    access.page_request.read = true;
    std::array<std::uint8_t, 4> data{};
    bench.board.dma(access, data.data(), 4);
    bench.pause(500);
  }
  static void bad_command(SmmuBench& bench) {
    bench.submit({{0x00, 0}});
    bench.settle();
    bench.pause(500);
  }
  unsigned event_{}, gerror_{}, pri_{}, sync_{};
};

TEST_F(SmmuInterruptsTest, TheEventWireTellsOfAnEmptyQueueThatFills) {
  SmmuBench bench({});
  count(bench);
  bench.run([&] {
    bench.stage1_stream(kSid, 7);
    bench.boot();
    EXPECT_EQ(event_, 0U);
    fault(bench);
    EXPECT_EQ(event_, 1U);
    fault(bench);
    EXPECT_EQ(event_, 1U) << "it was not empty";
    bench.events();
    EXPECT_EQ(event_, 1U);
    fault(bench);
    EXPECT_EQ(event_, 2U);
    EXPECT_EQ(gerror_ + pri_ + sync_, 0U);
  });
}

TEST_F(SmmuInterruptsTest, ASourceThatIsOffIsSilentAndNotMadeUpForLater) {
  SmmuBench bench({});
  count(bench);
  bench.run([&] {
    boot(bench);
    fault(bench);
    bad_command(bench);
    set_interrupts(bench, kEventOn | kGerrorOn);
    bench.pause(1000);
    EXPECT_EQ(event_ + gerror_, 0U);
    EXPECT_EQ(bench.reg(0x60), 1U) << "the error is recorded all the same";
    EXPECT_EQ(bench.reg(0x100a8), 1U);
  });
}

TEST_F(SmmuInterruptsTest, TheGerrorWireTellsOfEachErrorThatBecomesActive) {
  SmmuBench bench({});
  count(bench);
  bench.run([&] {
    bench.stage1_stream(kSid, 7);
    bench.boot(0x9);
    bench.set_reg(0xa0, kNowhere | 4, 8);
    bench.set_cr0(0xd);
    fault(bench);
    EXPECT_EQ(bench.reg(0x60), 0x4U);
    EXPECT_EQ(gerror_, 1U);
    EXPECT_EQ(event_, 0U) << "the queue stays empty";
    fault(bench);
    EXPECT_EQ(gerror_, 1U) << "active already";
    bad_command(bench);
    EXPECT_EQ(bench.reg(0x60), 0x5U);
    EXPECT_EQ(gerror_, 2U);
    bench.set_reg(0x64, 0x5);
    bench.pause(1000);
    EXPECT_EQ(bench.reg(0x60), 0x4U) << "the same command is in error again";
    EXPECT_EQ(gerror_, 3U);
  });
}

TEST_F(SmmuInterruptsTest, ThePriWireTellsOfAnEmptyQueueThatFills) {
  SmmuBench bench(with_msi());
  count(bench);
  bench.run([&] {
    boot(bench, 0xf);
    no_pri_message(bench, 0);
    set_interrupts(bench, kPriOn);
    page_request(bench, false);
    EXPECT_EQ(pri_, 1U);
    page_request(bench, true);
    EXPECT_EQ(pri_, 1U);
    bench.set_reg(0x100cc, 2);
    page_request(bench, true);
    EXPECT_EQ(pri_, 2U);
    EXPECT_EQ(bench.reg(0x100c8), 3U);
  });
}

TEST_F(SmmuInterruptsTest, WithLastOnlyThePriWireTellsOfLastRequests) {
  SmmuBench bench(with_msi());
  count(bench);
  bench.run([&] {
    boot(bench, 0xf);
    no_pri_message(bench, 0x80000000);
    set_interrupts(bench, kPriOn);
    page_request(bench, false);
    EXPECT_EQ(pri_, 0U);
    page_request(bench, true);
    EXPECT_EQ(pri_, 1U);
    page_request(bench, true);
    EXPECT_EQ(pri_, 2U) << "though the queue was not empty";
  });
}

TEST_F(SmmuInterruptsTest, WithLastOnlyADiscardForOverflowIsToldOfAndForPriqenOffIsNot) {
  SmmuBench bench(with_msi());
  bench.queue_log2 = 0;
  count(bench);
  bench.run([&] {
    boot(bench, 0xf);
    no_pri_message(bench, 0x80000000);
    set_interrupts(bench, kPriOn);
    page_request(bench, false);
    EXPECT_EQ(bench.reg(0x100c8), 1U);
    page_request(bench, false);
    EXPECT_EQ(bench.reg(0x100c8), 0x8000'0001U);
    EXPECT_EQ(pri_, 0U);
    page_request(bench, true);
    EXPECT_EQ(bench.reg(0x100c8), 0x8000'0001U);
    EXPECT_EQ(pri_, 1U);
    bench.set_cr0(0xd);
    page_request(bench, true);
    EXPECT_EQ(pri_, 1U);
  });
}

TEST_F(SmmuInterruptsTest, EachSyncWithAnInterruptRaisesTheWireOnceAndOthersDoNot) {
  SmmuBench bench({});
  count(bench);
  bench.run([&] {
    boot(bench);  // IRQ_CTRL has no say in it
    bench.submit({{0x1046, 0}, {0x46, 0}, {0x2046, 0}, {0x1046, 0}, {0x1046, 0}});
    bench.settle();
    EXPECT_EQ(sync_, 3U);
    EXPECT_EQ(event_ + gerror_ + pri_, 0U);
  });
}

TEST_F(SmmuInterruptsTest, WhatAWireTellsOfCanBeReadWhenItDoes) {
  hw::SmmuConfig config;
  config.register_latency_cycles = 0;
  SmmuBench bench(config);
  count(bench);
  bench.run([&] {
    bench.stage1_stream(kSid, 7);
    bench.boot();
    std::array<std::uint8_t, 4> data{};
    bench.board.launch(0, SmmuBench::access(kSid, kVa, false), data.data(), 4);
    while (event_ == 0) bench.pause(1);
    EXPECT_EQ(bench.reg(0x100a8), 1U);
    bench.submit({{0x1046, 0}});
    while (sync_ == 0) bench.pause(1);
    EXPECT_EQ(bench.reg(0x9c), 1U);
    bench.submit({{0x00, 0}});
    while (gerror_ == 0) bench.pause(1);
    EXPECT_EQ(bench.reg(0x60), 1U);
    EXPECT_EQ(bench.reg(0x9c), 0x0100'0001U);
  });
}

}  // namespace
}  // namespace shootdown::tests
