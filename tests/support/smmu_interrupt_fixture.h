// What the tests of wires and of messages have in common: causes of every interrupt, and counters.
#ifndef SHOOTDOWN_TESTS_SUPPORT_SMMU_INTERRUPT_FIXTURE_H
#define SHOOTDOWN_TESTS_SUPPORT_SMMU_INTERRUPT_FIXTURE_H

#include <gtest/gtest.h>

#include <array>
#include <cstdint>

#include "support/smmu_bench.h"

namespace shootdown::tests {

class SmmuInterruptFixture : public testing::Test {
 protected:
  static constexpr std::uint64_t kVa = 0x12'3456'7000;
  static constexpr std::uint32_t kSid = 5;
  static constexpr std::uint64_t kNowhere = 0x8000'0000;                   // no memory there
  static constexpr std::uint32_t kGerrorOn = 1, kPriOn = 2, kEventOn = 4;  // IRQ_CTRL
  static constexpr std::uint32_t kPriCfg = 0xd0;                           // PRIQ_IRQ_CFG0

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

  /// An event: F_TRANSLATION.
  static void fault(SmmuBench& bench) {
    EXPECT_FALSE(bench.dma(kSid, kVa));
    bench.sync();
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
  /// A global error: CERROR_ILL.
  static void bad_command(SmmuBench& bench) {
    bench.submit({{0x00, 0}});
    bench.settle();
    bench.pause(500);
  }

  unsigned event_{}, gerror_{}, pri_{}, sync_{};
};

}  // namespace shootdown::tests

#endif
