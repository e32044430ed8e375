// Broadcast TLB maintenance (DVM): who takes part, and when it is complete. Source: Arm IHI
// 0070, 3.17, 3.21.1.
#include <gtest/gtest.h>

#include <string>

#include "support/smmu_bench.h"

namespace shootdown::tests {
namespace {

constexpr std::uint64_t kVa = 0x12'3456'7000;
constexpr std::uint64_t kGlobalVa = 0x12'3457'1000;
constexpr std::uint64_t kGlobal = SmmuBench::kReadWrite & ~std::uint64_t{0x800};
constexpr std::uint64_t kAset = std::uint64_t{1} << 47;
using Op = arch::TlbiOp;

constexpr std::uint64_t by_va(std::uint64_t va, std::uint64_t asid = 0) {
  return asid << 48 | va >> 12;
}
/// Of 4 KiB pages: (NUM + 1) * 2 * 32^SCALE of them.
constexpr std::uint64_t by_range(std::uint64_t va, std::uint64_t scale, std::uint64_t num,
                                 std::uint64_t asid = 0) {
  return asid << 48 | std::uint64_t{1} << 46 | scale << 44 | num << 39 |
         (va >> 12 & 0x1f'ffff'ffff);
}

struct Victim {
  char letter;
  std::uint32_t sid;
  std::uint64_t va;
};
// Streams 1 and 2 share their ASIDs with the CPUs (7, 8), 3 does not (9); 4 is of VMID 3 where
// there is a stage 2.
constexpr Victim kVictims[] = {{'A', 1, kVa}, {'G', 1, kGlobalVa}, {'B', 2, kVa},
                               {'P', 3, kVa}, {'Q', 3, kGlobalVa}, {'V', 4, kVa}};

class SmmuBroadcastTest : public testing::Test {
 protected:
  static hw::SmmuConfig config(bool stage2 = false) {
    hw::SmmuConfig result;
    result.features.broadcast = true;
    result.features.stage2 = stage2;
    return result;
  }
  static void map_fresh(SmmuBench& bench) {
    for (const Victim& one : kVictims) {
      bench.map(static_cast<std::uint16_t>(one.sid), one.va, bench.allocate(),
                one.va == kGlobalVa ? kGlobal : SmmuBench::kReadWrite);
    }
  }
  /// Letters of the pages that are translated anew.
  static std::string removed(SmmuBench& bench, Op op, std::uint64_t operand,
                             std::uint32_t cr2 = 0x2) {
    std::string result;
    bench.run([&] {
      for (std::uint16_t stream = 1; stream <= 4; ++stream) {
        Words8 cd = bench.stage1_cd(static_cast<std::uint16_t>(stream == 4 ? 7 : stream + 6),
                                    stream == 3 ? kAset : 0);
        cd[1] = bench.root(stream);
        bench.set_cd(stream, 0, cd);
        bench.set_ste(stream, {0xb | SmmuBench::cd_address(stream), 0, stream == 4 ? 3U : 0U});
      }
      map_fresh(bench);
      bench.boot(0);
      bench.set_reg(0x2c, cr2);
      bench.set_cr0(0xd);
      std::map<char, std::optional<std::uint64_t>> before;
      for (const Victim& one : kVictims) before[one.letter] = bench.dma(one.sid, one.va);
      map_fresh(bench);
      bench.board.dvm().broadcast(0, op, operand);
      bench.board.dvm().synchronize(0);
      for (const Victim& one : kVictims) {
        const auto now = bench.dma(one.sid, one.va);
        EXPECT_TRUE(now) << one.letter;
        if (now != before[one.letter]) result += one.letter;
      }
    });
    return result;
  }
};

struct Case {
  const char* what;
  Op op;
  std::uint64_t operand;
  const char* required;
};

TEST_F(SmmuBroadcastTest, RemovesWhatMatchesAndMaySparePrivateAsids) {
  SmmuBench bench(config(true));
  const Case cases[] = {
      {"VAE1", Op::kVae1is, by_va(kVa, 7), "A"},
      {"VALE1", Op::kVale1is, by_va(kVa, 8), "B"},
      {"VAE1 of a private ASID", Op::kVae1is, by_va(kVa, 9), ""},
      {"VAE1 of a global page", Op::kVae1is, by_va(kGlobalVa, 99), "G"},
      {"VAE1 elsewhere", Op::kVae1is, by_va(kVa + 0x1000, 7), ""},
      {"ASIDE1", Op::kAside1is, std::uint64_t{7} << 48, "A"},
      {"ASIDE1 of a private ASID", Op::kAside1is, std::uint64_t{9} << 48, ""},
      {"VAAE1", Op::kVaae1is, by_va(kVa), "ABP"},
      {"VAALE1", Op::kVaale1is, by_va(kGlobalVa), "GQ"},
      {"VMALLE1", Op::kVmalle1is, 0, "AGBPQ"},
      {"RVAE1", Op::kRvae1is, by_range(kVa - 0x1000, 0, 0, 7), "A"},
      {"RVAE1 of both pages", Op::kRvae1is, by_range(kVa - 0x3000, 0, 8, 7), "AG"},
      {"RVALE1, private", Op::kRvale1is, by_range(kVa, 1, 0, 9), "G"},
      {"RVAAE1", Op::kRvaae1is, by_range(kVa - 0x3000, 0, 8), "AGBPQ"},
      {"RVAALE1", Op::kRvaale1is, by_range(kVa, 0, 0), "ABP"},
  };
  for (const Case& one : cases) {
    const std::string gone = removed(bench, one.op, one.operand);
    for (const char letter : std::string(one.required))
      EXPECT_NE(gone.find(letter), std::string::npos) << one.what << ": " << letter;
    for (const char letter : gone) {
      EXPECT_TRUE(std::string(one.required).find(letter) != std::string::npos || letter == 'V')
          << one.what << ": the model removes no more, VMIDs aside: " << letter;
    }
  }
}

TEST_F(SmmuBroadcastTest, WithoutStage2TheSmmuIsVmidZero) {
  SmmuBench bench(config());
  bench.run([&] {
    bench.stage1_stream(1, 7);
    const std::uint64_t first = bench.allocate();
    const std::uint64_t second = bench.allocate();
    bench.map(7, kVa, first);
    bench.boot();
    EXPECT_EQ(bench.dma(1, kVa), first);
    bench.map(7, kVa, second);
    bench.board.dvm().broadcast(0, Op::kVale1is, by_va(kVa, 7));
    bench.board.dvm().synchronize(0);
    EXPECT_EQ(bench.dma(1, kVa), second);
  });
}

TEST_F(SmmuBroadcastTest, PtmAndAnSmmuWithoutBtmIgnoreEverything) {
  SmmuBench bench(config(true));
  hw::SmmuConfig without = config(true);
  without.features.broadcast = false;
  SmmuBench deaf(without);
  for (const Op op : {Op::kVae1is, Op::kAside1is, Op::kVaae1is, Op::kVmalle1is}) {
    const std::uint64_t operand = op == Op::kVmalle1is ? 0 : by_va(kVa, 7);
    EXPECT_EQ(removed(bench, op, operand, 0x6), "") << "PTM: as the architecture recommends";
    EXPECT_EQ(removed(deaf, op, operand), "");
  }
}

TEST_F(SmmuBroadcastTest, ConfigurationsAndEl2AreNotTouched) {
  hw::SmmuConfig choice = config(true);
  choice.features.hyp = true;
  SmmuBench bench(choice);
  bench.run([&] {
    const std::uint64_t first = bench.allocate();
    const std::uint64_t second = bench.allocate();
    bench.stage1_stream(1, 7);
    bench.map(7, kVa, first);
    bench.map(8, kVa, second);
    bench.set_cd(2, 0, bench.stage1_cd(8));
    bench.stage1_stream(3, 9, 0, 0x8000'0000);  // EL2
    bench.map(9, kVa, first);
    bench.boot();
    EXPECT_EQ(bench.dma(1, kVa), first);
    EXPECT_EQ(bench.dma(3, kVa), first);
    bench.write_word(SmmuBench::kStreamTable + 64, 0xb | SmmuBench::cd_address(2));
    bench.map(9, kVa, second);
    bench.board.dvm().broadcast(0, Op::kVmalle1is, 0);
    bench.board.dvm().synchronize(0);
    EXPECT_EQ(bench.dma(1, kVa), first) << "the STE needs CMD_CFGI";
    EXPECT_EQ(bench.dma(3, kVa), first) << "EL2 is not in VMALLE1's scope";
  });
}

TEST_F(SmmuBroadcastTest, TheTablesAboveGoUnlessOnlyTheLastLevelIsNamed) {
  for (const bool leaf : {false, true}) {
    SmmuBench bench(config());
    bench.run([&] {
      bench.stage1_stream(1, 7);
      bench.map(7, kVa, bench.allocate());
      bench.boot();
      bench.dma(1, kVa);
      const std::uint64_t page = bench.allocate();
      const std::uint64_t table = bench.allocate();
      bench.write_word(table + (kVa >> 12 & 0x1ff) * 8, page | SmmuBench::kReadWrite);
      bench.write_word(bench.descriptor(7, kVa, 2), table | 3);
      bench.board.dvm().broadcast(0, leaf ? Op::kVale1is : Op::kVae1is, by_va(kVa, 7));
      bench.board.dvm().synchronize(0);
      const auto output = bench.dma(1, kVa);
      if (!leaf) {
        EXPECT_EQ(output, page);
      }
    });
  }
}

// ---- Completion ----

/// Accesses and a leaf that is replaced, at every distance; how often the old page was reached
/// after the DVM Sync.
unsigned late_or_stale(hw::SmmuConfig config) {
  constexpr std::uint64_t kReused = 0x5a5a'5a5a'5a5a'5a5a;
  config.features.broadcast = true;
  config.mmu.walk_step_cycles = 100;
  config.mmu.hit_latency_cycles = 50;
  SmmuBench bench(config);
  unsigned result = 0;
  for (const bool warm : {false, true}) {
    for (unsigned distance = 0; distance <= 600; distance += 23) {
      bench.run([&] {
        std::array<std::uint8_t, 4> data{1, 2, 3, 4};
        const std::uint64_t old_page = bench.allocate();
        const std::uint64_t new_page = bench.allocate();
        bench.stage1_stream(1, 7);
        bench.map(7, kVa, old_page);
        bench.boot();
        if (warm) bench.dma(1, kVa);
        bench.board.launch(0, SmmuBench::access(1, kVa, true), data.data(), 4);
        bench.pause(distance);
        bench.map(7, kVa, new_page);
        bench.board.dvm().broadcast(0, Op::kVale1is, by_va(kVa, 7));
        bench.board.dvm().synchronize(0);
        bench.write_word(old_page, kReused);
        bench.board.wait_until([&] { return bench.board.done(0); });
        if (bench.word(old_page) != kReused || bench.dma(1, kVa) != new_page) ++result;
      });
    }
  }
  return result;
}

TEST_F(SmmuBroadcastTest, SyncIsAnsweredAfterTheAccessesThatUsedTheOldEntries) {
  EXPECT_EQ(late_or_stale({}), 0U);
}

TEST_F(SmmuBroadcastTest, PlantedDefectsAreSeen) {
  hw::SmmuConfig without_drain;
  without_drain.mmu.complete_without_drain = true;
  EXPECT_GT(late_or_stale(without_drain), 0U);
  hw::SmmuConfig ignoring;
  ignoring.mmu.ignore_invalidations = true;
  EXPECT_GT(late_or_stale(ignoring), 0U);
}

TEST_F(SmmuBroadcastTest, AGlobalEntryOfOneAsetIsNotUsedThroughTheOther) {
  for (const bool global : {true, false}) {
    SmmuBench bench(config());
    bench.run([&] {
      // Two streams of different ASIDs (or, for what is not global, of one), with tables of their
      // own.
      const std::uint64_t shared = bench.allocate();
      const std::uint64_t own = bench.allocate();
      const std::uint64_t attributes = global ? kGlobal : SmmuBench::kReadWrite;
      bench.stage1_stream(1, 7);
      Words8 cd = bench.stage1_cd(global ? 8 : 9, kAset);
      cd[1] = bench.root(8);
      bench.set_cd(2, 0, cd);
      bench.set_ste(2, {0xb | SmmuBench::cd_address(2)});
      bench.map(7, kVa, shared, attributes);
      bench.map(8, kVa, own, attributes);
      bench.boot();
      EXPECT_EQ(bench.dma(1, kVa), shared);
      EXPECT_EQ(bench.dma(2, kVa), own);
      EXPECT_EQ(bench.dma(1, kVa), shared);
    });
  }
}

}  // namespace
}  // namespace shootdown::tests
