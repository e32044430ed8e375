// Interrupts by wire. Source: Arm IHI 0070, 3.18, 4.7.3, 6.3.16 to 6.3.36, 7.5.1.
#include <gtest/gtest.h>

#include "support/smmu_interrupt_fixture.h"

namespace shootdown::tests {
namespace {

class SmmuInterruptsTest : public SmmuInterruptFixture {
 protected:
  /// The PRI queue's interrupt is a wire; `cfg2` has LO.
  static void no_pri_message(SmmuBench& bench, std::uint32_t cfg2) {
    bench.set_reg(kPriCfg, 0, 8);
    bench.set_reg(kPriCfg + 12, cfg2);
  }
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
