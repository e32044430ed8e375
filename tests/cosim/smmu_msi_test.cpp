// Interrupts by message (MSI). Source: Arm IHI 0070, 3.18, 4.7.3, 6.3.16 to 6.3.36, 7.5.1.
#include <gtest/gtest.h>

#include "support/smmu_interrupt_fixture.h"

namespace shootdown::tests {
namespace {

constexpr std::uint64_t kTarget = 0x4800'0000;  // where MSIs go
constexpr std::uint64_t kBefore = 0x1111'1111'2222'2222;
constexpr std::uint32_t kGerrorCfg = 0x68, kEventCfg = 0xb0;

Words2 sync_msi(std::uint64_t address, std::uint32_t data) {
  return {0x1046 | std::uint64_t{data} << 32, address};
}

class SmmuMsiTest : public SmmuInterruptFixture {
 protected:
  /// Message configuration; `cfg` is the offset of CFG0.
  static void configure(SmmuBench& bench, std::uint32_t cfg, std::uint64_t address,
                        std::uint32_t data, std::uint32_t cfg2 = 0) {
    bench.set_reg(cfg, address, 8);
    bench.set_reg(cfg + 8, data);
    bench.set_reg(cfg + 12, cfg2);
  }
  /// Boots with all interrupts off, to be configured.
  static void boot(SmmuBench& bench, std::uint32_t cr0 = 0xd) {
    SmmuInterruptFixture::boot(bench, cr0);
    bench.write_word(kTarget, kBefore);
  }
};

TEST_F(SmmuMsiTest, ASyncWritesItsDataToItsAddressWhenItIsConsumed) {
  hw::SmmuConfig config = with_msi();
  config.register_latency_cycles = 0;
  SmmuBench bench(config);
  bench.run([&] {
    boot(bench);
    bench.submit({{0x30, 0}, sync_msi(kTarget + 4, 0xcafe'f00d), sync_msi(kTarget, 0x8765'4321)});
    while (bench.word(kTarget) == kBefore) {
      ASSERT_LT(bench.reg(0x9c), 2U) << "consumed, and its message not sent";
      bench.pause(1);
    }
    EXPECT_EQ(bench.word(kTarget), 0xcafe'f00d'2222'2222U) << "32 bits";
    EXPECT_GE(bench.reg(0x9c), 2U) << "the message is not seen before the consumption";
    bench.settle();
    bench.pause(100);
    EXPECT_EQ(bench.word(kTarget), 0xcafe'f00d'8765'4321U);
    EXPECT_EQ(bench.word(kTarget + 8), 0U);
    EXPECT_EQ(bench.word(kTarget - 8), 0U);
    EXPECT_EQ(bench.reg(0x60), 0U);
  });
}

TEST_F(SmmuMsiTest, AMessageMayOverwriteItsOwnCommand) {
  SmmuBench bench(with_msi());
  bench.run([&] {
    boot(bench);
    bench.submit({{0x30, 0}, sync_msi(SmmuBench::kCommandQueue + 16, 0)});
    bench.settle();
    bench.pause(100);
    EXPECT_EQ(bench.word(SmmuBench::kCommandQueue + 16), 0U);
    EXPECT_EQ(bench.word(SmmuBench::kCommandQueue + 24), SmmuBench::kCommandQueue + 16);
    EXPECT_EQ(bench.reg(0x60), 0U);
  });
}

TEST_F(SmmuMsiTest, OnlySyncsThatAskForAnInterruptWriteMessages) {
  SmmuBench bench(with_msi());
  bench.run([&] {
    boot(bench);
    for (const std::uint64_t cs : {0x0046, 0x2046}) {
      bench.submit({{cs | 0xdeadbeef'0000'0000, kTarget}});
      bench.settle();
    }
    bench.pause(100);
    EXPECT_EQ(bench.word(kTarget), kBefore);
  });
}

TEST_F(SmmuMsiTest, WithoutMsiTheAddressOfASyncIsIgnoredAndTheWireRaised) {
  SmmuBench bench({});
  count(bench);
  bench.run([&] {
    boot(bench);
    bench.submit({sync_msi(kTarget, 1)});
    bench.settle();
    bench.pause(100);
    EXPECT_EQ(bench.word(kTarget), kBefore);
    EXPECT_EQ(sync_, 1U);
  });
}

TEST_F(SmmuMsiTest, TheWireOfASyncIsRaisedWhateverItsAddress) {
  SmmuBench bench(with_msi());
  count(bench);
  bench.run([&] {
    boot(bench);
    bench.submit({sync_msi(0, 1)});
    bench.settle();
    EXPECT_EQ(sync_, 1U);
    bench.submit({sync_msi(kTarget, 1)});
    bench.settle();
    bench.pause(100);
    EXPECT_EQ(bench.word(kTarget), 0x1111'1111'0000'0001U);
    EXPECT_EQ(sync_, 2U);
  });
}

TEST_F(SmmuMsiTest, TheThreeSourcesWriteTheirMessages) {
  SmmuBench bench(with_msi());
  bench.run([&] {
    boot(bench, 0xf);
    configure(bench, kEventCfg, kTarget, 0xe1);
    configure(bench, kGerrorCfg, kTarget + 4, 0xe2);
    configure(bench, kPriCfg, kTarget + 8, 0xe3);
    set_interrupts(bench, kEventOn | kGerrorOn | kPriOn);
    fault(bench);
    EXPECT_EQ(bench.word(kTarget), 0x1111'1111'0000'00e1U);
    page_request(bench, true);
    EXPECT_EQ(bench.word(kTarget + 8), 0xe3U);
    bad_command(bench);
    EXPECT_EQ(bench.word(kTarget), 0x0000'00e2'0000'00e1U);
    EXPECT_EQ(bench.reg(0x60), 1U);
    bench.write_word(kTarget, kBefore);
    bench.write_word(kTarget + 8, 0);
    EXPECT_FALSE(bench.dma(kSid, kVa));
    page_request(bench, true);
    EXPECT_EQ(bench.word(kTarget), kBefore) << "the queues were not empty";
    EXPECT_EQ(bench.word(kTarget + 8), 0U);
  });
}

TEST_F(SmmuMsiTest, ASourceRaisesItsWireAndWritesItsMessage) {
  SmmuBench bench(with_msi());
  count(bench);
  bench.run([&] {
    boot(bench);
    configure(bench, kEventCfg, kTarget, 0xe1);
    set_interrupts(bench, kEventOn);
    fault(bench);
    EXPECT_EQ(bench.word(kTarget), 0x1111'1111'0000'00e1U);
    EXPECT_EQ(event_, 1U);
  });
}

TEST_F(SmmuMsiTest, AddressZeroIsNoMessageAndLeavesTheWire) {
  SmmuBench bench(with_msi());
  count(bench);
  bench.run([&] {
    boot(bench);
    configure(bench, kEventCfg, 0, 0xe1);
    configure(bench, kGerrorCfg, 0, 0xe2);
    set_interrupts(bench, kEventOn | kGerrorOn);
    fault(bench);
    bad_command(bench);
    EXPECT_EQ(event_, 1U);
    EXPECT_EQ(gerror_, 1U);
    EXPECT_EQ(bench.reg(0x60), 1U) << "a message to address 0 would have aborted";
  });
}

TEST_F(SmmuMsiTest, ASourceThatIsOffWritesNoMessage) {
  SmmuBench bench(with_msi());
  bench.run([&] {
    boot(bench);
    configure(bench, kEventCfg, kTarget, 0xe1);
    configure(bench, kGerrorCfg, kTarget + 4, 0xe2);
    fault(bench);
    bad_command(bench);
    EXPECT_EQ(bench.word(kTarget), kBefore);
    set_interrupts(bench, kEventOn | kGerrorOn);
    bench.pause(1000);
    EXPECT_EQ(bench.word(kTarget), kBefore);
  });
}

TEST_F(SmmuMsiTest, MessagesCannotBeConfiguredWhileTheirSourceIsOn) {
  SmmuBench bench(with_msi());
  bench.run([&] {
    boot(bench);
    for (const std::uint32_t cfg : {kGerrorCfg, kPriCfg, kEventCfg})
      configure(bench, cfg, kTarget, 0xe1, 0x3f);
    set_interrupts(bench, kEventOn);
    configure(bench, kEventCfg, kTarget + 8, 0xe2, 0x11);
    EXPECT_EQ(bench.board.read_register(kEventCfg, 8), kTarget);
    EXPECT_EQ(bench.reg(kEventCfg + 8), 0xe1U);
    EXPECT_EQ(bench.reg(kEventCfg + 12), 0x3fU);
    configure(bench, kGerrorCfg, kTarget + 8, 0xe2, 0x11);
    EXPECT_EQ(bench.board.read_register(kGerrorCfg, 8), kTarget + 8) << "its own flag guards it";
    set_interrupts(bench, kGerrorOn | kPriOn);
    configure(bench, kGerrorCfg, kTarget, 0xe3, 0x3f);
    configure(bench, kPriCfg, kTarget + 8, 0xe3, 0x8000'0011);
    EXPECT_EQ(bench.board.read_register(kGerrorCfg, 8), kTarget + 8);
    EXPECT_EQ(bench.reg(kGerrorCfg + 8), 0xe2U);
    EXPECT_EQ(bench.board.read_register(kPriCfg, 8), kTarget);
    EXPECT_EQ(bench.reg(kPriCfg + 12), 0x3fU);
  });
}

TEST_F(SmmuMsiTest, WithoutMsiTheConfigurationRegistersAreZero) {
  SmmuBench bench({});
  bench.run([&] {
    boot(bench);
    for (const std::uint32_t cfg : {kGerrorCfg, kPriCfg, kEventCfg}) {
      configure(bench, cfg, kTarget, 0xe1, 0x8000'003f);
      EXPECT_EQ(bench.board.read_register(cfg, 8), 0U);
      EXPECT_EQ(bench.reg(cfg + 8), 0U);
      EXPECT_EQ(bench.reg(cfg + 12), 0U);
    }
  });
}

TEST_F(SmmuMsiTest, AMessageOfASyncThatAbortsIsAnErrorByTheNextSync) {
  SmmuBench bench(with_msi());
  count(bench);
  bench.run([&] {
    boot(bench);
    set_interrupts(bench, kGerrorOn);
    bench.submit({sync_msi(kNowhere, 1), {0x46, 0}, sync_msi(kTarget, 2)});
    bench.settle();
    bench.pause(100);
    EXPECT_EQ(bench.reg(0x60), 0x10U) << "MSI_CMDQ_ABT_ERR alone";
    EXPECT_EQ(bench.reg(0x9c) & 0xfffff, 3U) << "the queue goes on";
    EXPECT_EQ(bench.word(kTarget), 0x1111'1111'0000'0002U) << "as do messages";
    EXPECT_EQ(gerror_, 1U);
  });
}

TEST_F(SmmuMsiTest, MessagesOfTheSourcesThatAbortAreErrorsOfTheirOwn) {
  SmmuBench bench(with_msi());
  count(bench);
  bench.run([&] {
    boot(bench, 0xf);
    configure(bench, kEventCfg, kNowhere, 1);
    configure(bench, kPriCfg, kNowhere, 1);
    set_interrupts(bench, kEventOn | kPriOn | kGerrorOn);
    fault(bench);
    bench.pause(100);
    EXPECT_EQ(bench.reg(0x60), 0x20U) << "MSI_EVENTQ_ABT_ERR";
    EXPECT_EQ(bench.reg(0x100a8), 1U) << "the event is in its queue";
    page_request(bench, true);
    EXPECT_EQ(bench.reg(0x60), 0x60U) << "and MSI_PRIQ_ABT_ERR";
    EXPECT_EQ(gerror_, 2U);
  });
}

TEST_F(SmmuMsiTest, AMessageOfGerrorThatAbortsRaisesNoFurtherInterrupt) {
  SmmuBench bench(with_msi());
  count(bench);
  bench.run([&] {
    boot(bench);
    configure(bench, kGerrorCfg, kNowhere, 1);
    set_interrupts(bench, kGerrorOn);
    bad_command(bench);
    EXPECT_EQ(bench.reg(0x60), 0x81U) << "MSI_GERROR_ABT_ERR and its cause";
    EXPECT_LE(gerror_, 1U);
  });
}

}  // namespace
}  // namespace shootdown::tests
