// TLBI commands by range, and what the hints TG and TTL let stay. Source: Arm IHI 0070, 4.4.1.1.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "support/smmu_bench.h"

namespace shootdown::tests {
namespace {

constexpr std::uint64_t kBlock = SmmuBench::kReadWrite & ~std::uint64_t{2};
constexpr std::uint32_t kSid = 5;
constexpr std::uint16_t kAsid = 7;

constexpr std::uint64_t asid(std::uint64_t value) { return value << 48; }
/// NUM, SCALE in the first word, TG and TTL in the second.
constexpr std::uint64_t range(unsigned scale, unsigned num) {
  return std::uint64_t{scale} << 20 | std::uint64_t{num} << 12;
}
constexpr std::uint64_t hint(unsigned tg, unsigned ttl) {
  return std::uint64_t{tg} << 10 | std::uint64_t{ttl} << 8;
}

struct Granule {
  const char* name;
  unsigned tg;     ///< as in commands
  unsigned shift;  ///< of a page
  unsigned cd;     ///< TG0 and T0SZ, such that the walk starts at level 2
};
class SmmuTlbiRangeTest : public testing::TestWithParam<Granule> {
 protected:
  static hw::SmmuConfig config() {
    hw::SmmuConfig result;
    result.features.granule16k = result.features.granule64k = true;
    return result;
  }
  void begin(SmmuBench& bench) {
    next_ = kTables;
    root_ = table();
    bench.stage1_stream(kSid, kAsid);
    Words8 cd = bench.stage1_cd(kAsid);
    cd[0] = (cd[0] & ~std::uint64_t{0xff}) | GetParam().cd;
    cd[1] = root_;
    bench.set_cd(kSid, 0, cd);
    bench.boot();
  }
  void map(SmmuBench& bench, std::uint64_t page, std::uint64_t output) {
    const unsigned index_bits = GetParam().shift - 3;
    const std::uint64_t entry = root_ + (page >> index_bits) * 8;
    if (bench.word(entry) == 0) bench.write_word(entry, table() | 3);
    const std::uint64_t leaves = bench.word(entry) & ~std::uint64_t{0xfff};
    bench.write_word(leaves + (page & ((1U << index_bits) - 1)) * 8,
                     (output + (page << GetParam().shift)) | SmmuBench::kReadWrite);
  }
  std::optional<std::uint64_t> output(SmmuBench& bench, std::uint64_t page) {
    const auto address = bench.dma(kSid, page << GetParam().shift);
    if (!address) return std::nullopt;
    return *address - (page << GetParam().shift);
  }
  static constexpr std::uint64_t kOld = 0x100'0000'0000;
  static constexpr std::uint64_t kNew = 0x200'0000'0000;

 private:
  static constexpr std::uint64_t kTables = SmmuBench::kFree + 0x100'0000;
  std::uint64_t table() { return std::exchange(next_, next_ + 0x10000); }
  std::uint64_t next_{};
  std::uint64_t root_{};
};

TEST_P(SmmuTlbiRangeTest, CoversNumPlusOneTimesTwoToTheScaleGranules) {
  const struct {
    unsigned scale, num, ttl;
  } cases[] = {{0, 0, 3},  {0, 1, 0},  {1, 0, 0},  {2, 4, 3},  {5, 0, 0},   {9, 0, 3},
               {3, 28, 0}, {0, 31, 0}, {0, 30, 3}, {11, 6, 0}, {12, 31, 0}, {31, 31, 3}};
  SmmuBench bench(config());
  for (const auto& one : cases) {
    SCOPED_TRACE(testing::Message() << "SCALE " << one.scale << " NUM " << one.num);
    for (const std::uint64_t first : {std::uint64_t{0x205}, std::uint64_t{0x37}}) {
      const std::uint64_t count = std::min<std::uint64_t>((one.num + 1ULL) << one.scale, 0x3'fc00);
      const std::set<std::uint64_t> inside{first, first + count / 2, first + count - 1};
      const std::set<std::uint64_t> outside{first - 1, first + count};
      bench.run([&] {
        begin(bench);
        std::set<std::uint64_t> pages = inside;
        pages.insert(outside.begin(), outside.end());
        for (const std::uint64_t page : pages) {
          map(bench, page, kOld);
          EXPECT_EQ(output(bench, page), kOld);
          map(bench, page, kNew);
          EXPECT_EQ(output(bench, page), kOld) << "cached";
        }
        bench.command({0x12 | asid(kAsid) | range(one.scale, one.num),
                       first << GetParam().shift | hint(GetParam().tg, one.ttl) | 1});
        EXPECT_FALSE(bench.stopped());
        for (const std::uint64_t page : inside)
          EXPECT_EQ(output(bench, page), kNew) << page - first;
        for (const std::uint64_t page : outside) EXPECT_TRUE(output(bench, page));  // either
      });
    }
  }
}

TEST_P(SmmuTlbiRangeTest, OneAddressWithoutGranuleIsForEntriesOfAnyGranule) {
  SmmuBench bench(config());
  bench.run([&] {
    begin(bench);
    map(bench, 0x123, kOld);
    EXPECT_EQ(output(bench, 0x123), kOld);
    map(bench, 0x123, kNew);
    // Not aligned to the entry: the last 4 KiB of it.
    bench.command({0x12 | asid(kAsid), (0x124ULL << GetParam().shift) - 0x1000});
    EXPECT_EQ(output(bench, 0x123), kNew);
  });
}

INSTANTIATE_TEST_SUITE_P(Granules, SmmuTlbiRangeTest,
                         testing::Values(Granule{"Of4k", 1, 12, 0x00 | 34},
                                         Granule{"Of16k", 2, 14, 0x80 | 28},
                                         Granule{"Of64k", 3, 16, 0x40 | 22}),
                         [](const auto& one) { return std::string(one.param.name); });

/// Counts what the SMMU calls a mistake of software.
struct Complaints : tlm::tlm_analysis_if<hw::Event> {
  void write(const hw::Event& event) override {
    if (event.get<hw::IllegalUse>() != nullptr) ++count;
  }
  unsigned count{};
};

class SmmuTlbiHintTest : public testing::TestWithParam<bool> {
 protected:
  static constexpr std::uint64_t kAligned = 0x400'0000'0000;  // for every level of every granule
  static hw::SmmuConfig config() {
    hw::SmmuConfig result;
    result.mmu.translator.honour_level_hints = GetParam();
    return result;
  }
};

TEST_P(SmmuTlbiHintTest, RightHintsRemoveAndWrongOnesMayLeaveTheEntry) {
  SmmuBench bench(config());
  Complaints complaints;
  bench.board.smmu().events.bind(complaints);
  unsigned wrong = 0;
  for (int level = 1; level <= 3; ++level) {
    for (unsigned tg = 1; tg <= 3; ++tg) {
      for (unsigned ttl = 0; ttl <= 3; ++ttl) {
        if (tg == 2 && ttl == 1) continue;  // reserved
        SCOPED_TRACE(testing::Message() << "level " << level << " TG " << tg << " TTL " << ttl);
        bench.run([&] {
          const std::uint64_t type = level == 3 ? SmmuBench::kReadWrite : kBlock;
          bench.stage1_stream(kSid, kAsid);
          bench.write_word(bench.descriptor(kAsid, kAligned, level), 0x1'0000'0000 | type);
          bench.boot();
          EXPECT_EQ(bench.dma(kSid, kAligned), 0x1'0000'0000U);
          bench.write_word(bench.descriptor(kAsid, kAligned, level), 0x2'0000'0000 | type);
          bench.command({0x13 | range(0, ttl == 0 ? 1 : 0), kAligned | hint(tg, ttl)});
          const bool right = tg == 1 && (ttl == 0 || ttl == static_cast<unsigned>(level));
          EXPECT_EQ(bench.dma(kSid, kAligned),
                    right || !GetParam() ? 0x2'0000'0000U : 0x1'0000'0000U);
          wrong += right ? 0 : 1;
        });
      }
    }
  }
  EXPECT_EQ(complaints.count, wrong) << "the model names each hint that spares an entry";
}

TEST_P(SmmuTlbiHintTest, AnAddressThatIsNotAlignedToItsLevelIsReportedAndNoError) {
  SmmuBench bench(config());
  Complaints complaints;
  bench.board.smmu().events.bind(complaints);
  bench.run([&] {
    bench.boot();
    bench.command({0x13, (kAligned + 0x1000) | hint(1, 2)});
    EXPECT_FALSE(bench.stopped());
    EXPECT_EQ(complaints.count, 1U);
    bench.command({0x13, (kAligned + 0x1000) | hint(1, 3)});
    EXPECT_EQ(complaints.count, 1U);
  });
}

TEST_P(SmmuTlbiHintTest, WithoutLeafTheTablesAboveTheLevelGo) {
  SmmuBench bench(config());
  bench.run([&] {
    bench.stage1_stream(kSid, kAsid);
    bench.write_word(bench.descriptor(kAsid, kAligned, 2), 0x1'0000'0000 | kBlock);
    bench.boot();
    EXPECT_EQ(bench.dma(kSid, kAligned), 0x1'0000'0000U);
    const std::uint64_t other = bench.allocate();
    bench.write_word(other, 0x2'0000'0000 | kBlock);
    bench.write_word(bench.descriptor(kAsid, kAligned, 1), other | 3);
    bench.command({0x12 | asid(kAsid), kAligned | hint(1, 2)});
    EXPECT_EQ(bench.dma(kSid, kAligned), 0x2'0000'0000U);
  });
}

INSTANTIATE_TEST_SUITE_P(All, SmmuTlbiHintTest, testing::Bool(),
                         [](const auto& one) { return one.param ? "Honoured" : "Ignored"; });

TEST(SmmuTlbiUpperHalfTest, AddressesOfTtb1AreComparedSignExtendedAndRangesStopAtTheTop) {
  SmmuBench bench({});
  bench.run([&] {
    constexpr std::uint64_t kTop = 0xffff'ffff'ffff'f000;
    bench.stage1_stream(kSid, kAsid);
    Words8 cd = bench.stage1_cd(kAsid);
    cd[0] = (cd[0] & ~(std::uint64_t{1} << 30)) | 16 << 16 | 2 << 22;  // T1SZ, TG1: 4 KiB
    cd[2] = bench.root(kAsid + 1);
    bench.set_cd(kSid, 0, cd);
    bench.boot();
    for (const Words2& command :
         {Words2{0x12 | asid(kAsid), kTop | 1}, Words2{0x13, kTop},
          Words2{0x12 | asid(kAsid) | range(31, 31), (kTop - 0x5000) | hint(1, 3)}}) {
      bench.map(kAsid + 1, kTop, 0x1'0000'0000);
      bench.command({0x30, 0});
      EXPECT_EQ(bench.dma(kSid, kTop), 0x1'0000'0000U);
      bench.map(kAsid + 1, kTop, 0x2'0000'0000);
      EXPECT_EQ(bench.dma(kSid, kTop), 0x1'0000'0000U);
      bench.command(command);
      EXPECT_EQ(bench.dma(kSid, kTop), 0x2'0000'0000U) << std::hex << command[0];
    }
  });
}

}  // namespace
}  // namespace shootdown::tests
