// hw::walk_configuration(): which stream table entries and context descriptors are legal, what they
// decode to, and which error wins. Source: IHI 0070 sections 5.2, 5.4 and 7.3.1.
#include "hw/smmu/config_walk.h"

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

/// No caches; stage 2 adds an offset, or refuses.
template <class Bench>
class MemorySource : public StructureSource {
 public:
  explicit MemorySource(Bench& bench) : bench_(bench) {}
  const arch::smmuv3::Ste* cached_ste(arch::StreamId) override { return nullptr; }
  const arch::smmuv3::Cd* cached_cd(arch::StreamId, arch::SubstreamId) override { return nullptr; }
  const std::uint64_t* cached_l1std(arch::StreamId) override { return nullptr; }
  const std::uint64_t* cached_l1cd(arch::StreamId, arch::SubstreamId) override { return nullptr; }
  void fetched_ste(arch::StreamId, const arch::smmuv3::Ste&) override {}
  void fetched_cd(arch::StreamId, arch::SubstreamId, const arch::smmuv3::Cd&) override {}
  void fetched_l1std(arch::StreamId, std::uint64_t) override {}
  void fetched_l1cd(arch::StreamId, arch::SubstreamId, std::uint64_t) override {}
  bool read(arch::PhysAddr address, std::uint64_t* words, unsigned count) override {
    bench_.reads.push_back(address.value);
    if (address.value == bench_.hole) return false;
    for (unsigned i = 0; i < count; ++i) words[i] = bench_.memory[address.value + 8 * i];
    return true;
  }
  Ipa translate(const Stage2Context&, arch::IpaAddr ipa) override {
    if (ipa.value == bench_.unmapped_ipa) {
      TranslationProblem problem;
      problem.type = arch::FaultKind::kTranslation;
      problem.stage2 = true;
      return problem;
    }
    return arch::PhysAddr{ipa.value + bench_.stage2_offset};
  }

 private:
  Bench& bench_;
};

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
    MemorySource<Bench> source(*this);
    return walk_configuration({.features = features}, table, {sid}, substream, source);
  }
  /// kNone: the configuration is legal.
  EventType event(std::optional<std::uint32_t> ssid = {}, std::uint32_t sid = kSid) {
    const ConfigResult result = fetch(ssid, sid);
    const auto* fault = std::get_if<ConfigFault>(&result);
    return fault == nullptr ? EventType::kNone : fault->type;
  }

  SmmuFeatures features;
  StreamTable table{.base = {kStreamTable}, .log2_size = 6};
  std::map<std::uint64_t, std::uint64_t> memory;
  std::vector<std::uint64_t> reads;
  std::uint64_t hole{};  ///< reading there is a bus error
  std::uint64_t unmapped_ipa{~std::uint64_t{0}};
  std::uint64_t stage2_offset{};
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
    {"TwoLevelCds4k", [](Bench& b) { b.features.two_level_cd = false; b.use_substreams(3, 2); b.set_ste(0, 5, 4, 1); }, kBadSte},
    {"TwoLevelCds64k", [](Bench& b) { b.features.two_level_cd = false; b.use_substreams(3, 2); b.set_ste(0, 5, 4, 2); }, kBadSte},
    {"MostCds", [](Bench& b) { b.use_substreams(8, 2); }, kLegal},
    {"TooManyCds", [](Bench& b) { b.set_ste(0, 63, 59, 9); }, kBadSte},
    {"CdsWithoutSubstreamIds", [](Bench& b) { b.features.ssid_bits = 0; b.set_ste(0, 63, 59, 1); }, kLegal},
    {"StallForbidden", [](Bench& b) { b.set_ste(1, 27, 27, 1); }, kLegal},
    {"StallForbiddenWhereItNeverStalls", [](Bench& b) { b.features.stall_model = StallModel::kTerminateOnly; b.set_ste(1, 27, 27, 1); }, kBadSte},
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
    {"StallWhereItNeverStalls", [](Bench& b) { b.features.stall_model = StallModel::kTerminateOnly; b.set_cd(44, 44, 1); }, kBadCd},
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

TEST(ConfigWalkTest, DecodesTheGoldenStream) {
  Bench bench;
  bench.set_cd(30, 30, 0);
  bench.set_cd(21, 16, 25);
  bench.set_cd(23, 22, 2);
  bench.cd(2) = 0x4030'0000;

  const ConfigResult result = bench.fetch();

  ASSERT_TRUE(std::holds_alternative<StreamConfig>(result));
  const auto& config = std::get<StreamConfig>(result);
  EXPECT_EQ(config.kind, Kind::kTranslate);
  const Stage1Context expected{.space = {.asid = {0x12}, .private_asids = true},
                               .half = {Stage1Half{.ttb = {0x4020'0000}, .tsz = 16},
                                        Stage1Half{.ttb = {0x4030'0000}, .tsz = 25}},
                               .output_bits = 48};
  EXPECT_TRUE(config.context.has_stage1);
  EXPECT_FALSE(config.context.has_stage2);
  EXPECT_EQ(config.context.stage1, expected);
  EXPECT_EQ(config.stage1_faults, (FaultPolicy{.stall = false, .record = true, .abort = true}));
  EXPECT_EQ(config.ats, StreamConfig::Ats::kNone);
  EXPECT_EQ(bench.reads, (std::vector<std::uint64_t>{kStreamTable + 64 * kSid, kCdTable}));
}

TEST(ConfigWalkTest, DecodesTheFaultModelAndAts) {
  Bench bench;
  bench.set_cd(46, 44, 1);  // S, not R, not A
  bench.set_cd(35, 35, 1);  // AFFD
  bench.set_ste(1, 29, 28, 1);
  const auto config = std::get<StreamConfig>(bench.fetch());
  EXPECT_EQ(config.stage1_faults, (FaultPolicy{.stall = true, .record = false, .abort = false}));
  EXPECT_EQ(config.ats, StreamConfig::Ats::kFull);
  EXPECT_FALSE(config.context.stage1.access_flag_faults);
}

TEST(ConfigWalkTest, OutputSizeIsTheSmallerOfIpsAndTheImplementation) {
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
    EXPECT_EQ(std::get<StreamConfig>(bench.fetch()).context.stage1.output_bits, expected) << ips;
  }
}

TEST(ConfigWalkTest, AbortIsSilentAndBypassNeedsNoDescriptor) {
  for (unsigned config = 0; config <= 4; ++config) {
    Bench bench;
    bench.set_ste(0, 3, 1, config);
    bench.hole = kCdTable;
    const ConfigResult result = bench.fetch();
    ASSERT_TRUE(std::holds_alternative<StreamConfig>(result)) << config;
    EXPECT_EQ(std::get<StreamConfig>(result).kind, config == 4 ? Kind::kBypass : Kind::kAbort);
  }
}

TEST(ConfigWalkTest, StreamBeyondTheTableIsRefusedWithoutAFetch) {
  Bench bench;
  EXPECT_EQ(bench.event({}, 64), EventType::kCBadStreamid);
  EXPECT_EQ(bench.event({}, 0xffff'ffff), EventType::kCBadStreamid);
  EXPECT_TRUE(bench.reads.empty());
  EXPECT_NE(bench.event({}, 63), EventType::kCBadStreamid);
}

TEST(ConfigWalkTest, FetchErrorsNameTheirAddress) {
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

TEST(ConfigWalkTest, SubstreamSelectsTheDescriptor) {
  Bench bench;
  bench.use_substreams(3, 2);
  for (std::uint32_t ssid = 1; ssid < 8; ++ssid) {
    EXPECT_EQ(std::get<StreamConfig>(bench.fetch(ssid)).context.stage1.space.asid.value, ssid);
  }
  EXPECT_EQ(bench.event(8), EventType::kCBadSubstreamid);
  EXPECT_EQ(bench.event(0xf'ffff), EventType::kCBadSubstreamid);
}

TEST(ConfigWalkTest, SubstreamNeedsAStreamThatHasThem) {
  Bench bench;
  EXPECT_EQ(bench.event(0), EventType::kCBadSubstreamid) << "S1CDMax = 0";
  EXPECT_EQ(bench.event(1), EventType::kCBadSubstreamid);
  bench.set_ste(0, 3, 1, 4);
  EXPECT_EQ(bench.event(1), EventType::kCBadSubstreamid) << "bypass";
}

TEST(ConfigWalkTest, DefaultSubstreamRuleDecidesTrafficWithoutOne) {
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
  EXPECT_EQ(std::get<StreamConfig>(first.fetch()).context.stage1.space.asid.value, 0x12U);
  EXPECT_EQ(first.event(0), EventType::kFStreamDisabled) << "descriptor 0 is taken";
}

TEST(ConfigWalkTest, EarlierErrorsWin) {
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

/// Everything that a stream may use, present.
SmmuFeatures everything() {
  SmmuFeatures features;
  features.stage2 = features.vmid16 = features.hyp = true;
  features.hardware_update = HardwareUpdate::kAccessFlagAndDirty;
  features.two_level_cd = features.two_level_stream_table = true;
  features.granule16k = features.granule64k = true;
  features.permission_overrides = features.hierarchy_disable = true;
  features.ssid_bits = 20;
  return features;
}

TEST(ConfigWalkTest, TwoLevelStreamTableEndsAtItsSpan) {
  Bench bench;
  bench.features = everything();
  bench.table = {.base = {0x4100'0000}, .log2_size = 16, .two_level = true, .split = 6};
  bench.memory[0x4100'0008] = 0x4200'0000 | 4;  // StreamIDs 64 on: 8 STEs
  for (unsigned word = 0; word < 8; ++word) {
    bench.memory[0x4200'0000 + 64 * 7 + 8 * word] = bench.ste(word);
  }
  EXPECT_EQ(bench.event({}, 64 + 7), kLegal);
  EXPECT_EQ(bench.event({}, 64 + 8), EventType::kCBadStreamid);
  EXPECT_EQ(bench.event({}, 5), EventType::kCBadStreamid) << "Span 0";
  EXPECT_EQ(bench.event({}, 64 + 6), kBadSte) << "V = 0";
  bench.memory[0x4100'0008] = 0x4200'0000 | 12;
  EXPECT_EQ(bench.event({}, 64 + 7), EventType::kCBadStreamid) << "a reserved Span counts as 0";
  bench.hole = 0x4100'0008;
  EXPECT_EQ(bench.event({}, 64 + 7), EventType::kFSteFetch);
}

TEST(ConfigWalkTest, TwoLevelCdTablesOfBothLeafSizes) {
  for (const unsigned format : {1U, 2U}) {
    SCOPED_TRACE(format);
    const unsigned leaf_bits = format == 1 ? 6 : 10;
    Bench bench;
    bench.features = everything();
    bench.set_ste(0, 63, 59, 12);
    bench.set_ste(0, 5, 4, format);
    bench.set_ste(1, 1, 0, 2);
    const std::uint64_t golden0 = bench.cd(0);
    const std::uint64_t golden1 = bench.cd(1);
    const std::uint32_t ssid = (2U << leaf_bits) + 3;
    bench.memory[kCdTable] = 0;
    bench.memory[kCdTable + 2 * 8] = 0x4300'0000 | 1;
    bench.memory[0x4300'0000 + 3 * 64] = golden0;
    bench.memory[0x4300'0000 + 3 * 64 + 8] = golden1;
    EXPECT_EQ(bench.event(ssid), kLegal);
    EXPECT_EQ(bench.event(ssid + 1), kBadCd);
    EXPECT_EQ(bench.event(1U << leaf_bits), EventType::kCBadSubstreamid) << "L1CD.V = 0";
    EXPECT_EQ(bench.event(1U << 12), EventType::kCBadSubstreamid);
    bench.hole = kCdTable + 2 * 8;
    EXPECT_EQ(bench.event(ssid), EventType::kFCdFetch);
  }
}

/// Stage 2 as software writes it: 4 KiB granule, 40-bit IPAs from level 1, 48-bit output.
void use_stage2(Bench& bench, unsigned config) {
  bench.features = everything();
  bench.set_ste(0, 3, 1, config);
  bench.ste(2) = 0x33 | 24ull << 32 | 1ull << 38 | 5ull << 48 | 1ull << 51 | 1ull << 58;
  bench.ste(3) = 0x4400'0000;
}

TEST(ConfigWalkTest, DecodesStage2) {
  Bench bench;
  use_stage2(bench, 6);
  const auto config = std::get<StreamConfig>(bench.fetch());
  EXPECT_FALSE(config.context.has_stage1);
  EXPECT_TRUE(config.context.has_stage2);
  const Stage2Context expected{
      .vmid = {0x33}, .ttb = {0x4400'0000}, .tsz = 24, .start_level = 1, .output_bits = 48};
  EXPECT_EQ(config.context.stage2, expected);
  EXPECT_EQ(config.stage2_faults, (FaultPolicy{.stall = false, .record = true, .abort = true}));
  EXPECT_EQ(config.context.space,
            (arch::TranslationSpace{.vmid = {0x33}, .regime = arch::Regime::kStage2}));
}

struct Stage2Row {
  const char* name;
  unsigned high, low;
  std::uint64_t value;
  EventType event;
};
std::ostream& operator<<(std::ostream& out, const Stage2Row& row) { return out << row.name; }
class Stage2LegalityTest : public testing::TestWithParam<Stage2Row> {};
constexpr std::array kStage2Rows{
    Stage2Row{"Golden", 15, 0, 0x33, kLegal},
    Stage2Row{"InputLargerThanTheOutput", 37, 32, 15, kBadSte},
    Stage2Row{"InputTooSmall", 37, 32, 40, kBadSte},
    Stage2Row{"SixteenTablesSideBySide", 37, 32, 21, kLegal},
    Stage2Row{"ThirtyTwoTablesSideBySide", 37, 32, 20, kBadSte},
    Stage2Row{"LevelTooHighForTheInput", 39, 38, 2, kLegal},
    Stage2Row{"LevelTooLowForTheInput", 39, 38, 0, kBadSte},
    Stage2Row{"ReservedLevel", 39, 38, 3, kBadSte},
    Stage2Row{"ReservedGranule", 47, 46, 3, kBadSte},
    Stage2Row{"Aarch32", 51, 51, 0, kBadSte},
    Stage2Row{"BigEndian", 52, 52, 1, kBadSte},
    Stage2Row{"HardwareUpdate", 56, 55, 3, kLegal},
    Stage2Row{"Stall", 57, 57, 1, kLegal},
};
INSTANTIATE_TEST_SUITE_P(Fields, Stage2LegalityTest, testing::ValuesIn(kStage2Rows),
                         [](const auto& test) { return std::string(test.param.name); });
TEST_P(Stage2LegalityTest, DecidesTheEvent) {
  Bench bench;
  use_stage2(bench, 6);
  bench.set_ste(2, GetParam().high, GetParam().low, GetParam().value);
  EXPECT_EQ(bench.event(), GetParam().event);
}

TEST(ConfigWalkTest, WithStage2TheCdHasAnIntermediateAddress) {
  Bench bench;
  use_stage2(bench, 7);
  bench.stage2_offset = 0x100'0000;
  bench.memory[kCdTable + 0x100'0000] = bench.cd(0);
  bench.memory[kCdTable + 0x100'0008] = bench.cd(1);
  const auto config = std::get<StreamConfig>(bench.fetch());
  EXPECT_TRUE(config.context.has_stage1 && config.context.has_stage2);
  EXPECT_EQ(config.context.space.vmid.value, 0x33);

  bench.unmapped_ipa = kCdTable;
  const auto fault = std::get<ConfigFault>(bench.fetch());
  EXPECT_EQ(fault.type, EventType::kFTranslation);
  EXPECT_TRUE(fault.stage2);
  EXPECT_EQ(fault.ipa.value, kCdTable);
}

TEST(ConfigWalkTest, StreamWorldDecidesTheTagsOfTheTlb) {
  Bench bench;
  bench.features = everything();
  bench.set_ste(1, 31, 30, 2);
  const auto el2 = std::get<StreamConfig>(bench.fetch()).context.space;
  EXPECT_EQ(el2.regime, arch::Regime::kEl2);
  EXPECT_EQ(el2.asid.value, 0) << "EL2 has no ASIDs";
  bench.set_ste(1, 31, 30, 1);
  EXPECT_EQ(bench.event(), kBadSte) << "reserved";
}

}  // namespace
}  // namespace shootdown::hw
