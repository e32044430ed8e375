// Hardware update of access flag and dirty state (HTTU), for traffic and for ATS. Source: Arm IHI
// 0070, 3.13; Arm ARM D8.5.
#include <gtest/gtest.h>

#include "support/smmu_bench.h"

namespace shootdown::tests {
namespace {

constexpr std::uint64_t kVa = 0x12'3456'7000;
constexpr std::uint64_t kIpa = 0x8'0000'0000;
constexpr std::uint32_t kSid = 5;
constexpr std::uint16_t kAsid = 7;
constexpr std::uint64_t kHa = std::uint64_t{1} << 43;  // CD
constexpr std::uint64_t kHd = std::uint64_t{1} << 42;
constexpr std::uint64_t kS2Ha = std::uint64_t{1} << 56;  // STE, third word
constexpr std::uint64_t kS2Hd = std::uint64_t{1} << 55;
constexpr std::uint64_t kAf = 0x400;
constexpr std::uint64_t kAp2 = 0x80;      // stage 1: read only
constexpr std::uint64_t kS2Write = 0x80;  // stage 2: writable
constexpr std::uint64_t kDbm = std::uint64_t{1} << 51;
constexpr std::uint64_t kContiguous = std::uint64_t{1} << 52;
constexpr std::uint64_t kClean = SmmuBench::kReadOnly | kDbm;
constexpr std::uint64_t kFullAts = 0x1000'0000;

hw::SmmuConfig config() {
  hw::SmmuConfig result;
  result.features.hardware_update = hw::HardwareUpdate::kAccessFlagAndDirty;
  return result;
}

struct Case {
  const char* what;
  std::uint64_t cd;
  std::uint64_t before, after;  ///< attributes
  bool write;
  std::uint64_t event;  ///< 0: it passes
};

TEST(SmmuHttuTest, SetsWhatAnAccessNeedsAndNothingElse) {
  constexpr std::uint64_t kRw = SmmuBench::kReadWrite;
  constexpr std::uint64_t kRo = SmmuBench::kReadOnly;
  const Case cases[] = {
      {"AF by a read", kHa, kRw & ~kAf, kRw, false, 0},
      {"AF by a write", kHa, kRw & ~kAf, kRw, true, 0},
      {"AF with HD", kHa | kHd, kRo & ~kAf, kRo, false, 0},
      {"AF off", 0, kRw & ~kAf, kRw & ~kAf, false, 0x12},
      {"a read leaves clean pages clean", kHa | kHd, kClean, kClean, false, 0},
      {"a read of a clean page sets AF", kHa | kHd, kClean & ~kAf, kClean, false, 0},
      {"dirty by a write", kHa | kHd, kClean, kClean & ~kAp2, true, 0},
      {"dirty and AF at once", kHa | kHd, kClean & ~kAf, kClean & ~kAp2, true, 0},
      {"dirty already", kHa | kHd, kClean & ~kAp2, kClean & ~kAp2, true, 0},
      {"DBM = 0", kHa | kHd, kRo, kRo, true, 0x13},
      {"HD off", kHa, kClean, kClean, true, 0x13},
      {"HD without HA", kHd, kClean, kClean, true, 0x13},
      {"HD without HA, AF = 0", kHd, kRw & ~kAf, kRw & ~kAf, false, 0x12},
      {"global", kHa | kHd, kClean & ~std::uint64_t{0x800},
       (kClean & ~std::uint64_t{0x800}) & ~kAp2, true, 0},
      {"bits of software", kHa | kHd, kClean | 0x7ULL << 56, (kClean | 0x7ULL << 56) & ~kAp2, true,
       0},
  };
  SmmuBench bench(config());
  for (const Case& one : cases) {
    SCOPED_TRACE(one.what);
    for (const int level : {3, 2}) {
      bench.run([&] {
        const std::uint64_t type = level == 3 ? 0 : 2;
        const std::uint64_t page = SmmuBench::kRam + 0x80'0000;
        const std::uint64_t va = kVa & ~std::uint64_t{0x1f'ffff};
        const std::uint64_t entry = bench.descriptor(kAsid, va, level);
        bench.stage1_stream(kSid, kAsid, one.cd);
        bench.write_word(entry, (page | one.before) & ~type);
        bench.boot();
        EXPECT_EQ(bench.dma(kSid, va, one.write).has_value(), one.event == 0);
        EXPECT_EQ(bench.word(entry), (page | one.after) & ~type);
        const auto events = bench.events();
        ASSERT_EQ(events.size(), one.event == 0 ? 0U : 1U);
        if (one.event != 0) {
          EXPECT_EQ(events[0], (Words4{0x0000'0005'0000'0000U | one.event,
                                       one.write ? 0x200'0000'0000U : 0x208'0000'0000U, va, 0}));
        }
      });
    }
  }
}

TEST(SmmuHttuTest, AnAptableThatTakesWritesAwayIsNotUndone) {
  SmmuBench bench(config());
  bench.run([&] {
    bench.stage1_stream(kSid, kAsid, kHa | kHd);
    bench.map(kAsid, kVa, bench.allocate(), kClean);
    const std::uint64_t table = bench.descriptor(kAsid, kVa, 2);
    bench.write_word(table, bench.word(table) | std::uint64_t{1} << 62);
    bench.boot();
    const std::uint64_t before = bench.word(bench.descriptor(kAsid, kVa));
    EXPECT_EQ(bench.dma(kSid, kVa, true), std::nullopt);
    EXPECT_EQ(bench.word(bench.descriptor(kAsid, kVa)), before);
    ASSERT_EQ(bench.events().size(), 1U);
  });
}

TEST(SmmuHttuTest, AnEntryCachedCleanSetsDirtyInMemoryAtItsFirstWrite) {
  SmmuBench bench(config());
  bench.run([&] {
    bench.stage1_stream(kSid, kAsid, kHa | kHd);
    const std::uint64_t page = bench.allocate();
    bench.map(kAsid, kVa, page, kClean);
    bench.boot();
    const std::uint64_t entry = bench.descriptor(kAsid, kVa);
    EXPECT_EQ(bench.dma(kSid, kVa), page);
    EXPECT_EQ(bench.word(entry), page | kClean);
    EXPECT_EQ(bench.dma(kSid, kVa, true), page);
    EXPECT_EQ(bench.word(entry), page | (kClean & ~kAp2));
    EXPECT_TRUE(bench.events().empty());
    // Cleaned again by software: AP[2] is set, with its TLBI.
    bench.write_word(entry, page | kClean);
    bench.command({0x12 | std::uint64_t{kAsid} << 48, kVa | 1});
    EXPECT_EQ(bench.dma(kSid, kVa, true), page);
    EXPECT_EQ(bench.word(entry), page | (kClean & ~kAp2));
  });
}

TEST(SmmuHttuTest, AStaleCleanEntryIsReadAgainBeforeAnythingIsWritten) {
  SmmuBench bench(config());
  for (const std::uint64_t now : {std::uint64_t{0}, std::uint64_t{0xdead'0000'0000'0f00}}) {
    bench.run([&] {
      bench.stage1_stream(kSid, kAsid, kHa | kHd);
      const std::uint64_t page = bench.allocate();
      bench.map(kAsid, kVa, page, kClean);
      bench.boot();
      EXPECT_EQ(bench.dma(kSid, kVa), page);
      bench.write_word(bench.descriptor(kAsid, kVa), now);  // unmapped; no TLBI yet
      EXPECT_EQ(bench.dma(kSid, kVa, true), std::nullopt) << "no write to a page not marked dirty";
      EXPECT_EQ(bench.word(bench.descriptor(kAsid, kVa)), now);
    });
  }
}

TEST(SmmuHttuTest, AnUpdateNeverOverwritesWhatSoftwareHasJustWritten) {
  hw::SmmuConfig slow = config();
  slow.mmu.walk_step_cycles = 100;
  SmmuBench bench(slow);
  for (unsigned distance = 0; distance <= 600; distance += 23) {
    bench.run([&] {
      std::array<std::uint8_t, 4> data{1, 2, 3, 4};
      bench.stage1_stream(kSid, kAsid, kHa | kHd);
      const std::uint64_t page = bench.allocate();
      bench.map(kAsid, kVa, page, kClean & ~kAf);
      bench.boot();
      bench.board.launch(0, SmmuBench::access(kSid, kVa, true), data.data(), 4);
      bench.pause(distance);
      const std::uint64_t entry = bench.descriptor(kAsid, kVa);
      const std::uint64_t replaced = bench.word(entry);
      bench.write_word(entry, 0);
      bench.submit({{0x12 | std::uint64_t{kAsid} << 48, kVa | 1}, {0x46, 0}});
      bench.settle();
      const bool dirty = (replaced & kAp2) == 0;
      EXPECT_EQ(bench.word(page) != 0, dirty)
          << "written, if software saw it marked, and only then";
      bench.board.wait_until([&] { return bench.board.done(0); });
      EXPECT_EQ(bench.word(entry), 0U);
      EXPECT_EQ(bench.board.result(0).ok, dirty);
    });
  }
}

TEST(SmmuHttuTest, EachPageOfAContiguousGroupIsMarkedByItself) {
  for (const bool merge : {false, true}) {
    hw::SmmuConfig choice = config();
    choice.mmu.merge_contiguous = merge;
    SmmuBench bench(choice);
    bench.run([&] {
      const std::uint64_t base = kVa & ~std::uint64_t{0xffff};
      const std::uint64_t pages = SmmuBench::kRam + 0x80'0000;
      bench.stage1_stream(kSid, kAsid, kHa | kHd);
      for (std::uint64_t at = 0; at < 0x10000; at += 0x1000)
        bench.map(kAsid, base + at, pages + at, (kClean & ~kAf) | kContiguous);
      bench.boot();
      EXPECT_EQ(bench.dma(kSid, base + 0x3000, true), pages + 0x3000);
      for (std::uint64_t at = 0; at < 0x10000; at += 0x1000) {
        const std::uint64_t expected =
            at == 0x3000 ? (kClean & ~kAp2) | kContiguous : (kClean & ~kAf) | kContiguous;
        EXPECT_EQ(bench.word(bench.descriptor(kAsid, base + at)), (pages + at) | expected) << at;
      }
    });
  }
}

// ---- Stage 2 ----

class SmmuHttuStage2Test : public testing::Test {
 protected:
  static hw::SmmuConfig two_stages() {
    hw::SmmuConfig result = config();
    result.features.stage2 = true;
    return result;
  }
  static constexpr std::uint64_t kRw = SmmuBench::kStage2ReadWrite;
  static constexpr std::uint64_t kStage2Clean = (kRw & ~kS2Write) | kDbm;
};

TEST_F(SmmuHttuStage2Test, SetsAfAndWritePermission) {
  const Case cases[] = {
      {"AF", kS2Ha, kRw & ~kAf, kRw, false, 0},
      {"AF off", 0, kRw & ~kAf, kRw & ~kAf, false, 0x12},
      {"dirty", kS2Ha | kS2Hd, kStage2Clean, kStage2Clean | kS2Write, true, 0},
      {"dirty and AF", kS2Ha | kS2Hd, kStage2Clean & ~kAf, kStage2Clean | kS2Write, true, 0},
      {"read", kS2Ha | kS2Hd, kStage2Clean, kStage2Clean, false, 0},
      {"DBM = 0", kS2Ha | kS2Hd, kRw & ~kS2Write, kRw & ~kS2Write, true, 0x13},
      {"S2HD off", kS2Ha, kStage2Clean, kStage2Clean, true, 0x13},
  };
  SmmuBench bench(two_stages());
  for (const Case& one : cases) {
    SCOPED_TRACE(one.what);
    bench.run([&] {
      const std::uint64_t page = bench.allocate();
      bench.set_ste(kSid, {0xd, 0, SmmuBench::stage2_word(3) | one.cd, bench.root(20)});
      bench.map(20, kIpa, page, one.before);
      bench.boot();
      EXPECT_EQ(bench.dma(kSid, kIpa, one.write).has_value(), one.event == 0);
      EXPECT_EQ(bench.word(bench.descriptor(20, kIpa)), page | one.after);
      const auto events = bench.events();
      ASSERT_EQ(events.size(), one.event == 0 ? 0U : 1U);
      if (one.event != 0) {
        EXPECT_EQ(events[0][0], 0x0000'0005'0000'0000U | one.event);
      }
    });
  }
}

TEST_F(SmmuHttuStage2Test, AWriteMarksBothStagesAndTheTableThatItUpdates) {
  SmmuBench bench(two_stages());
  bench.run([&] {
    const std::uint64_t page = bench.allocate();
    bench.stage1_stream(kSid, kAsid, kHa | kHd);
    bench.set_ste(kSid, {0xf | SmmuBench::cd_address(kSid), 0,
                         SmmuBench::stage2_word(3) | kS2Ha | kS2Hd, bench.root(20)});
    bench.map(kAsid, kVa, kIpa, kClean);
    const std::uint64_t entry = bench.descriptor(kAsid, kVa);
    for (int level = 0; level < 4; ++level) {
      const std::uint64_t table = bench.descriptor(kAsid, kVa, level) & ~std::uint64_t{0xfff};
      bench.map(20, table, table, kStage2Clean);
    }
    bench.map(20, SmmuBench::cd_address(kSid), SmmuBench::cd_address(kSid), kStage2Clean & ~kAf);
    bench.map(20, kIpa, page, kStage2Clean);
    bench.boot();
    const auto stage2 = [&](std::uint64_t ipa) {
      return bench.word(bench.descriptor(20, ipa)) & ~std::uint64_t{0xffff'ffff'f000};
    };
    EXPECT_EQ(bench.dma(kSid, kVa), page);
    EXPECT_EQ(bench.word(entry), kIpa | kClean);
    EXPECT_EQ(stage2(kIpa), kStage2Clean) << "a read";
    EXPECT_EQ(stage2(SmmuBench::cd_address(kSid)), kStage2Clean) << "the CD: AF, never dirty";
    EXPECT_EQ(bench.dma(kSid, kVa, true), page);
    EXPECT_EQ(bench.word(entry), kIpa | (kClean & ~kAp2));
    EXPECT_EQ(stage2(kIpa), kStage2Clean | kS2Write);
    EXPECT_EQ(stage2(entry & ~std::uint64_t{0xfff}), kStage2Clean | kS2Write)
        << "the update of the descriptor is a write to its page";
    EXPECT_EQ(stage2(SmmuBench::cd_address(kSid)), kStage2Clean);
    EXPECT_TRUE(bench.events().empty());
  });
}

// ---- ATS ----

TEST(SmmuHttuTest, AtsMarksAtTheRequestUnlessNoWriteIsAskedFor) {
  const struct {
    const char* what;
    std::uint64_t before, after;
    bool no_write, read, write;
  } cases[] = {
      {"clean, write", kClean & ~kAf, kClean & ~kAp2, false, true, true},
      {"clean, NW", kClean & ~kAf, kClean, true, true, false},
      {"read only", SmmuBench::kReadOnly & ~kAf, SmmuBench::kReadOnly, false, true, false},
      {"not mapped", 0, 0, false, false, false},
  };
  SmmuBench bench(config());
  for (const auto& one : cases) {
    SCOPED_TRACE(one.what);
    bench.run([&] {
      bench.stage1_stream(kSid, kAsid, kHa | kHd, kFullAts);
      const std::uint64_t page = one.before == 0 ? 0 : bench.allocate();
      bench.map(kAsid, kVa, page, one.before);
      bench.boot();
      auto access = SmmuBench::access(kSid, kVa, false);
      access.kind = hw::StreamExtension::Kind::kTranslationRequest;
      access.no_write = one.no_write;
      std::array<std::uint8_t, 4> data{};
      for (int i = 0; i < 2; ++i) {  // by a walk, and by what that left in the TLB
        const auto result = bench.board.dma(access, data.data(), 0);
        EXPECT_TRUE(result.ok);
        EXPECT_EQ(result.answer.read, one.read);
        EXPECT_EQ(result.answer.write, one.write);
        EXPECT_EQ(bench.word(bench.descriptor(kAsid, kVa)), page | one.after);
      }
      if (one.no_write) {  // now for writing, from the cached clean entry
        access.no_write = false;
        EXPECT_TRUE(bench.board.dma(access, data.data(), 0).answer.write);
        EXPECT_EQ(bench.word(bench.descriptor(kAsid, kVa)), page | (kClean & ~kAp2));
      }
      EXPECT_TRUE(bench.events().empty());
    });
  }
}

TEST_F(SmmuHttuStage2Test, AnAtsRequestWithoutWritePermissionAtStage1DirtiesNeitherStage) {
  SmmuBench bench(two_stages());
  bench.run([&] {
    const std::uint64_t page = bench.allocate();
    bench.stage1_stream(kSid, kAsid, kHa | kHd);
    bench.set_ste(kSid, {0xf | SmmuBench::cd_address(kSid), kFullAts,
                         SmmuBench::stage2_word(3) | kS2Ha | kS2Hd, bench.root(20)});
    bench.write_word(bench.descriptor(20, SmmuBench::kRam, 1),
                     SmmuBench::kRam | SmmuBench::kStage2Block);
    bench.map(kAsid, kVa, kIpa, SmmuBench::kReadOnly);
    bench.map(20, kIpa, page, kStage2Clean);
    bench.boot();
    auto access = SmmuBench::access(kSid, kVa, false);
    access.kind = hw::StreamExtension::Kind::kTranslationRequest;
    std::array<std::uint8_t, 4> data{};
    const auto result = bench.board.dma(access, data.data(), 0);
    EXPECT_TRUE(result.ok && result.answer.read && !result.answer.write);
    EXPECT_EQ(bench.word(bench.descriptor(20, kIpa)), page | kStage2Clean);
  });
}

}  // namespace
}  // namespace shootdown::tests
