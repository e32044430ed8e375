// hw::RegisterFile: identification, widths, and writes that the architecture ignores.
// Source: IHI 0070 chapter 6. Offsets and bits are literal on purpose.
#include "hw/smmu/register_file.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace shootdown::hw {
namespace {

constexpr std::uint32_t kCr0 = 0x20, kCr0Ack = 0x24, kGbpa = 0x44, kIrqCtrl = 0x50;
constexpr std::uint32_t kGerror = 0x60, kGerrorN = 0x64, kStrtabBase = 0x80, kStrtabCfg = 0x88;
constexpr std::uint32_t kCmdqBase = 0x90, kCmdqProd = 0x98, kCmdqCons = 0x9c;
constexpr std::uint32_t kEventqProd = 0x100a8, kEventqCons = 0x100ac;

std::uint64_t field(std::uint64_t word, unsigned high, unsigned low) {
  return word >> low & ((std::uint64_t{2} << (high - low)) - 1);
}

class RegisterFileTest : public testing::Test {
 protected:
  RegisterFile make(const SmmuFeatures& features = {}) {
    return RegisterFile(features, [this](std::string_view rule, std::uint32_t offset) {
      EXPECT_FALSE(rule.empty());
      illegal.push_back(offset);
    });
  }
  std::vector<std::uint32_t> illegal;
};

TEST_F(RegisterFileTest, IdentifiesWhatIsPresent) {
  SmmuFeatures features;
  features.broadcast = true;
  const auto registers = make(features);
  const std::uint64_t idr0 = registers.read(0x0, 4);
  EXPECT_EQ(field(idr0, 0, 0), 0U) << "stage 2";
  EXPECT_EQ(field(idr0, 1, 1), 1U) << "stage 1";
  EXPECT_EQ(field(idr0, 3, 2), 2U) << "AArch64 tables";
  EXPECT_EQ(field(idr0, 4, 4), 1U) << "coherent";
  EXPECT_EQ(field(idr0, 5, 5), 1U) << "broadcast";
  EXPECT_EQ(field(idr0, 7, 6), 0U) << "hardware update of access flag and dirty state";
  EXPECT_EQ(field(idr0, 10, 10), 1U) << "ATS";
  EXPECT_EQ(field(idr0, 12, 12), 1U) << "16-bit ASIDs";
  EXPECT_EQ(field(idr0, 19, 19), 1U) << "two-level CD tables";
  EXPECT_EQ(field(idr0, 22, 21), 2U) << "little endian";
  EXPECT_EQ(field(idr0, 25, 24), 0U) << "stall and terminate";
  EXPECT_EQ(field(idr0, 28, 27), 1U) << "two-level stream tables";
  const std::uint64_t idr1 = registers.read(0x4, 4);
  EXPECT_EQ(field(idr1, 5, 0), 16U);
  EXPECT_EQ(field(idr1, 10, 6), 8U);
  EXPECT_EQ(field(idr1, 20, 16), 7U);
  EXPECT_EQ(field(idr1, 25, 21), 8U);
  EXPECT_EQ(field(idr1, 31, 29), 0U) << "presets";
  EXPECT_EQ(field(registers.read(0xc, 4), 10, 10), 1U) << "range invalidation";
  const std::uint64_t idr5 = registers.read(0x14, 4);
  EXPECT_EQ(field(idr5, 2, 0), 5U) << "48 bits";
  EXPECT_EQ(field(idr5, 6, 4), 1U) << "only 4 KiB";
  EXPECT_EQ(field(idr5, 31, 16), 64U);
}

TEST_F(RegisterFileTest, IdentifiesWhatIsAbsent) {
  SmmuFeatures features;
  features.stall_model = StallModel::kTerminateOnly;
  features.ats = features.range_invalidation = false;
  features.sid_bits = 8;
  features.ssid_bits = 0;
  features.command_queue_log2 = 19;
  features.event_queue_log2 = 0;
  const auto registers = make(features);
  const std::uint64_t idr0 = registers.read(0x0, 4);
  EXPECT_EQ(field(idr0, 5, 5), 0U);
  EXPECT_EQ(field(idr0, 10, 10), 0U);
  EXPECT_EQ(field(idr0, 25, 24), 1U) << "terminate only";
  const std::uint64_t idr1 = registers.read(0x4, 4);
  EXPECT_EQ(field(idr1, 5, 0), 8U);
  EXPECT_EQ(field(idr1, 10, 6), 0U);
  EXPECT_EQ(field(idr1, 20, 16), 0U);
  EXPECT_EQ(field(idr1, 25, 21), 19U);
  EXPECT_EQ(field(registers.read(0xc, 4), 10, 10), 0U);
}

TEST_F(RegisterFileTest, AnnouncesTheOutputSizeThatItChecks) {
  for (const auto& [bits, oas] : std::vector<std::pair<unsigned, unsigned>>{
           {32, 0}, {36, 1}, {40, 2}, {42, 3}, {44, 4}, {48, 5}}) {
    SmmuFeatures features;
    features.output_bits = bits;
    EXPECT_EQ(field(make(features).read(0x14, 4), 2, 0), oas) << bits;
  }
}

TEST_F(RegisterFileTest, ClaimsVersion32OnlyWithRangeInvalidation) {
  // IDR3.RIL and BBML are mandatory from SMMUv3.2 on; AIDR[3:0] is the minor version.
  SmmuFeatures features;
  features.range_invalidation = false;
  EXPECT_LT(field(make(features).read(0x1c, 4), 3, 0), 2U);
}

TEST_F(RegisterFileTest, ControlAndErrorsAreZeroAtReset) {
  auto registers = make();
  for (const std::uint32_t offset : {kCr0, kCr0Ack, kIrqCtrl, 0x54U, kGerror, kGerrorN}) {
    EXPECT_EQ(registers.read(offset, 4), 0U) << std::hex << offset;
  }
  EXPECT_EQ(field(registers.read(kGbpa, 4), 31, 31), 0U);
}

TEST_F(RegisterFileTest, ReadOnlyRegistersKeepTheirValue) {
  auto registers = make();
  for (const std::uint32_t offset : {0x0U, 0x4U, 0x8U, 0xcU, 0x14U, kCr0Ack, 0x54U, kGerror}) {
    const std::uint64_t before = registers.read(offset, 4);
    registers.write(offset, ~before & 0xffff'ffff, 4);
    EXPECT_EQ(registers.read(offset, 4), before) << std::hex << offset;
  }
}

TEST_F(RegisterFileTest, ReportsWritesToReadOnlyRegisters) {
  auto registers = make();
  const std::vector<std::uint32_t> offsets{0x0, 0x4, 0xc, 0x14, kCr0Ack, 0x54, kGerror};
  for (const std::uint32_t offset : offsets) registers.write(offset, 0, 4);
  EXPECT_EQ(illegal, offsets);
}

TEST_F(RegisterFileTest, ReservedBitsOfCr0DoNotStick) {
  auto registers = make();
  registers.write(kCr0, 0xffff'ffff, 4);
  EXPECT_EQ(registers.read(kCr0, 4) & ~std::uint64_t{0x1d}, 0U);
  registers.write(kCr0, 0xd, 4);
  EXPECT_EQ(registers.read(kCr0, 4), 0xdU);
}

TEST_F(RegisterFileTest, WideRegistersTakeOneAccessOrTwoHalves) {
  auto registers = make();
  const std::uint64_t base = 0x0000'8123'4567'8000;
  registers.write(kStrtabBase, base, 8);
  EXPECT_EQ(registers.read(kStrtabBase, 8), base);
  EXPECT_EQ(registers.read(kStrtabBase, 4), 0x4567'8000U);
  EXPECT_EQ(registers.read(kStrtabBase + 4, 4), 0x8123U);
  EXPECT_EQ(registers.get64(kStrtabBase), base);

  registers.write(kCmdqBase, 0x8000'0008, 4);
  registers.write(kCmdqBase + 4, 0x12, 4);
  EXPECT_EQ(registers.read(kCmdqBase, 8) & 0x000f'ffff'ffff'ffff, 0x12'8000'0008U);
  EXPECT_EQ(registers.read(kStrtabCfg, 4), 0U) << "the neighbour is untouched";
}

TEST_F(RegisterFileTest, EventQueueIndicesAreOnPage1) {
  auto registers = make();
  registers.write(kEventqProd, 3, 4);
  registers.write(kEventqCons, 2, 4);
  EXPECT_EQ(registers.read(kEventqProd, 4), 3U);
  EXPECT_EQ(registers.read(kEventqCons, 4), 2U);
  registers.write(kEventqCons, 0x8000'0003, 4);
  EXPECT_EQ(registers.read(kEventqCons, 4), 0x8000'0003U) << "the overflow acknowledge bit";
}

TEST_F(RegisterFileTest, CommandQueueConsumerIsSoftwaresOnlyWhileTheQueueIsOff) {
  auto registers = make();
  registers.write(kCmdqCons, 5, 4);
  registers.write(kCmdqProd, 5, 4);
  EXPECT_EQ(registers.read(kCmdqCons, 4), 5U);
  EXPECT_TRUE(illegal.empty());

  registers.write(kCr0, 0x8, 4);
  registers.set(kCr0Ack, 0x8);
  registers.write(kCmdqCons, 7, 4);

  EXPECT_EQ(registers.read(kCmdqCons, 4), 5U);
  EXPECT_EQ(illegal, std::vector<std::uint32_t>{kCmdqCons});
}

TEST_F(RegisterFileTest, GbpaIgnoresAWriteWithoutUpdate) {
  auto registers = make();
  const std::uint64_t before = registers.read(kGbpa, 4);
  registers.write(kGbpa, before ^ 0x10'0000, 4);
  EXPECT_EQ(registers.read(kGbpa, 4), before);
}

TEST_F(RegisterFileTest, WhatIsNotThereReadsAsZero) {
  auto registers = make();
  for (const std::uint32_t offset : {0x100U, 0xffcU, 0xfffcU, 0x10100U, 0x1fffcU}) {
    registers.write(offset, 0xffff'ffff, 4);
    EXPECT_EQ(registers.read(offset, 4), 0U) << std::hex << offset;
  }
}

TEST_F(RegisterFileTest, EnabledMeansAcknowledged) {
  auto registers = make();
  registers.write(kCr0, 0x1, 4);
  EXPECT_FALSE(registers.enabled(0x1));
  registers.set(kCr0Ack, 0x1);
  EXPECT_TRUE(registers.enabled(0x1));
  EXPECT_FALSE(registers.enabled(0x8));
}

TEST_F(RegisterFileTest, ResetIsTheInitialState) {
  auto registers = make();
  const auto fresh = make();
  registers.write(kCr0, 0xd, 4);
  registers.write(kStrtabBase, 0x4000'0000, 8);
  registers.write(kEventqCons, 1, 4);
  registers.set(kGerror, 1);
  registers.reset();
  for (std::uint32_t offset = 0; offset < 0x20000; offset += 4) {
    ASSERT_EQ(registers.read(offset, 4), fresh.read(offset, 4)) << std::hex << offset;
  }
}

TEST_F(RegisterFileTest, IdentificationAndFeaturesSayTheSame) {
  // The recorded board of tests/vectors/smmuv3, and a part with everything.
  for (const IdRegisters& ids :
       {IdRegisters{0x0d44101b, 0x02730010, 0x1414, 0x74, 0, 1},
        IdRegisters{0x084d74bb, 0x01073a10, 0x1404, 0x00400075, 0x12345678, 2}}) {
    const auto registers = make(features_of(ids));
    EXPECT_EQ(registers.read(0x0, 4), ids.idr0);
    EXPECT_EQ(registers.read(0x4, 4), ids.idr1);
    EXPECT_EQ(registers.read(0xc, 4), ids.idr3);
    EXPECT_EQ(registers.read(0x14, 4), ids.idr5);
    EXPECT_EQ(registers.read(0x18, 4), ids.iidr);
    EXPECT_EQ(registers.read(0x1c, 4), ids.aidr);
  }
}

TEST_F(RegisterFileTest, IndexRegistersAnswerInPage0Too) {
  auto registers = make();
  registers.write(0xa8, 5, 4);
  EXPECT_EQ(registers.read(kEventqProd, 4), 5U);
  EXPECT_EQ(registers.read(0x10020, 4), 0U) << "page 1 holds nothing else";
}

TEST_F(RegisterFileTest, PriAndMsiRegistersComeWithTheFeature) {
  auto without = make();
  SmmuFeatures features;
  features.pri = features.msi = true;
  auto with = make(features);
  for (const std::uint32_t offset : {0x68U, 0xb0U, 0xc0U, 0xd0U}) {
    without.write(offset, 0x8000'0000, 8);
    with.write(offset, 0x8000'0000, 8);
    EXPECT_EQ(without.read(offset, 8) & 0x8000'0000, 0U) << std::hex << offset;
    EXPECT_EQ(with.read(offset, 8) & 0x8000'0000, 0x8000'0000U) << std::hex << offset;
  }
  with.write(0x100c8, 3, 4);
  EXPECT_EQ(with.read(0x100c8, 4), 3U);
}

TEST_F(RegisterFileTest, MsiConfigurationIsWrittenWithTheInterruptOff) {
  SmmuFeatures features;
  features.msi = true;
  auto registers = make(features);
  registers.write(kIrqCtrl, 0x4, 4);
  registers.write(0xb0, 0x8000'0000, 8);
  EXPECT_EQ(registers.read(0xb0, 8), 0U);
  EXPECT_FALSE(illegal.empty());
}

TEST_F(RegisterFileTest, OnlyActiveErrorsAreAcknowledged) {
  auto registers = make();
  registers.set(kGerror, 0x1);
  registers.write(kGerrorN, 0x5, 4);
  EXPECT_EQ(registers.read(kGerrorN, 4), 0x1U);
  EXPECT_EQ(registers.active_errors(), 0U);
  EXPECT_EQ(illegal, std::vector<std::uint32_t>{kGerrorN});
}

}  // namespace
}  // namespace shootdown::hw
