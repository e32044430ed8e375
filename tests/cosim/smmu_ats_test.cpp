// ATS: translation requests and translated traffic. Source: Arm IHI 0070, 3.9.1, 3.9.2, 5.2, 13.6,
// 13.7.
#include <gtest/gtest.h>

#include <string>

#include "support/smmu_bench.h"

namespace shootdown::tests {
namespace {

constexpr std::uint64_t kVa = 0x12'3456'7000;
constexpr std::uint64_t kIpa = 0x8'0000'0000;
constexpr std::uint32_t kSid = 5;
constexpr std::uint16_t kAsid = 7;
constexpr std::uint64_t kFullAts = 0x1000'0000;     // EATS = 1
constexpr std::uint64_t kSplitStage = 0x2000'0000;  // EATS = 2
constexpr std::uint64_t kUnprivilegedXn = std::uint64_t{1} << 54;
constexpr std::uint64_t kStall = std::uint64_t{1} << 44;  // CD.S
using Kind = hw::StreamExtension::Kind;

struct Request {
  std::uint64_t va{kVa};
  bool no_write{};
  bool execute{};
  bool privileged{};
  std::optional<std::uint32_t> pasid{};
};
conform::SmmuBoard::AccessResult request(SmmuBench& bench, const Request& what = {},
                                         std::uint32_t sid = kSid) {
  auto access = SmmuBench::access(sid, what.va, false);
  access.kind = Kind::kTranslationRequest;
  access.no_write = what.no_write;
  access.instruction = what.execute;
  access.privileged = what.privileged;
  if (what.pasid) access.substream_id = arch::SubstreamId{*what.pasid};
  std::array<std::uint8_t, 4> data{};
  return bench.board.dma(access, data.data(), 0);
}
/// "rwx", with "-" for what is not granted; "UR" or "CA".
std::string granted(const conform::SmmuBoard::AccessResult& result) {
  if (result.answer.unsupported) return "UR";
  if (!result.ok) return "CA";
  return std::string(result.answer.read ? "r" : "-") + (result.answer.write ? "w" : "-") +
         (result.answer.execute ? "x" : "-");
}
/// Translated traffic: whether it passed.
bool translated(SmmuBench& bench, std::uint64_t address, bool write = false) {
  auto access = SmmuBench::access(kSid, address, write);
  access.kind = Kind::kTranslated;
  std::array<std::uint8_t, 4> data{1, 2, 3, 4};
  return bench.board.dma(access, data.data(), 4).ok;
}
void expect_bad_treq(SmmuBench& bench) {
  const auto events = bench.events();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0][0], 0x0000'0005'0000'0005U) << "F_BAD_ATS_TREQ";
  EXPECT_EQ(events[0][2], kVa);
}

// ---- Translation requests ----

TEST(SmmuAtsTest, GrantsWhatThePageGivesAndRecordsNothing) {
  struct Case {
    const char* what;
    std::uint64_t descriptor;
    Request request;
    const char* granted;
  };
  constexpr std::uint64_t kRw = SmmuBench::kReadWrite;
  constexpr std::uint64_t kRo = SmmuBench::kReadOnly;
  constexpr std::uint64_t kPriv = SmmuBench::kPrivileged;
  const Case cases[] = {
      {"read and write", kRw, {}, "rw-"},
      {"read only", kRo, {}, "r--"},
      {"read only, NW", kRo, {.no_write = true}, "r--"},
      {"not mapped", 0, {}, "---"},
      {"AF = 0", kRw & ~std::uint64_t{0x400}, {}, "---"},
      {"privileged page", kPriv, {}, "---"},
      {"Priv without PASID counts for nothing", kPriv, {.privileged = true}, "---"},
      {"privileged page and PASID", kPriv, {.privileged = true, .pasid = 1}, "rw-"},
      {"unprivileged PASID", kPriv, {.pasid = 1}, "---"},
      {"Exe", kRw, {.execute = true, .pasid = 1}, "rwx"},
      {"Exe without PASID counts for nothing", kRw, {.execute = true}, "rw-"},
      {"Exe, read only", kRo, {.execute = true, .pasid = 1}, "r-x"},
      {"Exe, XN", kRw | kUnprivilegedXn, {.execute = true, .pasid = 1}, "rw-"},
      {"no Exe asked for", kRw, {.pasid = 1}, "rw-"},
      {"execute only", kPriv, {.execute = true, .pasid = 1}, "---"},
  };
  SmmuBench bench({});
  for (const Case& one : cases) {
    SCOPED_TRACE(one.what);
    bench.run([&] {
      bench.set_ste(kSid,
                    {0xb | SmmuBench::cd_address(kSid) | std::uint64_t{4} << 59, 2 | kFullAts});
      for (const std::uint32_t ssid : {0, 1})  // CD 0 is for requests without PASID
        bench.set_cd(kSid, ssid, bench.stage1_cd(kAsid, kStall));
      const std::uint64_t page = bench.allocate();
      bench.map(kAsid, kVa, one.descriptor == 0 ? 0 : page, one.descriptor);
      bench.boot();
      const auto result = request(bench, one.request);
      EXPECT_TRUE(result.ok) << "also where nothing is granted";
      EXPECT_EQ(granted(result), one.granted);
      if (result.answer.read) {
        EXPECT_EQ(result.answer.output.value, page);
      }
      EXPECT_EQ(result.answer.page_shift, 12U);
      EXPECT_TRUE(bench.events().empty());
      // The same from the TLB.
      EXPECT_EQ(granted(request(bench, one.request)), one.granted);
      EXPECT_TRUE(bench.events().empty());
    });
  }
}

TEST(SmmuAtsTest, NoWriteGrantsWriteAtMostWhereThePageIsWritable) {
  SmmuBench bench({});
  bench.run([&] {
    bench.stage1_stream(kSid, kAsid, 0, kFullAts);
    bench.map(kAsid, kVa, bench.allocate());
    bench.boot();
    const auto result = request(bench, {.no_write = true});
    EXPECT_TRUE(result.ok && result.answer.read);  // W is a free choice
  });
}

TEST(SmmuAtsTest, ABlockIsAnsweredWithNoMoreThanItself) {
  SmmuBench bench({});
  for (const int level : {2, 1}) {
    bench.run([&] {
      const unsigned shift = level == 2 ? 21 : 30;
      bench.stage1_stream(kSid, kAsid, 0, kFullAts);
      bench.write_word(bench.descriptor(kAsid, kVa, level),
                       0x4'0000'0000 | (SmmuBench::kReadWrite & ~std::uint64_t{2}));
      bench.boot();
      const auto result = request(bench);
      EXPECT_EQ(granted(result), "rw-");
      EXPECT_LE(result.answer.page_shift, shift);
      EXPECT_GE(result.answer.page_shift, 12U);
      const std::uint64_t size = std::uint64_t{1} << result.answer.page_shift;
      const std::uint64_t offset = kVa & ((std::uint64_t{1} << shift) - 1) & ~(size - 1);
      EXPECT_EQ(result.answer.output.value & ~(size - 1), 0x4'0000'0000 + offset);
    });
  }
}

TEST(SmmuAtsTest, WhereNothingIsGrantedTheSizeIsThatOfTheSmallestPage) {
  SmmuBench bench({});
  bench.run([&] {
    bench.stage1_stream(kSid, kAsid, 0, kFullAts);
    bench.write_word(bench.descriptor(kAsid, kVa, 2),
                     0x4'0000'0000 | (SmmuBench::kPrivileged & ~std::uint64_t{2}));
    bench.boot();
    const auto result = request(bench);
    EXPECT_TRUE(result.ok);
    EXPECT_FALSE(result.answer.read || result.answer.write);
    EXPECT_EQ(result.answer.page_shift, 12U) << "STU";
  });
}

TEST(SmmuAtsTest, IsUnsupportedAndReportedWhereAtsIsOff) {
  const struct {
    const char* what;
    std::uint64_t ste0, ste1;
    std::uint32_t cr0;
    bool event;
  } cases[] = {
      {"EATS = 0", 0xb | SmmuBench::cd_address(kSid), 0, 0xd, true},
      {"EATS = 3", 0xb | SmmuBench::cd_address(kSid), 0x3000'0000, 0xd, true},
      {"bypass", 0x9, kFullAts, 0xd, true},
      {"SMMUEN = 0", 0xb | SmmuBench::cd_address(kSid), kFullAts, 0xc, true},
      {"abort", 0x1, kFullAts, 0xd, false},
  };
  SmmuBench bench({});
  for (const auto& one : cases) {
    SCOPED_TRACE(one.what);
    bench.run([&] {
      bench.stage1_stream(kSid, kAsid);
      bench.set_ste(kSid, {one.ste0, one.ste1});
      bench.map(kAsid, kVa, bench.allocate());
      bench.boot(one.cr0);
      EXPECT_EQ(granted(request(bench)), "UR");
      if (one.event) {
        expect_bad_treq(bench);
      } else {
        EXPECT_TRUE(bench.events().empty());
      }
    });
  }
}

TEST(SmmuAtsTest, ConfigurationErrorsAbortAndAreRecordedOnlyIfAskedFor) {
  hw::SmmuConfig config;
  config.features.ats_records_errors = true;
  SmmuBench bench(config);
  for (const bool record : {false, true}) {
    const auto expect_event = [&](const char* what, std::uint64_t word) {
      const auto events = bench.events();
      ASSERT_EQ(events.size(), record ? 1U : 0U) << what;
      if (record) {
        EXPECT_EQ(events[0][0], word) << what;
      }
    };
    bench.run([&] {
      bench.stage1_stream(kSid, kAsid, 0, kFullAts);
      bench.set_ste(6, {0xa | SmmuBench::cd_address(6), kFullAts});
      bench.stage1_stream(7, 8, 0, kFullAts);
      bench.write_word(bench.root(8) + (kVa >> 39) * 8, 0x1'0000'0000 | 3);  // no memory there
      bench.boot(0);
      bench.set_reg(0x2c, record ? 0xa : 0x2);
      bench.set_cr0(0xd);
      EXPECT_EQ(granted(request(bench, {}, 64)), "CA");
      expect_event("C_BAD_STREAMID", 0x0000'0040'0000'0002);
      EXPECT_EQ(granted(request(bench, {}, 6)), "CA");
      expect_event("C_BAD_STE", 0x0000'0006'0000'0004);
      EXPECT_EQ(granted(request(bench, {.pasid = 1})), "CA");
      expect_event("C_BAD_SUBSTREAMID", 0x0000'0005'0000'1008);
      EXPECT_EQ(granted(request(bench, {}, 7)), "CA");
      expect_event("F_WALK_EABT", 0x0000'0007'0000'000b);
    });
  }
}

TEST(SmmuAtsTest, StreamsThatSkipStage1AreAnsweredWithTheSameAddress) {
  SmmuBench bench({});
  bench.run([&] {
    bench.set_ste(kSid, {0xb | SmmuBench::cd_address(kSid) | std::uint64_t{4} << 59, 1 | kFullAts});
    bench.boot();
    const auto result = request(bench, {.va = 0x4'5678'9000});
    EXPECT_EQ(granted(result).substr(0, 2), "rw");
    EXPECT_EQ(result.answer.output.value >> result.answer.page_shift,
              0x4'5678'9000U >> result.answer.page_shift);
    EXPECT_TRUE(bench.events().empty());
  });
}

TEST(SmmuAtsTest, ARequestIsAnsweredFromTheTlbUntilItIsInvalidated) {
  SmmuBench bench({});
  bench.run([&] {
    bench.stage1_stream(kSid, kAsid, 0, kFullAts);
    const std::uint64_t first = bench.allocate();
    const std::uint64_t second = bench.allocate();
    bench.map(kAsid, kVa, first);
    bench.boot();
    EXPECT_EQ(request(bench).answer.output.value, first);
    EXPECT_EQ(bench.dma(kSid, kVa), first);
    bench.map(kAsid, kVa, second);
    EXPECT_EQ(request(bench).answer.output.value, first) << "as this model keeps it";
    bench.command({0x12 | std::uint64_t{kAsid} << 48, kVa | 1});
    EXPECT_EQ(request(bench).answer.output.value, second);
  });
}

// ---- Translated traffic ----

TEST(SmmuAtsTest, TranslatedTrafficIsCheckedOnlyWithAtschk) {
  const struct {
    const char* what;
    std::uint64_t ste0, ste1;
    std::uint32_t cr0;
    bool passes, event;
  } cases[] = {
      {"unchecked", 0xb | SmmuBench::cd_address(kSid), 0, 0xd, true, false},
      {"unchecked, no STE", 0, 0, 0xd, true, false},
      {"unchecked, abort", 0x1, 0, 0xd, true, false},
      {"EATS = 1", 0xb | SmmuBench::cd_address(kSid), kFullAts, 0x1d, true, false},
      {"EATS = 0", 0xb | SmmuBench::cd_address(kSid), 0, 0x1d, false, true},
      {"bypass", 0x9, kFullAts, 0x1d, false, true},
      {"abort", 0x1, kFullAts, 0x1d, false, false},
      {"V = 0", 0xa | SmmuBench::cd_address(kSid), kFullAts, 0x1d, false, false},
      {"SMMUEN = 0", 0xb | SmmuBench::cd_address(kSid), kFullAts, 0xc, false, true},
      {"SMMUEN = 0, ATSCHK = 1", 0xb | SmmuBench::cd_address(kSid), kFullAts, 0x1c, false, true},
  };
  SmmuBench bench({});
  for (const auto& one : cases) {
    SCOPED_TRACE(one.what);
    bench.run([&] {
      bench.stage1_stream(kSid, kAsid);
      bench.set_ste(kSid, {one.ste0, one.ste1});
      const std::uint64_t page = bench.allocate();
      bench.boot(one.cr0);
      EXPECT_EQ(translated(bench, page, true), one.passes);
      EXPECT_EQ(bench.word(page), one.passes ? 0x0403'0201U : 0U);
      EXPECT_EQ(translated(bench, page + 8, false), one.passes);
      const auto events = bench.events();
      ASSERT_EQ(events.size(), one.event ? 2U : 0U);
      if (!one.event) return;
      EXPECT_EQ(events[0], (Words4{0x0000'0005'0000'0007, 0, page, 0})) << "F_TRANSL_FORBIDDEN";
      EXPECT_EQ(events[1], (Words4{0x0000'0005'0000'0007, 0x8'0000'0000, page + 8, 0})) << "RnW";
    });
  }
}

TEST(SmmuAtsTest, ConfigurationErrorsOfTranslatedTrafficAreRecordedOnlyIfAskedFor) {
  hw::SmmuConfig config;
  config.features.ats_records_errors = true;
  SmmuBench bench(config);
  for (const bool record : {false, true}) {
    bench.run([&] {
      bench.set_ste(kSid, {0xa | SmmuBench::cd_address(kSid), kFullAts});
      const std::uint64_t page = bench.allocate();
      bench.boot(0);
      bench.set_reg(0x2c, record ? 0xa : 0x2);
      bench.set_cr0(0x1d);
      EXPECT_FALSE(translated(bench, page));
      const auto events = bench.events();
      ASSERT_EQ(events.size(), record ? 1U : 0U);
      if (record) {
        EXPECT_EQ(events[0], (Words4{0x0000'0005'0000'0004, 0, 0, 0})) << "C_BAD_STE";
      }
    });
  }
}

TEST(SmmuAtsTest, TranslatedTrafficAsksTheSteAlone) {
  SmmuBench bench({});
  bench.run([&] {
    bench.stage1_stream(kSid, kAsid, 0, kFullAts);
    const std::uint64_t page = bench.allocate();
    bench.boot(0x1d);
    bench.set_cd(kSid, 0, {});  // V = 0
    EXPECT_TRUE(translated(bench, page, true));
    bench.set_ste(kSid, {0xb | 0xff'ffff'0000, kFullAts});  // nothing is there
    bench.command({0x0000'0005'0000'0003, 1});              // CFGI_STE
    EXPECT_TRUE(translated(bench, page, true));
    EXPECT_TRUE(bench.events().empty());
  });
}

TEST(SmmuAtsTest, ThePasidOfTranslatedTrafficIsNoPartOfIt) {
  // IDR3.PASIDTT = 0 (3.9.1.3): as if SSV were 0, so that S1DSS = 0 refuses all of it.
  constexpr std::uint64_t kCdMax1 = std::uint64_t{1} << 59;
  hw::SmmuConfig config;
  config.features.ats_records_errors = true;
  config.features.ssid_bits = 4;
  SmmuBench bench(config);
  for (const bool terminate : {false, true}) {
    bench.run([&] {
      bench.stage1_stream(kSid, kAsid);
      const std::uint64_t s1dss = terminate ? 0 : 2;
      bench.set_ste(kSid, {0xb | kCdMax1 | SmmuBench::cd_address(kSid), kFullAts | s1dss});
      const std::uint64_t page = bench.allocate();
      bench.boot(0);
      bench.set_reg(0x2c, 0xa);  // REC_CFG_ATS
      bench.set_cr0(0x1d);
      auto access = SmmuBench::access(kSid, page, true);
      access.kind = Kind::kTranslated;
      std::array<std::uint8_t, 4> data{1, 2, 3, 4};
      for (const unsigned pasid : {1U, 9U}) {  // 9: more than S1CDMax has
        access.substream_id = arch::SubstreamId{pasid};
        EXPECT_EQ(bench.board.dma(access, data.data(), 4).ok, !terminate);
      }
      const auto events = bench.events();
      ASSERT_EQ(events.size(), terminate ? 2U : 0U);
      for (const auto& event : events) {
        EXPECT_EQ(event[0], 0x0000'0005'0000'0006U) << "F_STREAM_DISABLED, SSV = 0";
      }
    });
  }
}

TEST(SmmuAtsTest, TranslatedTrafficBeyondThePhysicalAddressesAborts) {
  hw::SmmuConfig config;
  config.features.output_bits = 32;
  SmmuBench bench(config);
  for (const std::uint32_t cr0 : {0xdU, 0x1dU}) {
    bench.run([&] {
      bench.stage1_stream(kSid, kAsid, 0, kFullAts);
      const std::uint64_t page = bench.allocate();
      bench.boot(cr0);
      EXPECT_TRUE(translated(bench, page, true));
      EXPECT_FALSE(translated(bench, page | std::uint64_t{1} << 32, true));
      EXPECT_FALSE(translated(bench, page | std::uint64_t{1} << 63, true));
      EXPECT_TRUE(bench.events().empty()) << "no event (3.9.1.1)";
    });
  }
}

TEST(SmmuAtsTest, ABadStreamidOfARequestIsRecordedIfBothBitsSaySo) {
  hw::SmmuConfig config;
  config.features.ats_records_errors = true;
  SmmuBench bench(config);
  constexpr std::uint32_t kBeyond = 1U << SmmuBench::kStreamLog2;
  for (const std::uint32_t cr2 : {0x0U, 0x2U, 0x8U, 0xaU}) {  // RECINVSID 2, REC_CFG_ATS 8
    bench.run([&] {
      bench.boot(0);
      bench.set_reg(0x2c, cr2);
      bench.set_cr0(0x1d);
      EXPECT_EQ(granted(request(bench, {}, kBeyond)), "CA");
      EXPECT_EQ(bench.events().size(), cr2 == 0xa ? 1U : 0U) << "request, CR2 " << cr2;
      auto access = SmmuBench::access(kBeyond, SmmuBench::kFree, false);
      access.kind = Kind::kTranslated;
      std::array<std::uint8_t, 4> data{};
      EXPECT_FALSE(bench.board.dma(access, data.data(), 4).ok);
      EXPECT_EQ(bench.events().size(), (cr2 & 8) != 0 ? 1U : 0U) << "translated, CR2 " << cr2;
    });
  }
}

TEST(SmmuAtsTest, WhatEatsForbidsIsSaidSoWhateverS1dssMakesOfIt) {
  constexpr std::uint64_t kCdMax1 = std::uint64_t{1} << 59;
  SmmuBench bench({});
  bench.run([&] {
    bench.stage1_stream(kSid, kAsid);
    bench.set_ste(kSid, {0xb | kCdMax1 | SmmuBench::cd_address(kSid), 0});  // EATS, S1DSS = 0
    const std::uint64_t page = bench.allocate();
    bench.boot(0x1d);
    EXPECT_FALSE(translated(bench, page));
    const auto events = bench.events();
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0][0], 0x0000'0005'0000'0007U) << "F_TRANSL_FORBIDDEN";
  });
}

TEST(SmmuAtsTest, TranslatedTrafficKeepsItsSteUntilCfgi) {
  SmmuBench bench({});
  bench.run([&] {
    bench.stage1_stream(kSid, kAsid, 0, kFullAts);
    const std::uint64_t page = bench.allocate();
    bench.boot(0x1d);
    EXPECT_TRUE(translated(bench, page));
    bench.set_ste(kSid, {0xb | SmmuBench::cd_address(kSid), 0});
    EXPECT_TRUE(translated(bench, page)) << "as this model keeps it";
    bench.command({0x0000'0005'0000'0005, 1});  // CFGI_CD
    EXPECT_TRUE(translated(bench, page));
    bench.command({0x0000'0005'0000'0003, 1});  // CFGI_STE
    EXPECT_FALSE(translated(bench, page));
  });
}

class SmmuAtsTwoStageTest : public testing::Test {
 protected:
  static hw::SmmuConfig config() {
    hw::SmmuConfig result;
    result.features.stage2 = true;
    result.features.split_stage_ats = true;
    return result;
  }
  static std::uint64_t set_up(SmmuBench& bench, std::uint64_t eats, std::uint64_t stage2_page) {
    bench.stage1_stream(kSid, kAsid);
    bench.set_ste(
        kSid, {0xf | SmmuBench::cd_address(kSid), eats, SmmuBench::stage2_word(3), bench.root(20)});
    bench.write_word(bench.descriptor(20, SmmuBench::kRam, 1),
                     SmmuBench::kRam | SmmuBench::kStage2Block);
    const std::uint64_t page = bench.allocate();
    bench.map(20, kIpa, page, stage2_page);
    bench.map(kAsid, kVa, kIpa);
    return page;
  }
  static constexpr std::uint64_t kStage2ReadOnly =
      SmmuBench::kStage2ReadWrite & ~std::uint64_t{0x80};
};

TEST_F(SmmuAtsTwoStageTest, FullAtsAnswersPhysicalAddresses) {
  SmmuBench bench(config());
  bench.run([&] {
    const std::uint64_t page = set_up(bench, kFullAts, SmmuBench::kStage2ReadWrite);
    bench.boot(0x1d);
    const auto result = request(bench);
    EXPECT_EQ(granted(result), "rw-");
    EXPECT_EQ(result.answer.output.value, page);
    EXPECT_TRUE(translated(bench, page, true));
    EXPECT_NE(bench.word(page), 0U);
  });
}

TEST_F(SmmuAtsTwoStageTest, AReadOnlyPageOfStage2IsGrantedForReading) {
  SmmuBench bench(config());
  for (const std::uint64_t eats : {kFullAts, kSplitStage}) {
    bench.run([&] {
      const std::uint64_t page = set_up(bench, eats, kStage2ReadOnly);
      bench.boot(0x1d);
      const auto result = request(bench);
      EXPECT_EQ(granted(result), "r--");
      EXPECT_EQ(result.answer.output.value, eats == kFullAts ? page : kIpa);
      EXPECT_TRUE(bench.events().empty());
    });
  }
}

TEST_F(SmmuAtsTwoStageTest, SplitStageAnswersIpasAndTranslatesThem) {
  SmmuBench bench(config());
  bench.run([&] {
    const std::uint64_t page = set_up(bench, kSplitStage, SmmuBench::kStage2ReadWrite);
    const std::uint64_t read_only = bench.allocate();
    bench.map(20, kIpa + 0x1000, read_only, kStage2ReadOnly);
    bench.boot(0x1d);
    const auto result = request(bench);
    EXPECT_EQ(granted(result), "rw-");
    EXPECT_EQ(result.answer.output.value, kIpa);
    EXPECT_TRUE(translated(bench, kIpa, true));
    EXPECT_EQ(bench.word(page), 0x0403'0201U);
    EXPECT_TRUE(translated(bench, kIpa + 0x1000, false));
    EXPECT_TRUE(bench.events().empty());
    // Faults of stage 2 are reported as ever.
    EXPECT_FALSE(translated(bench, kIpa + 0x1000, true));
    EXPECT_FALSE(translated(bench, kIpa + 0x2000, false));
    const auto events = bench.events();
    ASSERT_EQ(events.size(), 2U);
    EXPECT_EQ(events[0],
              (Words4{0x0000'0005'0000'0013, 0x280'0000'0000, kIpa + 0x1000, kIpa + 0x1000}));
    EXPECT_EQ(events[1],
              (Words4{0x0000'0005'0000'0010, 0x288'0000'0000, kIpa + 0x2000, kIpa + 0x2000}));
  });
}

TEST_F(SmmuAtsTwoStageTest, SplitStageWithoutAtschkCountsAsOff) {
  SmmuBench bench(config());
  bench.run([&] {
    set_up(bench, kSplitStage, SmmuBench::kStage2ReadWrite);
    bench.boot(0xd);
    EXPECT_EQ(granted(request(bench)), "UR");
    expect_bad_treq(bench);
  });
}

TEST_F(SmmuAtsTwoStageTest, FaultsOfStage2GrantNothingAndRecordNothing) {
  SmmuBench bench(config());
  bench.run([&] {
    set_up(bench, kFullAts, 0);
    bench.boot(0x1d);
    EXPECT_EQ(granted(request(bench)), "---");
    EXPECT_TRUE(bench.events().empty());
  });
}

}  // namespace
}  // namespace shootdown::tests
