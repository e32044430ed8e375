// Commands that are illegal, and what the command queue does at an error. Source: Arm IHI
// 0070, 4.1.3, 4.3 to 4.7, 7.1, 7.5.
#include <gtest/gtest.h>

#include "support/smmu_bench.h"

namespace shootdown::tests {
namespace {

constexpr Words2 kSync{0x46, 0};
constexpr Words2 kSyncWithInterrupt{0x1046, 0};
constexpr Words2 kReserved{0x00, 0};

class SmmuCommandErrorsTest : public testing::Test {
 protected:
  /// One after the other, each replaced by CMD_SYNC when the queue has stopped at it.
  static void expect_illegal(SmmuBench& bench, const std::vector<Words2>& commands,
                             std::uint32_t cr0 = 0xd) {
    bench.run([&] {
      bench.boot(cr0);
      std::uint32_t gerror = 0;
      std::uint32_t slot = 0;
      for (const Words2& command : commands) {
        bench.submit({command});
        bench.settle();
        gerror ^= 1;
        ASSERT_EQ(bench.reg(0x60), gerror) << std::hex << command[0] << " " << command[1];
        ASSERT_EQ(bench.reg(0x9c), 0x0100'0000U | slot);
        replace(bench, slot % 16, kSync);
        bench.set_reg(0x64, gerror);
        bench.settle();
        slot = (slot + 1) % 32;
        ASSERT_EQ(bench.reg(0x9c) & 0xfffff, slot);
      }
    });
  }
  static void expect_legal(SmmuBench& bench, const std::vector<Words2>& commands) {
    bench.run([&] {
      bench.boot();
      for (const Words2& command : commands) {
        bench.command(command);
        ASSERT_TRUE(bench.commands_done()) << std::hex << command[0] << " " << command[1];
      }
      EXPECT_EQ(bench.reg(0x60), 0U);
    });
  }
  static void replace(SmmuBench& bench, std::uint64_t slot, const Words2& command) {
    bench.write_word(SmmuBench::kCommandQueue + slot * 16, command[0]);
    bench.write_word(SmmuBench::kCommandQueue + slot * 16 + 8, command[1]);
  }
  static std::vector<Words2> opcodes(std::initializer_list<std::pair<unsigned, unsigned>> ranges) {
    std::vector<Words2> result;
    for (const auto& [first, last] : ranges)
      for (std::uint64_t opcode = first; opcode <= last; ++opcode) result.push_back({opcode, 0});
    return result;
  }
};

TEST_F(SmmuCommandErrorsTest, ReservedOpcodesAreIllegal) {
  hw::SmmuConfig config;
  config.features.stage2 = config.features.hyp = config.features.pri = true;
  SmmuBench bench(config);
  expect_illegal(bench, opcodes({{0x00, 0x00},
                                 {0x08, 0x0f},
                                 {0x14, 0x17},
                                 {0x19, 0x19},
                                 {0x1b, 0x1f},
                                 {0x24, 0x27},
                                 {0x29, 0x29},
                                 {0x2b, 0x2f},
                                 {0x31, 0x3f},
                                 {0x42, 0x43},
                                 {0x47, 0x4f},
                                 {0x54, 0x57},
                                 {0x59, 0x59},
                                 {0x5b, 0x5f},
                                 {0x61, 0x6f},
                                 {0x71, 0x72},
                                 {0x74, 0x7f},
                                 {0x90, 0xff}}));
}

TEST_F(SmmuCommandErrorsTest, CommandsOfOtherSecurityStatesAndOfMpamAndDptAreIllegal) {
  hw::SmmuConfig config;
  config.features.stage2 = config.features.hyp = true;
  SmmuBench bench(config);
  expect_illegal(bench, opcodes({{0x07, 0x07},
                                 {0x18, 0x18},
                                 {0x1a, 0x1a},
                                 {0x50, 0x53},
                                 {0x58, 0x58},
                                 {0x5a, 0x5a},
                                 {0x60, 0x60},
                                 {0x70, 0x70},
                                 {0x73, 0x73}}));
}

TEST_F(SmmuCommandErrorsTest, CommandsOfAbsentFeaturesAreIllegal) {
  {
    SmmuBench bench({});  // no stage 2, no EL2, no PRI
    expect_illegal(bench, opcodes({{0x20, 0x23}, {0x28, 0x28}, {0x2a, 0x2a}, {0x41, 0x41}}));
  }
  {
    hw::SmmuConfig config;
    config.features.ats = false;
    config.features.stall_model = hw::StallModel::kTerminateOnly;
    SmmuBench bench(config);
    expect_illegal(bench, opcodes({{0x40, 0x40}, {0x44, 0x45}}));
  }
}

TEST_F(SmmuCommandErrorsTest, CommandsOfStage1AreIllegalWithoutIt) {
  hw::SmmuConfig config;
  config.features.stage1 = false;
  config.features.stage2 = true;
  SmmuBench bench(config);
  expect_illegal(bench, opcodes({{0x05, 0x06}, {0x10, 0x13}}));
}

TEST_F(SmmuCommandErrorsTest, EveryCommandOfAPresentFeatureIsLegal) {
  hw::SmmuConfig config;
  config.features.stage2 = config.features.hyp = config.features.pri = true;
  SmmuBench bench(config);
  expect_legal(bench, opcodes({{0x01, 0x06},
                               {0x10, 0x13},
                               {0x20, 0x23},
                               {0x28, 0x28},
                               {0x2a, 0x2a},
                               {0x30, 0x30},
                               {0x40, 0x41},
                               {0x44, 0x46}}));
}

TEST_F(SmmuCommandErrorsTest, ReservedParametersAreIllegal) {
  hw::SmmuConfig config;
  config.features.stage2 = config.features.hyp = config.features.pri = true;
  SmmuBench bench(config);
  expect_illegal(bench, {
                            {0x3046, 0},     // SYNC, CS = 3
                            {0x41, 0x3000},  // PRI_RESP, Resp = 3
                            {0x12, 0x400},   // NH_VA, TG = 1, NUM = SCALE = TTL = 0
                            {0x13, 0x800},   // NH_VAA, TG = 2
                            {0x22, 0xc00},   // EL2_VA, TG = 3
                            {0x23, 0x401},   // EL2_VAA, with Leaf
                            {0x2a, 0x400},   // S2_IPA
                            {0x12, 0x900},   // TG = 2, TTL = 1 counts as 0
                        });
}

TEST_F(SmmuCommandErrorsTest, RangesWithASizeOrALevelAreLegal) {
  hw::SmmuConfig config;
  config.features.stage2 = config.features.hyp = true;
  SmmuBench bench(config);
  expect_legal(bench, {{0x1012, 0x400},    // NUM = 1
                       {0x100012, 0x400},  // SCALE = 1
                       {0x12, 0x700},      // TTL = 3
                       {0x13, 0xa00},      // TG = 2, TTL = 2
                       {0x101012, 0x900},  // TG = 2, TTL = 1, but a range
                       {0x2046, 0}});      // SYNC, CS = 2 without SEV acts as CS = 0
}

TEST_F(SmmuCommandErrorsTest, SSecIsIllegal) {
  SmmuBench bench({});
  std::vector<Words2> commands = opcodes({{0x01, 0x06}, {0x44, 0x45}});
  commands.push_back({0x04, 0x1f});  // CFGI_ALL
  for (Words2& command : commands) command[0] |= 0x400;
  expect_illegal(bench, commands);
}

TEST_F(SmmuCommandErrorsTest, IllegalOutranksIgnored) {
  hw::SmmuConfig config;
  config.features.pri = true;
  {
    SmmuBench bench(config);
    expect_illegal(bench, {{0x41, 0x3000}}, 0xc);  // SMMUEN = 0: PRI_RESP is ignored
  }
  config.features.ats = false;
  config.features.pri = false;
  SmmuBench bench(config);
  expect_illegal(bench, opcodes({{0x40, 0x41}}), 0xc);
}

TEST_F(SmmuCommandErrorsTest, TheQueueStopsAtTheBadCommandUntilGerrornFollows) {
  SmmuBench bench({});
  unsigned interrupts = 0;
  bench.board.smmu().interrupt.sync.connect([&] { ++interrupts; });
  bench.run([&] {
    bench.boot();
    bench.submit({kSyncWithInterrupt, kReserved, kSyncWithInterrupt});
    bench.settle();
    EXPECT_EQ(bench.reg(0x9c), 0x0100'0001U);
    EXPECT_EQ(bench.reg(0x60), 1U);
    EXPECT_EQ(bench.reg(0x64), 0U);
    EXPECT_EQ(interrupts, 1U) << "older commands have been consumed";
    replace(bench, 1, kSync);
    bench.submit({kSyncWithInterrupt});
    bench.pause(2000);
    EXPECT_EQ(bench.reg(0x9c), 0x0100'0001U) << "a write of PROD starts nothing";
    bench.set_reg(0x64, 4);  // acknowledges another error
    bench.set_reg(0x64, 0);
    bench.pause(2000);
    EXPECT_EQ(bench.reg(0x9c), 0x0100'0001U);
    EXPECT_EQ(interrupts, 1U);
    bench.set_reg(0x64, 1);
    bench.settle();
    EXPECT_EQ(bench.reg(0x9c) & 0xfffff, 4U);
    EXPECT_EQ(interrupts, 3U);
    EXPECT_EQ(bench.reg(0x60), 1U);
  });
}

TEST_F(SmmuCommandErrorsTest, AnUnmendedCommandStopsTheQueueAgainAndGerrorTogglesBack) {
  SmmuBench bench({});
  bench.run([&] {
    bench.boot();
    bench.submit({kSync, kReserved});
    bench.settle();
    bench.set_reg(0x64, 1);
    ASSERT_TRUE(bench.board.wait_until([&] { return bench.reg(0x60) == 0; }));
    EXPECT_EQ(bench.reg(0x9c), 0x0100'0001U);
    EXPECT_EQ(bench.reg(0x64), 1U);
    EXPECT_TRUE(bench.stopped());
  });
}

TEST_F(SmmuCommandErrorsTest, CommandsBehindTheBadOneAreFetchedAgain) {
  SmmuBench bench({});
  unsigned interrupts = 0;
  bench.board.smmu().interrupt.sync.connect([&] { ++interrupts; });
  bench.run([&] {
    bench.boot();
    bench.submit({kReserved, kSyncWithInterrupt, kSync});
    bench.settle();
    replace(bench, 0, kSync);
    replace(bench, 1, kSync);
    replace(bench, 2, kSyncWithInterrupt);
    bench.set_reg(0x64, 1);
    bench.settle();
    EXPECT_EQ(bench.reg(0x9c) & 0xfffff, 3U);
    EXPECT_EQ(interrupts, 1U);
  });
}

TEST_F(SmmuCommandErrorsTest, ProdMayBeMovedBackToTheBadCommand) {
  SmmuBench bench({});
  unsigned interrupts = 0;
  bench.board.smmu().interrupt.sync.connect([&] { ++interrupts; });
  bench.run([&] {
    bench.boot();
    bench.submit({kSync, kReserved, kSyncWithInterrupt});
    bench.settle();
    bench.set_reg(0x98, 1);
    bench.set_reg(0x64, 1);
    bench.pause(2000);
    EXPECT_EQ(bench.reg(0x9c) & 0xfffff, 1U);
    EXPECT_EQ(bench.reg(0x60), 1U) << "no new error";
    replace(bench, 1, kSyncWithInterrupt);
    bench.set_reg(0x98, 2);
    ASSERT_TRUE(bench.board.wait_until([&] { return (bench.reg(0x9c) & 0xfffff) == 2; }));
    EXPECT_EQ(interrupts, 1U);
  });
}

TEST_F(SmmuCommandErrorsTest, CmdqenDoesNotAcknowledgeAnError) {
  SmmuBench bench({});
  bench.run([&] {
    bench.boot();
    bench.submit({kReserved});
    bench.settle();
    bench.set_cr0(0x5);
    replace(bench, 0, kSync);
    bench.set_cr0(0xd);
    bench.pause(2000);
    EXPECT_EQ(bench.reg(0x9c) & 0xfffff, 0U);
    bench.set_reg(0x64, 1);
    bench.settle();
    EXPECT_EQ(bench.reg(0x9c) & 0xfffff, 1U);
  });
}

}  // namespace
}  // namespace shootdown::tests
