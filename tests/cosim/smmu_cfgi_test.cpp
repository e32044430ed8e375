// What each CMD_CFGI has to remove: STEs, CDs and the first-level descriptors of both tables. A
// stale structure is used until then. Source: Arm IHI 0070, 3.21.3, 4.3.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "support/smmu_bench.h"

namespace shootdown::tests {
namespace {

constexpr std::uint64_t kVa = 0x12'3456'7000;
constexpr std::uint16_t kOld = 1;  // address spaces
constexpr std::uint16_t kNew = 2;
constexpr std::uint32_t kSid = 5;
using Ids = std::set<std::uint32_t>;

constexpr std::uint64_t sid(std::uint64_t value) { return value << 32; }
Words2 cfgi_ste(std::uint32_t stream, bool leaf) { return {0x03 | sid(stream), leaf ? 1U : 0U}; }
Words2 cfgi_range(std::uint32_t stream, unsigned log2) { return {0x04 | sid(stream), log2}; }
Words2 cfgi_cd(std::uint32_t stream, std::uint64_t ssid, bool leaf) {
  return {0x05 | sid(stream) | ssid << 12, leaf ? 1U : 0U};
}
Words2 cfgi_cd_all(std::uint32_t stream) { return {0x06 | sid(stream), 0}; }
constexpr Words2 kCfgiAll{0x04, 31};

class SmmuCfgiTest : public testing::Test {
 protected:
  static hw::SmmuConfig config() {
    hw::SmmuConfig result;
    result.config_cache.ste.entries = 64;
    result.config_cache.cd.entries = 64;
    result.config_cache.l1.entries = 64;
    return result;
  }
  explicit SmmuCfgiTest(const hw::SmmuConfig& choice = config()) : bench(choice) {}

  void map_spaces() {
    bench.map(kOld, kVa, kOldPage);
    bench.map(kNew, kVa, kNewPage);
  }
  /// Which of the two spaces a stream translates in.
  std::uint16_t space_of(std::uint32_t stream, std::optional<std::uint32_t> ssid = {}) {
    auto access = SmmuBench::access(stream, kVa, false);
    if (ssid) access.substream_id = arch::SubstreamId{*ssid};
    std::array<std::uint8_t, 4> data{};
    const auto done = bench.board.dma(access, data.data(), 4);
    if (!done.output) return 0;
    return done.output->value == kOldPage ? kOld : kNew;
  }
  Ids fresh(const Ids& streams) {
    Ids result;
    for (const std::uint32_t stream : streams) {
      if (space_of(stream) == kNew) result.insert(stream);
    }
    return result;
  }
  static void expect(const Ids& found, const Ids& required) {
    for (const std::uint32_t one : required) EXPECT_TRUE(found.contains(one)) << one;
    EXPECT_EQ(found, required) << "and this model removes no other";
  }
  void set_cd_at(std::uint64_t address, std::uint16_t space) {
    const Words8 cd = bench.stage1_cd(space);
    for (std::size_t i = 0; i < cd.size(); ++i) bench.write_word(address + i * 8, cd[i]);
  }
  void set_ste_at(std::uint64_t address, std::uint64_t cd) {
    for (std::size_t i = 0; i < 8; ++i) bench.write_word(address + i * 8, i == 0 ? 0xb | cd : 0);
  }

  static constexpr std::uint64_t kOldPage = SmmuBench::kRam + 0x800'0000;
  static constexpr std::uint64_t kNewPage = SmmuBench::kRam + 0x900'0000;
  SmmuBench bench;
};

// ---- Linear tables ----

class SmmuCfgiLinearTest : public SmmuCfgiTest {
 protected:
  const Ids all{0, 1, 2, 3, 4, 5, 6, 7, 8, 20};
  /// Streams of one CD each, used once. Then every STE, or every CD, is changed.
  Ids fresh_after(bool change_stes, const Words2& command) {
    Ids result;
    bench.run([&] {
      map_spaces();
      for (const std::uint32_t stream : all) bench.stage1_stream(stream, kOld);
      set_cd_at(SmmuBench::cd_address(40), kNew);
      bench.boot();
      EXPECT_EQ(fresh(all), Ids{});
      for (const std::uint32_t stream : all) {
        if (change_stes) {
          set_ste_at(SmmuBench::kStreamTable + stream * 64, SmmuBench::cd_address(40));
        } else {
          set_cd_at(SmmuBench::cd_address(stream), kNew);
        }
      }
      EXPECT_EQ(fresh(all), Ids{}) << "the stale structure is used";
      bench.command(command);
      EXPECT_FALSE(bench.stopped());
      result = fresh(all);
    });
    return result;
  }
};

TEST_F(SmmuCfgiLinearTest, StesGoByStreamByAlignedRangeAndAll) {
  expect(fresh_after(true, cfgi_ste(5, true)), {5});
  expect(fresh_after(true, cfgi_ste(5, false)), {5});
  expect(fresh_after(true, cfgi_range(5, 0)), {4, 5});
  expect(fresh_after(true, cfgi_range(6, 1)), {4, 5, 6, 7});
  expect(fresh_after(true, cfgi_range(3, 2)), {0, 1, 2, 3, 4, 5, 6, 7});
  expect(fresh_after(true, cfgi_range(20, 4)), {0, 1, 2, 3, 4, 5, 6, 7, 8, 20});
  expect(fresh_after(true, cfgi_range(0x40'0000, 30)), all);
  expect(fresh_after(true, kCfgiAll), all);
  expect(fresh_after(true, {0x04 | sid(0x1234), 31}), all);
}

TEST_F(SmmuCfgiLinearTest, StesStayWhenOnlyTheirCdsAreNamed) {
  expect(fresh_after(true, cfgi_cd(5, 0, false)), {});
  expect(fresh_after(true, cfgi_cd_all(5)), {});
}

TEST_F(SmmuCfgiLinearTest, CdsGoByEveryCommandThatNamesTheirStream) {
  expect(fresh_after(false, cfgi_cd(5, 0, true)), {5});
  expect(fresh_after(false, cfgi_cd(5, 0, false)), {5});
  expect(fresh_after(false, cfgi_cd_all(5)), {5});
  expect(fresh_after(false, cfgi_ste(5, true)), {5});
  expect(fresh_after(false, cfgi_range(5, 0)), {4, 5});
  expect(fresh_after(false, cfgi_range(0, 2)), {0, 1, 2, 3, 4, 5, 6, 7});
  expect(fresh_after(false, kCfgiAll), all);
}

TEST_F(SmmuCfgiLinearTest, ACdSharedByStreamsIsCachedForEach) {
  bench.run([&] {
    map_spaces();
    bench.stage1_stream(kSid, kOld);
    set_ste_at(SmmuBench::kStreamTable + 6 * 64, SmmuBench::cd_address(kSid));
    bench.boot();
    EXPECT_EQ(fresh({5, 6}), Ids{});
    set_cd_at(SmmuBench::cd_address(kSid), kNew);
    bench.command(cfgi_cd(6, 0, true));
    expect(fresh({5, 6}), {6});
    bench.command(cfgi_cd(5, 0, true));
    EXPECT_EQ(fresh({5, 6}), (Ids{5, 6}));
  });
}

TEST_F(SmmuCfgiLinearTest, OneCdOfATableGoesBySubstreamAndAllOfThemByStream) {
  const std::pair<Words2, Ids> cases[] = {
      {cfgi_cd(5, 3, true), {3}},          {cfgi_cd(5, 0, true), {0}},
      {cfgi_cd(5, 255, false), {255}},     {cfgi_cd_all(5), {0, 1, 3, 255}},
      {cfgi_ste(5, true), {0, 1, 3, 255}}, {cfgi_cd(6, 3, true), {}},
      {kCfgiAll, {0, 1, 3, 255}},
  };
  for (const auto& [command, required] : cases) {
    bench.run([&, &command = command, &required = required] {
      const Ids ssids{0, 1, 3, 255};
      map_spaces();
      bench.set_ste(kSid, {0xb | SmmuBench::cd_address(kSid) | std::uint64_t{8} << 59});
      for (const std::uint32_t ssid : ssids) bench.set_cd(kSid, ssid, bench.stage1_cd(kOld));
      bench.boot();
      for (const std::uint32_t ssid : ssids) EXPECT_EQ(space_of(kSid, ssid), kOld);
      for (const std::uint32_t ssid : ssids) bench.set_cd(kSid, ssid, bench.stage1_cd(kNew));
      bench.command(command);
      Ids found;
      for (const std::uint32_t ssid : ssids) {
        if (space_of(kSid, ssid) == kNew) found.insert(ssid);
      }
      expect(found, required);
    });
  }
}

TEST_F(SmmuCfgiLinearTest, TheCdOfTrafficWithoutSubstreamIsNumberZero) {
  bench.run([&] {
    map_spaces();
    bench.set_ste(kSid, {0xb | SmmuBench::cd_address(kSid) | std::uint64_t{8} << 59, 2});  // S1DSS
    bench.set_cd(kSid, 0, bench.stage1_cd(kOld));
    bench.boot();
    EXPECT_EQ(space_of(kSid), kOld);
    bench.set_cd(kSid, 0, bench.stage1_cd(kNew));
    EXPECT_EQ(space_of(kSid), kOld);
    bench.command(cfgi_cd(kSid, 0, true));
    EXPECT_EQ(space_of(kSid), kNew);
  });
}

// ---- Structures that were no good ----

TEST_F(SmmuCfgiTest, AnInvalidSteMayBeCachedButNotBeyondCfgi) {
  for (const bool cached : {true, false}) {
    hw::SmmuConfig choice = config();
    choice.config_cache.cache_illegal = cached;
    SmmuBench other(choice);
    other.run([&] {
      other.map(kOld, kVa, kOldPage);
      other.stage1_stream(kSid, kOld);
      other.write_word(SmmuBench::kStreamTable + kSid * 64, 0xa | SmmuBench::cd_address(kSid));
      other.boot();
      EXPECT_EQ(other.dma(kSid, kVa), std::nullopt);
      auto events = other.events();
      ASSERT_EQ(events.size(), 1U);
      EXPECT_EQ(events[0], (Words4{0x0000'0005'0000'0004, 0, 0, 0})) << "C_BAD_STE";
      other.write_word(SmmuBench::kStreamTable + kSid * 64, 0xb | SmmuBench::cd_address(kSid));
      EXPECT_EQ(other.dma(kSid, kVa).has_value(), !cached);
      EXPECT_EQ(other.events().size(), cached ? 1U : 0U);
      other.command(cfgi_ste(kSid, true));
      EXPECT_EQ(other.dma(kSid, kVa), kOldPage);
    });
  }
}

TEST_F(SmmuCfgiTest, AnInvalidCdMayBeCachedButNotBeyondCfgi) {
  bench.run([&] {
    map_spaces();
    bench.stage1_stream(kSid, kOld);
    const std::uint64_t word = bench.word(SmmuBench::cd_address(kSid));
    bench.write_word(SmmuBench::cd_address(kSid), word & ~std::uint64_t{0x8000'0000});
    bench.boot();
    EXPECT_EQ(bench.dma(kSid, kVa), std::nullopt);
    const auto events = bench.events();
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0], (Words4{0x0000'0005'0000'000a, 0, 0, 0})) << "C_BAD_CD";
    bench.write_word(SmmuBench::cd_address(kSid), word);
    bench.command(cfgi_cd(kSid, 0, true));
    EXPECT_EQ(bench.dma(kSid, kVa), kOldPage);
  });
}

TEST_F(SmmuCfgiTest, ACdThatStage2CouldNotReachIsFetchedAgainWithoutAnyInvalidation) {
  hw::SmmuConfig choice = config();
  choice.features.stage2 = true;
  SmmuBench other(choice);
  other.run([&] {
    constexpr std::uint64_t kCdIpa = 0x8'0000'0000;
    other.stage1_stream(kSid, kOld);
    other.set_ste(kSid, {0xf | kCdIpa, 0, SmmuBench::stage2_word(9), other.root(3)});
    other.write_word(other.descriptor(3, SmmuBench::kRam, 1),
                     SmmuBench::kRam | SmmuBench::kStage2Block);
    other.map(kOld, kVa, kOldPage);
    other.boot();
    EXPECT_EQ(other.dma(kSid, kVa), std::nullopt);
    const auto events = other.events();
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0], (Words4{0x0000'0005'0000'0010, 0x0000'0088'0000'0000, kVa, kCdIpa}))
        << "F_TRANSLATION of stage 2, RnW, CLASS = CD";
    other.map(3, kCdIpa, SmmuBench::cd_address(kSid), SmmuBench::kStage2ReadWrite);
    EXPECT_EQ(other.dma(kSid, kVa), kOldPage);
  });
}

// ---- Two levels ----

struct TwoLevelCase {
  const char* name;
  Words2 command;
  Ids required;  ///< which use the new table
  Ids possible;  ///< which may
};
void PrintTo(const TwoLevelCase& one, std::ostream* out) { *out << one.name; }

class SmmuCfgiTwoLevelCdTest : public SmmuCfgiTest,
                               public testing::WithParamInterface<TwoLevelCase> {};

TEST_P(SmmuCfgiTwoLevelCdTest, FirstLevelDescriptorsGo) {
  // 1 and 70 are used before the change; 2 and 71 lie beside them.
  for (const std::uint32_t ssid : {1, 2, 70, 71}) {
    bench.run([&] {
      map_spaces();
      const std::uint64_t first_level = SmmuBench::cd_address(kSid);
      for (std::uint64_t i = 0; i < 2; ++i) {
        const std::uint64_t table = bench.allocate();
        for (std::uint64_t j = 0; j < 64; ++j) set_cd_at(table + j * 64, kOld);
        bench.write_word(first_level + i * 8, table | 1);
      }
      bench.set_ste(kSid, {0x1b | first_level | std::uint64_t{8} << 59});  // S1Fmt = 1
      bench.boot();
      EXPECT_EQ(space_of(kSid, 1), kOld);
      EXPECT_EQ(space_of(kSid, 70), kOld);
      for (std::uint64_t i = 0; i < 2; ++i) {
        const std::uint64_t table = bench.allocate();
        for (std::uint64_t j = 0; j < 64; ++j) set_cd_at(table + j * 64, kNew);
        bench.write_word(first_level + i * 8, table | 1);
      }
      bench.command(GetParam().command);
      EXPECT_FALSE(bench.stopped());
      const std::uint16_t found = space_of(kSid, ssid);
      if (GetParam().required.contains(ssid)) {
        EXPECT_EQ(found, kNew) << ssid;
      } else if (!GetParam().possible.contains(ssid)) {
        EXPECT_EQ(found, kOld) << ssid << ", unless more is removed than needed";
      }
    });
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, SmmuCfgiTwoLevelCdTest,
    testing::Values(TwoLevelCase{"Nothing", {0x10, 0}, {}, {}},
                    TwoLevelCase{"CdWithItsTable", cfgi_cd(5, 1, false), {1, 2}, {}},
                    TwoLevelCase{"CdBesideWithItsTable", cfgi_cd(5, 71, false), {71}, {1, 2, 70}},
                    TwoLevelCase{"CdAlone", cfgi_cd(5, 1, true), {}, {1, 2}},
                    TwoLevelCase{"OtherStream", cfgi_cd_all(6), {}, {}},
                    TwoLevelCase{"CdAll", cfgi_cd_all(5), {1, 2, 70, 71}, {}},
                    TwoLevelCase{"SteLeaf", cfgi_ste(5, true), {1, 2, 70, 71}, {}},
                    TwoLevelCase{"Ste", cfgi_ste(5, false), {1, 2, 70, 71}, {}},
                    TwoLevelCase{"Range", cfgi_range(4, 0), {1, 2, 70, 71}, {}},
                    TwoLevelCase{"All", kCfgiAll, {1, 2, 70, 71}, {}}),
    [](const auto& one) { return std::string(one.param.name); });

class SmmuCfgiTwoLevelSteTest : public SmmuCfgiTest,
                                public testing::WithParamInterface<TwoLevelCase> {
 protected:
  /// Tables for 2 x 64 streams, all in `space`.
  void write_tables(std::uint16_t space) {
    const std::uint64_t cd = SmmuBench::cd_address(space);
    set_cd_at(cd, space);
    for (std::uint64_t i = 0; i < 2; ++i) {
      const std::uint64_t table = bench.allocate();
      for (std::uint64_t j = 0; j < 64; ++j) set_ste_at(table + j * 64, cd);
      bench.write_word(SmmuBench::kStreamTable + i * 8, table | 7);  // Span: 64
    }
  }
};

TEST_P(SmmuCfgiTwoLevelSteTest, FirstLevelDescriptorsGo) {
  for (const std::uint32_t stream : {1, 2, 65, 66}) {
    bench.run([&] {
      map_spaces();
      write_tables(kOld);
      bench.boot(0);
      bench.set_reg(0x88, 7 | 6 << 6 | 1 << 16);  // 128 streams, SPLIT = 6, two levels
      bench.set_cr0(0xd);
      EXPECT_EQ(space_of(1), kOld);
      EXPECT_EQ(space_of(65), kOld);
      write_tables(kNew);
      bench.command(GetParam().command);
      EXPECT_FALSE(bench.stopped());
      const std::uint16_t found = space_of(stream);
      if (GetParam().required.contains(stream)) {
        EXPECT_EQ(found, kNew) << stream;
      } else if (!GetParam().possible.contains(stream)) {
        EXPECT_EQ(found, kOld) << stream << ", unless more is removed than needed";
      }
    });
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, SmmuCfgiTwoLevelSteTest,
    testing::Values(TwoLevelCase{"Nothing", {0x10, 0}, {}, {}},
                    TwoLevelCase{"SteWithItsTable", cfgi_ste(1, false), {1, 2}, {}},
                    TwoLevelCase{"SteBesideWithItsTable", cfgi_ste(66, false), {66}, {1, 2, 65}},
                    TwoLevelCase{"SteAlone", cfgi_ste(1, true), {}, {1, 2}},
                    TwoLevelCase{"CdAll", cfgi_cd_all(1), {}, {}},
                    TwoLevelCase{"RangeOfTwo", cfgi_range(1, 0), {1, 2}, {}},
                    TwoLevelCase{"RangeOfATable", cfgi_range(64, 5), {65, 66}, {1, 2}},
                    TwoLevelCase{"RangeOfBoth", cfgi_range(64, 6), {1, 2, 65, 66}, {}},
                    TwoLevelCase{"All", kCfgiAll, {1, 2, 65, 66}, {}}),
    [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace shootdown::tests
