// hw/arch: golden encodings, what invalidation operands cover, range faults, queue indices.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "hw/arch/smmuv3_commands.h"
#include "hw/arch/smmuv3_events.h"
#include "hw/arch/smmuv3_registers.h"
#include "hw/arch/smmuv3_tables.h"
#include "hw/arch/tlbi.h"

namespace shootdown::arch {
namespace {

using smmuv3::Command;
using smmuv3::RangeFault;
using Scope = Invalidation::Scope;

constexpr std::uint64_t kTop = ~std::uint64_t{0};

struct CommandCase {
  const char* name;
  Command command;
  Scope scope;
  std::uint16_t asid;
  std::uint64_t start, last;
  bool leaf_only;
};
std::ostream& operator<<(std::ostream& out, const CommandCase& row) { return out << row.name; }

class CommandDecodeTest : public testing::TestWithParam<CommandCase> {};

constexpr std::array kCommands{
    CommandCase{"OnePageLeaf",
                {0x0012000000000012, 0x00007f0012345001},
                Scope::kVa,
                0x12,
                0x7f0012345000,
                0x7f0012345fff,
                true},
    CommandCase{"TwentyPages",
                {0x0012000000204012, 0x00007f0012344701},
                Scope::kVa,
                0x12,
                0x7f0012344000,
                0x7f0012357fff,
                true},
    CommandCase{"NotLeaf",
                {0x0012000000000012, 0x00007f0012345000},
                Scope::kVa,
                0x12,
                0x7f0012345000,
                0x7f0012345fff,
                false},
    CommandCase{"WholeAsid", {0x0012000300000011, 0}, Scope::kAsid, 0x12, 0, 0, false},
    CommandCase{"AnyAsid",
                {0x0000000300000013, 0x12345000},
                Scope::kVaAnyAsid,
                0,
                0x12345000,
                0x12345fff,
                false},
    CommandCase{"Everything", {0x30, 0}, Scope::kAll, 0, 0, 0, false},
    CommandCase{"EverythingOfAVmid", {0x10, 0}, Scope::kAll, 0, 0, 0, false},
    // SCALE is linear: NUM 31, SCALE 31 is 32 * 2^31 pages.
    CommandCase{
        "LongestRange", {0x0001000001f1f012, 0x400}, Scope::kVa, 1, 0, 0xffff'ffff'ffff, false},
    CommandCase{"TwoPagesAtTheTop",
                {0x0001000000001012, 0xffff'ffff'ffff'f400},
                Scope::kVa,
                1,
                0xffff'ffff'ffff'f000,
                kTop,
                false},
    CommandCase{"SixteenKilobyteGranule",
                {0x0001000000001012, 0x0000'0000'0001'0800},
                Scope::kVa,
                1,
                0x10000,
                0x17fff,
                false},
    CommandCase{"SixtyFourKilobyteGranule",
                {0x0001000000001012, 0x0000'0000'0001'0c00},
                Scope::kVa,
                1,
                0x10000,
                0x2ffff,
                false},
};
INSTANTIATE_TEST_SUITE_P(Commands, CommandDecodeTest, testing::ValuesIn(kCommands),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(CommandDecodeTest, CoversWhatTheCommandNames) {
  const CommandCase& row = GetParam();
  const Invalidation what = smmuv3::decode_invalidation(row.command, {});
  EXPECT_EQ(what.scope, row.scope);
  EXPECT_EQ(what.leaf_only, row.leaf_only);
  if (row.scope == Scope::kAsid || row.scope == Scope::kVa) {
    EXPECT_EQ(what.asid.value, row.asid);
  }
  if (row.scope == Scope::kVa || row.scope == Scope::kVaAnyAsid) {
    EXPECT_EQ(what.start, row.start);
    EXPECT_EQ(what.last, row.last);
  }
}

TEST(CommandDecodeRangeTest, WithoutRangeInvalidationOnePageIsMeant) {
  const auto what = smmuv3::decode_invalidation({0x0012000000204012, 0x00007f0012344701},
                                                {.range_invalidation = false});
  EXPECT_EQ(what.last - what.start, 0xfffU);
}

struct RangeFaultCase {
  const char* name;
  unsigned tg, ttl, num, scale;
  std::uint64_t va;
  bool range_invalidation;
  RangeFault fault;
};
std::ostream& operator<<(std::ostream& out, const RangeFaultCase& row) { return out << row.name; }

class RangeFaultTest : public testing::TestWithParam<RangeFaultCase> {};

constexpr std::array kRangeFaults{
    RangeFaultCase{"PlainCommand", 0, 0, 0, 0, 0x1000, true, RangeFault::kNone},
    RangeFaultCase{"PlainCommandWithoutRil", 0, 0, 0, 0, 0x1000, false, RangeFault::kNone},
    RangeFaultCase{"GranuleWithoutRil", 1, 0, 1, 0, 0x1000, false, RangeFault::kNotPresent},
    RangeFaultCase{"HintWithoutRil", 0, 3, 0, 0, 0x1000, false, RangeFault::kNotPresent},
    RangeFaultCase{"NumWithoutRil", 0, 0, 1, 0, 0x1000, false, RangeFault::kNotPresent},
    RangeFaultCase{"ScaleWithoutRil", 0, 0, 0, 1, 0x1000, false, RangeFault::kNotPresent},
    RangeFaultCase{"AllZero", 1, 0, 0, 0, 0x1000, true, RangeFault::kReserved},
    RangeFaultCase{"AllZero16k", 2, 0, 0, 0, 0x4000, true, RangeFault::kReserved},
    RangeFaultCase{"AllZero64k", 3, 0, 0, 0, 0x10000, true, RangeFault::kReserved},
    RangeFaultCase{"OnlyHint", 1, 3, 0, 0, 0x1000, true, RangeFault::kNone},
    RangeFaultCase{"OnlyNum", 1, 0, 1, 0, 0x1000, true, RangeFault::kNone},
    RangeFaultCase{"OnlyScale", 1, 0, 0, 1, 0x1000, true, RangeFault::kNone},
    RangeFaultCase{"Level3AnyPage", 1, 3, 4, 2, 0x1000, true, RangeFault::kNone},
    RangeFaultCase{"Level2Aligned", 1, 2, 1, 9, 0x20'0000, true, RangeFault::kNone},
    RangeFaultCase{"Level2Misaligned", 1, 2, 1, 9, 0x20'1000, true, RangeFault::kMisaligned},
    RangeFaultCase{"Level2HighestBit", 1, 2, 1, 9, 0x10'0000, true, RangeFault::kMisaligned},
    RangeFaultCase{"Level1Aligned", 1, 1, 1, 18, 0x4000'0000, true, RangeFault::kNone},
    RangeFaultCase{"Level1Misaligned", 1, 1, 1, 18, 0x4020'0000, true, RangeFault::kMisaligned},
    RangeFaultCase{"Level1HighestBit", 1, 1, 1, 18, 0x2000'0000, true, RangeFault::kMisaligned},
};
INSTANTIATE_TEST_SUITE_P(Fields, RangeFaultTest, testing::ValuesIn(kRangeFaults),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(RangeFaultTest, NamesWhatIsWrong) {
  const RangeFaultCase& row = GetParam();
  const Command command{0x12 | std::uint64_t{row.num} << 12 | std::uint64_t{row.scale} << 20,
                        row.va | std::uint64_t{row.ttl} << 8 | std::uint64_t{row.tg} << 10};
  EXPECT_EQ(smmuv3::range_fault(command, row.range_invalidation), row.fault);
}

struct AtcCase {
  const char* name;
  std::uint64_t dw1;
  Scope scope;
  std::uint64_t start, last;
};
std::ostream& operator<<(std::ostream& out, const AtcCase& row) { return out << row.name; }

class AtcSpanTest : public testing::TestWithParam<AtcCase> {};

constexpr std::array kAtcSpans{
    AtcCase{"OnePage", 0x7000, Scope::kVaAnyAsid, 0x7000, 0x7fff},
    AtcCase{"FourPages", 0x8002, Scope::kVaAnyAsid, 0x8000, 0xbfff},
    AtcCase{"AlignedDownByHardware", 0x7004, Scope::kVaAnyAsid, 0, 0xffff},
    AtcCase{"SixteenPages", 0x7f0012340004, Scope::kVaAnyAsid, 0x7f0012340000, 0x7f001234ffff},
    AtcCase{"TwoThousandPages", 0x3ff00b, Scope::kVaAnyAsid, 0, 0x7f'ffff},
    AtcCase{"Everything", 52, Scope::kAll, 0, 0},
    AtcCase{"UpperHalf", 0xffff'ffff'ffff'f000, Scope::kVaAnyAsid, 0xffff'ffff'ffff'f000, kTop},
};
INSTANTIATE_TEST_SUITE_P(Sizes, AtcSpanTest, testing::ValuesIn(kAtcSpans),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(AtcSpanTest, IsAPowerOfTwoOfPages) {
  const AtcCase& row = GetParam();
  const Invalidation what = smmuv3::decode_atc_inv({0x0000010800007840, row.dw1});
  ASSERT_EQ(what.scope, row.scope);
  if (row.scope == Scope::kAll) return;
  EXPECT_EQ(what.start, row.start);
  EXPECT_EQ(what.last, row.last);
}

struct TlbiCase {
  const char* name;
  TlbiOp op;
  std::uint64_t operand;
  Scope scope;
  std::uint16_t asid;
  std::uint64_t start, last;
  bool leaf_only;
};
std::ostream& operator<<(std::ostream& out, const TlbiCase& row) { return out << row.name; }

class TlbiDecodeTest : public testing::TestWithParam<TlbiCase> {};

/// Range operand of the 4 KiB granule.
constexpr std::uint64_t range_operand(std::uint64_t asid, unsigned scale, unsigned num,
                                      unsigned ttl, std::uint64_t va) {
  return asid << 48 | std::uint64_t{1} << 46 | std::uint64_t{scale} << 44 |
         std::uint64_t{num} << 39 | std::uint64_t{ttl} << 37 | (va >> 12 & 0x1f'ffff'ffff);
}

constexpr std::array kTlbis{
    TlbiCase{"All", TlbiOp::kVmalle1is, 0, Scope::kAll, 0, 0, 0, false},
    TlbiCase{"Asid", TlbiOp::kAside1is, 0x0012'0000'0000'0000, Scope::kAsid, 0x12, 0, 0, false},
    TlbiCase{"Va", TlbiOp::kVae1is, 0x0012'0007'f001'2345, Scope::kVa, 0x12, 0x7f00'1234'5000,
             0x7f00'1234'5fff, false},
    TlbiCase{"VaLeaf", TlbiOp::kVale1is, 0x0012'0007'f001'2345, Scope::kVa, 0x12, 0x7f00'1234'5000,
             0x7f00'1234'5fff, true},
    TlbiCase{"LevelHintIsNoAddress", TlbiOp::kVale1is, 0x0012'7007'f001'2345, Scope::kVa, 0x12,
             0x7f00'1234'5000, 0x7f00'1234'5fff, true},
    TlbiCase{"UpperHalf", TlbiOp::kVaale1is, 0x0000'0fff'ffff'ffff, Scope::kVaAnyAsid, 0,
             0xffff'ffff'ffff'f000, kTop, true},
    TlbiCase{"AnyAsid", TlbiOp::kVaae1is, 0x0000'0ff8'0001'083a, Scope::kVaAnyAsid, 0,
             0xffff'8000'1083'a000, 0xffff'8000'1083'afff, false},
    TlbiCase{"RangeTwoPages", TlbiOp::kRvae1is, range_operand(0x12, 0, 0, 0, 0x5000), Scope::kVa,
             0x12, 0x5000, 0x6fff, false},
    TlbiCase{"Range512Pages", TlbiOp::kRvale1is, range_operand(0x12, 1, 7, 3, 0x7f00'0000'1000),
             Scope::kVa, 0x12, 0x7f00'0000'1000, 0x7f00'0020'0fff, true},
    TlbiCase{"RangeScale3", TlbiOp::kRvaae1is, range_operand(0, 3, 31, 0, 0), Scope::kVaAnyAsid, 0,
             0, 0x1'ffff'ffff, false},
    TlbiCase{"RangeAtTheTop", TlbiOp::kRvaale1is, range_operand(0, 0, 1, 0, 0xffff'ffff'ffff'f000),
             Scope::kVaAnyAsid, 0, 0xffff'ffff'ffff'f000, kTop, true},
};
INSTANTIATE_TEST_SUITE_P(Operations, TlbiDecodeTest, testing::ValuesIn(kTlbis),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(TlbiDecodeTest, CoversWhatTheOperandNames) {
  const TlbiCase& row = GetParam();
  const Invalidation what = decode_tlbi(row.op, row.operand);
  EXPECT_EQ(what.scope, row.scope);
  EXPECT_EQ(what.leaf_only, row.leaf_only);
  if (row.scope == Scope::kAsid || row.scope == Scope::kVa) {
    EXPECT_EQ(what.asid.value, row.asid);
  }
  if (row.scope == Scope::kVa || row.scope == Scope::kVaAnyAsid) {
    EXPECT_EQ(what.start, row.start);
    EXPECT_EQ(what.last, row.last);
  }
}

TEST(TlbiRangeTest, PagesGrowWithTheFifthPowerOfScale) {
  for (unsigned scale = 0; scale < 4; ++scale) {
    for (unsigned num = 0; num < 32; ++num) {
      std::uint64_t unit = 2;
      for (unsigned i = 0; i < scale; ++i) unit *= 32;
      const Invalidation what =
          decode_tlbi(TlbiOp::kRvae1is, range_operand(1, scale, num, 0, 0x4000'0000));
      EXPECT_EQ(what.last + 1 - what.start, (num + 1) * unit * 4096) << scale << " " << num;
    }
  }
}

TEST(QueueIndexTest, BehavesAsAnUnboundedCounterThatWraps) {
  for (unsigned log2size = 0; log2size <= 4; ++log2size) {
    SCOPED_TRACE(log2size);
    const std::uint32_t entries = 1U << log2size;
    std::uint32_t prod = 0;
    std::uint32_t cons = 0;
    std::uint64_t produced = 0;
    std::uint64_t consumed = 0;
    // Runs ahead by every distance, several times around.
    for (unsigned step = 0; step < 40 * entries; ++step) {
      const bool produce = produced - consumed < entries && (step * 7 + step / entries) % 3 != 0;
      if (produce) {
        prod = smmuv3::QueueIndex::next(prod, log2size);
        ++produced;
      } else if (consumed < produced) {
        cons = smmuv3::QueueIndex::next(cons, log2size);
        ++consumed;
      }
      EXPECT_EQ(smmuv3::QueueIndex::slot(prod, log2size), produced % entries);
      EXPECT_EQ(smmuv3::QueueIndex::empty(prod, cons, log2size), produced == consumed);
      EXPECT_EQ(smmuv3::QueueIndex::full(prod, cons, log2size), produced - consumed == entries);
    }
    EXPECT_GT(produced, 3 * entries);
  }
}

TEST(QueueIndexTest, IgnoresBitsAboveTheWrapBit) {
  EXPECT_TRUE(smmuv3::QueueIndex::empty(0x80000005, 0x0000000d, 2));
  EXPECT_TRUE(smmuv3::QueueIndex::full(0x100001, 0x5, 2));
}

TEST(EventTest, FieldsAreWhereTheGoldenRecordHasThem) {
  // F_PERMISSION on a read, sid 0x108 ssid 7, stalled with STAG 0x2a.
  const std::uint64_t dw0 = 0x0000010800007813;
  const std::uint64_t dw1 = 0x000002088000002a;
  EXPECT_EQ(smmuv3::event0::Type::get(dw0), 0x13U);
  EXPECT_EQ(smmuv3::event0::Ssv::get(dw0), 1U);
  EXPECT_EQ(smmuv3::event0::Ssid::get(dw0), 7U);
  EXPECT_EQ(smmuv3::event0::Sid::get(dw0), 0x108U);
  EXPECT_EQ(smmuv3::event1::Stag::get(dw1), 0x2aU);
  EXPECT_EQ(smmuv3::event1::Stall::get(dw1), 1U);
  EXPECT_EQ(smmuv3::event1::Rnw::get(dw1), 1U);
  EXPECT_EQ(smmuv3::event1::Class::get(dw1), smmuv3::kClassInput);
  EXPECT_TRUE(smmuv3::can_stall(smmuv3::EventType::kFPermission));
  EXPECT_FALSE(smmuv3::can_stall(smmuv3::EventType::kFWalkEabt));
  EXPECT_FALSE(smmuv3::can_stall(smmuv3::EventType::kCBadCd));
}

TEST(ContextDescriptorTest, FieldsAreWhereTheGoldenOneHasThem) {
  const std::uint64_t cd = 0x0012f205c0003510;  // with S
  EXPECT_EQ(smmuv3::cd0::T0sz::get(cd), 16U);
  EXPECT_EQ(smmuv3::cd0::Epd1::get(cd), 1U);
  EXPECT_EQ(smmuv3::cd0::Valid::get(cd), 1U);
  EXPECT_EQ(smmuv3::address_bits(smmuv3::cd0::Ips::get(cd)), 48U);
  EXPECT_EQ(smmuv3::cd0::Aa64::get(cd), 1U);
  EXPECT_EQ(smmuv3::cd0::S::get(cd) & smmuv3::cd0::R::get(cd) & smmuv3::cd0::A::get(cd), 1U);
  EXPECT_EQ(smmuv3::cd0::Aset::get(cd), 1U);
  EXPECT_EQ(smmuv3::cd0::AsidField::get(cd), 0x12U);
}

}  // namespace
}  // namespace shootdown::arch
