// hw::fetch_config: which stream table entries and context descriptors are legal, what they decode
// to, and which error wins. Source: IHI 0070 sections 5.2, 5.4 and 7.3.1.
#include "hw/smmu/config_decode.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <ostream>
#include <string>
#include <variant>
#include <vector>

namespace shootdown::hw {
namespace {

using arch::smmuv3::EventType;
using Kind = StreamConfig::Kind;

constexpr std::uint64_t kStreamTable = 0x4000'0000;
constexpr std::uint64_t kCdTable = 0x4010'0000;
constexpr std::uint32_t kSid = 5;

/// Replaces bits [high:low].
std::uint64_t with(std::uint64_t word, unsigned high, unsigned low, std::uint64_t value) {
  const std::uint64_t mask = ((std::uint64_t{2} << (high - low)) - 1) << low;
  return (word & ~mask) | (value << low & mask);
}

/// A stream table of 64 entries with one legal stream, and its context descriptors.
class Bench {
 public:
  Bench() {
    ste(0) = kCdTable | 0xb;        // V, Config 5
    ste(1) = 0xd4;                  // walk attributes
    cd(0) = 0x0012'e205'c000'3510;  // T0SZ 16, EPD1, V, IPS 48 bits, AA64, R, A, ASET
    cd(1) = 0x4020'0000;            // TTB0
  }
  std::uint64_t& ste(unsigned word) { return memory[kStreamTable + 64 * kSid + 8 * word]; }
  std::uint64_t& cd(unsigned word, unsigned ssid = 0) {
    return memory[kCdTable + 64 * ssid + 8 * word];
  }
  void set_ste(unsigned word, unsigned high, unsigned low, std::uint64_t value) {
    ste(word) = with(ste(word), high, low, value);
  }
  void set_cd(unsigned high, unsigned low, std::uint64_t value) {
    cd(0) = with(cd(0), high, low, value);
  }
  /// 2^log2_cds context descriptors, all legal; their ASID is the SubstreamID.
  void use_substreams(unsigned log2_cds, unsigned s1dss) {
    set_ste(0, 63, 59, log2_cds);
    set_ste(1, 1, 0, s1dss);
    for (unsigned ssid = 1; ssid < 1U << log2_cds; ++ssid) {
      cd(0, ssid) = with(cd(0), 63, 48, ssid);
      cd(1, ssid) = cd(1);
    }
  }

  ConfigResult fetch(std::optional<std::uint32_t> ssid = {}, std::uint32_t sid = kSid) {
    std::optional<arch::SubstreamId> substream;
    if (ssid) substream = arch::SubstreamId{*ssid};
    return fetch_config(features, {.base = {kStreamTable}, .log2_size = 6}, {sid}, substream,
                        [this](arch::PhysAddr address, std::uint64_t* words) {
                          reads.push_back(address.value);
                          if (address.value == hole) return false;
                          for (unsigned i = 0; i < 8; ++i) words[i] = memory[address.value + 8 * i];
                          return true;
                        });
  }
  /// kNone: the configuration is legal.
  EventType event(std::optional<std::uint32_t> ssid = {}, std::uint32_t sid = kSid) {
    const ConfigResult result = fetch(ssid, sid);
    const auto* fault = std::get_if<ConfigFault>(&result);
    return fault == nullptr ? EventType::kNone : fault->type;
  }

  SmmuFeatures features;
  std::map<std::uint64_t, std::uint64_t> memory;
  std::vector<std::uint64_t> reads;
  std::uint64_t hole{};  ///< reading there is a bus error
};

struct Row {
  const char* name;
  std::function<void(Bench&)> change;
  EventType event;
};
std::ostream& operator<<(std::ostream& out, const Row& row) { return out << row.name; }

class LegalityTest : public testing::TestWithParam<Row> {};

constexpr EventType kLegal = EventType::kNone;
constexpr EventType kBadSte = EventType::kCBadSte;
constexpr EventType kBadCd = EventType::kCBadCd;

// clang-format off
const std::vector<Row> kSteRows{
    {"Golden", [](Bench&) {}, kLegal},
    {"SteNotValid", [](Bench& b) { b.set_ste(0, 0, 0, 0); }, kBadSte},
    {"Stage2", [](Bench& b) { b.set_ste(0, 3, 1, 6); }, kBadSte},
    {"BothStages", [](Bench& b) { b.set_ste(0, 3, 1, 7); }, kBadSte},
    {"FormatIgnoredWithoutSubstreams", [](Bench& b) { b.set_ste(0, 5, 4, 2); }, kLegal},
    {"TwoLevelCds4k", [](Bench& b) { b.use_substreams(3, 2); b.set_ste(0, 5, 4, 1); }, kBadSte},
    {"TwoLevelCds64k", [](Bench& b) { b.use_substreams(3, 2); b.set_ste(0, 5, 4, 2); }, kBadSte},
    {"MostCds", [](Bench& b) { b.use_substreams(8, 2); }, kLegal},
    {"TooManyCds", [](Bench& b) { b.set_ste(0, 63, 59, 9); }, kBadSte},
    {"CdsWithoutSubstreamIds", [](Bench& b) { b.features.ssid_bits = 0; b.set_ste(0, 63, 59, 1); }, kBadSte},
    {"StallForbidden", [](Bench& b) { b.set_ste(1, 27, 27, 1); }, kLegal},
    {"StallForbiddenWhereItNeverStalls", [](Bench& b) { b.features.stall_model = false; b.set_ste(1, 27, 27, 1); }, kBadSte},
    {"FullAts", [](Bench& b) { b.set_ste(1, 29, 28, 1); }, kLegal},
};
const std::vector<Row> kCdRows{
    {"CdNotValid", [](Bench& b) { b.set_cd(31, 31, 0); }, kBadCd},
    {"Aarch32", [](Bench& b) { b.set_cd(41, 41, 0); }, kBadCd},
    {"Granule64k", [](Bench& b) { b.set_cd(7, 6, 1); }, kBadCd},
    {"Granule16k", [](Bench& b) { b.set_cd(7, 6, 2); }, kBadCd},
    {"GranuleReserved", [](Bench& b) { b.set_cd(7, 6, 3); }, kBadCd},
    {"T0sz15", [](Bench& b) { b.set_cd(5, 0, 15); }, kBadCd},
    {"T0sz39", [](Bench& b) { b.set_cd(5, 0, 39); }, kLegal},
    {"T0sz40", [](Bench& b) { b.set_cd(5, 0, 40); }, kBadCd},
    {"DisabledHalfIsNotChecked", [](Bench& b) { b.set_cd(14, 14, 1); b.set_cd(5, 0, 0); b.set_cd(7, 6, 3); }, kLegal},
    {"DisabledHalfHasNoTable", [](Bench& b) { b.set_cd(14, 14, 1); b.set_cd(34, 32, 0); b.cd(1) = 1ull << 40; }, kLegal},
    {"Upper4k", [](Bench& b) { b.set_cd(30, 30, 0); b.set_cd(21, 16, 16); b.set_cd(23, 22, 2); }, kLegal},
    {"Upper16k", [](Bench& b) { b.set_cd(30, 30, 0); b.set_cd(21, 16, 16); b.set_cd(23, 22, 1); }, kBadCd},
    {"Upper64k", [](Bench& b) { b.set_cd(30, 30, 0); b.set_cd(21, 16, 16); b.set_cd(23, 22, 3); }, kBadCd},
    {"UpperReserved", [](Bench& b) { b.set_cd(30, 30, 0); b.set_cd(21, 16, 16); b.set_cd(23, 22, 0); }, kBadCd},
    {"T1sz15", [](Bench& b) { b.set_cd(30, 30, 0); b.set_cd(21, 16, 15); b.set_cd(23, 22, 2); }, kBadCd},
    {"T1sz40", [](Bench& b) { b.set_cd(30, 30, 0); b.set_cd(21, 16, 40); b.set_cd(23, 22, 2); }, kBadCd},
    {"TableInRange", [](Bench& b) { b.set_cd(34, 32, 0); b.cd(1) = 0xffff'f000; }, kLegal},
    {"TableBeyondIps", [](Bench& b) { b.set_cd(34, 32, 0); b.cd(1) = 1ull << 32; }, kBadCd},
    {"TableBeyondOas", [](Bench& b) { b.features.output_bits = 40; b.cd(1) = 1ull << 40; }, kBadCd},
    {"UpperTableBeyondIps", [](Bench& b) { b.set_cd(30, 30, 0); b.set_cd(21, 16, 16); b.set_cd(23, 22, 2);
                                           b.set_cd(34, 32, 0); b.cd(2) = 1ull << 32; }, kBadCd},
    {"BigEndian", [](Bench& b) { b.set_cd(15, 15, 1); }, kBadCd},
    {"Stall", [](Bench& b) { b.set_cd(44, 44, 1); }, kLegal},
    {"StallThoughForbidden", [](Bench& b) { b.set_cd(44, 44, 1); b.set_ste(1, 27, 27, 1); }, kBadCd},
    {"StallWhereItNeverStalls", [](Bench& b) { b.features.stall_model = false; b.set_cd(44, 44, 1); }, kBadCd},
    {"HardwareAccessFlag", [](Bench& b) { b.set_cd(43, 43, 1); }, kBadCd},
    {"HardwareDirtyState", [](Bench& b) { b.set_cd(43, 42, 3); }, kBadCd},
    {"NoRecord", [](Bench& b) { b.set_cd(45, 45, 0); }, kLegal},
};
// clang-format on
INSTANTIATE_TEST_SUITE_P(Ste, LegalityTest, testing::ValuesIn(kSteRows),
                         [](const auto& test) { return std::string(test.param.name); });
INSTANTIATE_TEST_SUITE_P(Cd, LegalityTest, testing::ValuesIn(kCdRows),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(LegalityTest, DecidesTheEvent) {
  Bench bench;
  GetParam().change(bench);
  const EventType event = bench.event();
  EXPECT_EQ(event, GetParam().event) << name_of(event) << " for " << name_of(GetParam().event);
}

TEST(ConfigDecodeTest, DecodesTheGoldenStream) {
  Bench bench;
  bench.set_cd(30, 30, 0);
  bench.set_cd(21, 16, 25);
  bench.set_cd(23, 22, 2);
  bench.cd(2) = 0x4030'0000;

  const ConfigResult result = bench.fetch();

  ASSERT_TRUE(std::holds_alternative<StreamConfig>(result));
  const auto& config = std::get<StreamConfig>(result);
  EXPECT_EQ(config.kind, Kind::kTranslate);
  const Stage1Context expected{.asid = {0x12},
                               .ttb0 = {0x4020'0000},
                               .t0sz = 16,
                               .walks0_disabled = false,
                               .ttb1 = {0x4030'0000},
                               .t1sz = 25,
                               .walks1_disabled = false,
                               .output_bits = 48,
                               .access_flag_faults = true};
  EXPECT_EQ(config.context, expected);
  EXPECT_TRUE(config.record && config.abort);
  EXPECT_FALSE(config.stall || config.ats);
  EXPECT_EQ(bench.reads, (std::vector<std::uint64_t>{kStreamTable + 64 * kSid, kCdTable}));
}

TEST(ConfigDecodeTest, DecodesTheFaultModelAndAts) {
  Bench bench;
  bench.set_cd(46, 44, 1);  // S, not R, not A
  bench.set_cd(35, 35, 1);  // AFFD
  bench.set_ste(1, 29, 28, 1);
  const auto config = std::get<StreamConfig>(bench.fetch());
  EXPECT_TRUE(config.stall);
  EXPECT_TRUE(config.ats);
  EXPECT_FALSE(config.record || config.abort);
  EXPECT_FALSE(config.context.access_flag_faults);
}

TEST(ConfigDecodeTest, OutputSizeIsTheSmallerOfIpsAndTheImplementation) {
  for (const auto& [ips, oas, expected] : std::vector<std::array<unsigned, 3>>{{0, 48, 32},
                                                                               {1, 48, 36},
                                                                               {2, 48, 40},
                                                                               {3, 48, 42},
                                                                               {4, 48, 44},
                                                                               {5, 48, 48},
                                                                               {6, 48, 48},
                                                                               {5, 40, 40},
                                                                               {1, 40, 36}}) {
    Bench bench;
    bench.features.output_bits = oas;
    bench.set_cd(34, 32, ips);
    EXPECT_EQ(std::get<StreamConfig>(bench.fetch()).context.output_bits, expected) << ips;
  }
}

TEST(ConfigDecodeTest, AbortIsSilentAndBypassNeedsNoDescriptor) {
  for (unsigned config = 0; config <= 4; ++config) {
    Bench bench;
    bench.set_ste(0, 3, 1, config);
    bench.hole = kCdTable;
    const ConfigResult result = bench.fetch();
    ASSERT_TRUE(std::holds_alternative<StreamConfig>(result)) << config;
    EXPECT_EQ(std::get<StreamConfig>(result).kind, config == 4 ? Kind::kBypass : Kind::kAbort);
  }
}

TEST(ConfigDecodeTest, StreamBeyondTheTableIsRefusedWithoutAFetch) {
  Bench bench;
  EXPECT_EQ(bench.event({}, 64), EventType::kCBadStreamid);
  EXPECT_EQ(bench.event({}, 0xffff'ffff), EventType::kCBadStreamid);
  EXPECT_TRUE(bench.reads.empty());
  EXPECT_NE(bench.event({}, 63), EventType::kCBadStreamid);
}

TEST(ConfigDecodeTest, FetchErrorsNameTheirAddress) {
  Bench bench;
  bench.use_substreams(3, 2);
  bench.hole = kCdTable + 64 * 6;
  auto fault = std::get<ConfigFault>(bench.fetch(6));
  EXPECT_EQ(fault.type, EventType::kFCdFetch);
  EXPECT_EQ(fault.fetch_address.value, bench.hole);

  bench.hole = kStreamTable + 64 * kSid;
  fault = std::get<ConfigFault>(bench.fetch(6));
  EXPECT_EQ(fault.type, EventType::kFSteFetch);
  EXPECT_EQ(fault.fetch_address.value, bench.hole);
}

TEST(ConfigDecodeTest, SubstreamSelectsTheDescriptor) {
  Bench bench;
  bench.use_substreams(3, 2);
  for (std::uint32_t ssid = 1; ssid < 8; ++ssid) {
    EXPECT_EQ(std::get<StreamConfig>(bench.fetch(ssid)).context.asid.value, ssid);
  }
  EXPECT_EQ(bench.event(8), EventType::kCBadSubstreamid);
  EXPECT_EQ(bench.event(0xf'ffff), EventType::kCBadSubstreamid);
}

TEST(ConfigDecodeTest, SubstreamNeedsAStreamThatHasThem) {
  Bench bench;
  EXPECT_EQ(bench.event(0), EventType::kCBadSubstreamid) << "S1CDMax = 0";
  EXPECT_EQ(bench.event(1), EventType::kCBadSubstreamid);
  bench.set_ste(0, 3, 1, 4);
  EXPECT_EQ(bench.event(1), EventType::kCBadSubstreamid) << "bypass";
}

TEST(ConfigDecodeTest, DefaultSubstreamRuleDecidesTrafficWithoutOne) {
  for (const unsigned s1dss : {0U, 3U}) {
    Bench bench;
    bench.use_substreams(3, s1dss);
    EXPECT_EQ(bench.event(), EventType::kFStreamDisabled) << s1dss;
    EXPECT_EQ(bench.event(0), kLegal) << "SubstreamID 0 is an ordinary one";
  }
  Bench bypass;
  bypass.use_substreams(3, 1);
  EXPECT_EQ(std::get<StreamConfig>(bypass.fetch()).kind, Kind::kBypass);
  EXPECT_EQ(bypass.event(0), kLegal);

  Bench first;
  first.use_substreams(3, 2);
  EXPECT_EQ(std::get<StreamConfig>(first.fetch()).context.asid.value, 0x12U);
  EXPECT_EQ(first.event(0), EventType::kFStreamDisabled) << "descriptor 0 is taken";
}

TEST(ConfigDecodeTest, EarlierErrorsWin) {
  Bench bench;
  bench.use_substreams(3, 2);
  bench.set_cd(31, 31, 0);  // C_BAD_CD
  EXPECT_EQ(bench.event(), EventType::kCBadCd);
  bench.hole = kCdTable;
  EXPECT_EQ(bench.event(), EventType::kFCdFetch);
  EXPECT_EQ(bench.event(0), EventType::kFStreamDisabled);
  EXPECT_EQ(bench.event(9), EventType::kCBadSubstreamid);
  bench.set_ste(0, 3, 1, 7);
  EXPECT_EQ(bench.event(9), EventType::kCBadSte);
  bench.hole = kStreamTable + 64 * kSid;
  EXPECT_EQ(bench.event(9), EventType::kFSteFetch);
  EXPECT_EQ(bench.event(9, 64), EventType::kCBadStreamid);
}

}  // namespace
}  // namespace shootdown::hw
