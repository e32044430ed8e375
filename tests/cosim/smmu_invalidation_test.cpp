// What each TLBI command has to remove: entries by stage, VMID, ASID, address and level. (Ranges
// and hints: smmu_tlbi_range_test.cpp.) Removing more is legal; that this model does not is said
// where it is tested. Source: Arm IHI 0070, 3.17, 4.3, 4.4; Arm ARM D8.14.
#include <gtest/gtest.h>

#include <string>

#include "support/smmu_bench.h"

namespace shootdown::tests {
namespace {

constexpr std::uint64_t kVa = 0x12'3456'7000;
constexpr std::uint64_t kGlobalVa = 0x12'3457'1000;
constexpr std::uint64_t kGlobal = SmmuBench::kReadWrite & ~std::uint64_t{0x800};  // nG = 0
constexpr std::uint64_t kBlock = SmmuBench::kReadWrite & ~std::uint64_t{2};
constexpr std::uint64_t kContiguous = std::uint64_t{1} << 52;
constexpr std::uint32_t kSid = 5;
constexpr std::uint16_t kAsid = 7;

constexpr std::uint64_t vmid(std::uint64_t value) { return value << 32; }
constexpr std::uint64_t asid(std::uint64_t value) { return value << 48; }
/// NUM, SCALE in the first word, TG and TTL in the second.
constexpr std::uint64_t range(unsigned scale, unsigned num) {
  return std::uint64_t{scale} << 20 | std::uint64_t{num} << 12;
}
constexpr std::uint64_t hint(unsigned tg, unsigned ttl) {
  return std::uint64_t{tg} << 10 | std::uint64_t{ttl} << 8;
}

// ---- Which entries: stage, VMID, ASID, global ----

/// A page of one stream, by a letter.
struct Victim {
  char letter;
  std::uint32_t sid;
  std::uint16_t space;
  std::uint64_t va;
};
constexpr Victim kVictims[] = {
    {'A', 1, 1, kVa},        // VMID 3, ASID 7
    {'G', 1, 1, kGlobalVa},  // VMID 3, global
    {'B', 2, 2, kVa},        // VMID 3, ASID 8
    {'C', 3, 3, kVa},        // VMID 4, ASID 7
    {'E', 4, 4, kVa},        // EL2, or EL2&0 with ASID 7
    {'F', 5, 5, kVa},        // EL2&0, ASID 8
    {'H', 5, 5, kGlobalVa},  // EL2&0, global
    {'S', 6, 6, kVa},        // stage 2 of VMID 3
    {'T', 7, 7, kVa},        // stage 2 of VMID 4
    {'N', 8, 8, kVa},        // both stages, VMID 9
};

struct Scope {
  const char* name;
  bool e2h;
  Words2 command;
  std::string gone;
};
void PrintTo(const Scope& scope, std::ostream* out) { *out << scope.name; }

class SmmuTlbiScopeTest : public testing::TestWithParam<Scope> {
 protected:
  static hw::SmmuConfig config() {
    hw::SmmuConfig result;
    result.features.stage2 = true;
    result.features.hyp = true;
    result.features.vmid_wildcard = true;
    result.mmu.translator.tlb = {.entries = 64, .ways = 64};
    result.mmu.translator.walk_cache_entries = 64;
    return result;
  }
  static void stage1(SmmuBench& bench, std::uint32_t stream, std::uint16_t space, std::uint16_t tag,
                     std::uint64_t ste1, std::uint64_t ste2) {
    bench.set_ste(stream, {0xb | SmmuBench::cd_address(stream), ste1, ste2});
    Words8 cd = bench.stage1_cd(tag);
    cd[1] = bench.root(space);
    bench.set_cd(stream, 0, cd);
  }
  static void stage2(SmmuBench& bench, std::uint32_t stream, std::uint16_t space,
                     std::uint16_t tag) {
    bench.set_ste(stream, {0xd, 0, SmmuBench::stage2_word(tag), bench.root(space)});
  }
  void set_up(SmmuBench& bench, bool e2h, std::uint32_t cr0_bits = 0) {
    stage1(bench, 1, 1, 7, 0, 3);
    stage1(bench, 2, 2, 8, 0, 3);
    stage1(bench, 3, 3, 7, 0, 4);
    stage1(bench, 4, 4, 7, kEl2, 0);
    stage1(bench, 5, 5, 8, e2h ? kEl2 : 0, 0x77);
    stage2(bench, 6, 6, 3);
    stage2(bench, 7, 7, 4);
    // Both stages: the tables of stage 1 are where they are, data pages are mapped one by one.
    Words8 cd = bench.stage1_cd(7);
    cd[1] = bench.root(8);
    bench.set_cd(8, 0, cd);
    bench.set_ste(8, {0xf | SmmuBench::cd_address(8), 0, SmmuBench::stage2_word(9), bench.root(9)});
    bench.write_word(bench.descriptor(9, SmmuBench::kRam, 1),
                     SmmuBench::kRam | SmmuBench::kStage2Block);
    bench.map(9, kIpa, bench.allocate(), SmmuBench::kStage2ReadWrite);
    for (const Victim& victim : kVictims) {
      if (victim.letter == 'N') {
        bench.map(8, kVa, kIpa);
      } else {
        map_fresh(bench, victim);
      }
    }
    bench.boot(0);
    bench.set_reg(0x2c, e2h ? 3 : 2);
    bench.set_cr0(0xd | cr0_bits);
  }
  static bool stage2_only(const Victim& victim) {
    return victim.letter == 'S' || victim.letter == 'T';
  }
  static void map_fresh(SmmuBench& bench, const Victim& victim) {
    bench.map(victim.space, victim.va, bench.allocate(),
              stage2_only(victim)      ? SmmuBench::kStage2ReadWrite
              : victim.va == kGlobalVa ? kGlobal
                                       : SmmuBench::kReadWrite);
  }
  /// Letters of the pages that are translated anew after the command.
  static std::string removed(SmmuBench& bench, const std::vector<Words2>& commands) {
    std::map<char, std::optional<std::uint64_t>> before;
    for (const Victim& victim : kVictims) {
      before[victim.letter] = bench.dma(victim.sid, victim.va);
      EXPECT_TRUE(before[victim.letter]) << victim.letter;
    }
    for (const Victim& victim : kVictims) {
      if (victim.letter == 'N') {
        bench.map(9, kIpa, bench.allocate(), SmmuBench::kStage2ReadWrite);
      } else {
        map_fresh(bench, victim);
      }
    }
    for (const Words2& command : commands) bench.command(command);
    EXPECT_FALSE(bench.stopped());
    std::string result;
    for (const Victim& victim : kVictims) {
      const auto now = bench.dma(victim.sid, victim.va);
      EXPECT_TRUE(now) << victim.letter;
      if (now != before[victim.letter]) result += victim.letter;
    }
    return result;
  }
  static constexpr std::uint64_t kIpa = 0x8'0000'0000;
  static constexpr std::uint64_t kEl2 = 0x8000'0000;  // STRW = 2
};

TEST_P(SmmuTlbiScopeTest, RemovesTheseEntries) {
  SmmuBench bench(config());
  bench.run([&] {
    set_up(bench, GetParam().e2h);
    const std::string gone = removed(bench, {GetParam().command});
    for (const char letter : GetParam().gone)
      EXPECT_NE(gone.find(letter), std::string::npos) << letter << " had to go";
    EXPECT_EQ(gone, GetParam().gone) << "and this model removes no other";
  });
}

INSTANTIATE_TEST_SUITE_P(
    All, SmmuTlbiScopeTest,
    testing::Values(
        Scope{"NhAll", false, {0x10 | vmid(3), 0}, "AGB"},
        Scope{"NhAllOfTheOtherVmid", false, {0x10 | vmid(4), 0}, "C"},
        Scope{"NhAllOfBothStages", false, {0x10 | vmid(9), 0}, ""},  // stage 2 stays as it is
        Scope{"NhAsidSparesGlobals", false, {0x11 | vmid(3) | asid(7), 0}, "A"},
        Scope{"NhAsidOfAnotherVmid", false, {0x11 | vmid(4) | asid(8), 0}, ""},
        Scope{"NhVa", false, {0x12 | vmid(3) | asid(7), kVa}, "A"},
        Scope{"NhVaLeaf", false, {0x12 | vmid(3) | asid(8), kVa | 1}, "B"},
        Scope{
            "NhVaOfAnyAsidRemovesGlobals", false, {0x12 | vmid(3) | asid(99), kGlobalVa | 1}, "G"},
        Scope{"NhVaOfAnotherPage", false, {0x12 | vmid(3) | asid(7), kVa + 0x1000}, ""},
        Scope{"NhVaa", false, {0x13 | vmid(3), kVa}, "AB"},
        Scope{"NhVaaRemovesGlobals", false, {0x13 | vmid(3), kGlobalVa | 1}, "G"},
        Scope{"S12Vmall", false, {0x28 | vmid(3), 0}, "AGBS"},
        Scope{"S12VmallOfBothStages", false, {0x28 | vmid(9), 0}, "N"},
        Scope{"S2Ipa", false, {0x2a | vmid(3), kVa}, "S"},
        Scope{"S2IpaLeaf", false, {0x2a | vmid(4), kVa | 1}, "T"},
        Scope{"S2IpaOfAnotherPage", false, {0x2a | vmid(3), kVa + 0x1000}, ""},
        Scope{"NsnhAll", false, {0x30, 0}, "AGBCFHSTN"},
        Scope{"NsnhAllSparesEl2", true, {0x30, 0}, "AGBCSTN"},
        Scope{"El2All", false, {0x20, 0}, "E"}, Scope{"El2AllOfEl2Host", true, {0x20, 0}, "EFH"},
        Scope{"El2AsidSparesGlobals", true, {0x21 | asid(8), 0}, "F"},
        Scope{"El2VaWithoutAsids", false, {0x22 | asid(0x55), kVa}, "E"},
        Scope{"El2VaOfAnAsid", true, {0x22 | asid(7), kVa | 1}, "E"},
        Scope{"El2VaRemovesGlobals", true, {0x22 | asid(7), kGlobalVa}, "H"},
        Scope{"El2Vaa", false, {0x23, kVa}, "E"},
        Scope{"El2VaaOfEl2Host", true, {0x23, kVa | 1}, "EF"}),
    [](const auto& one) { return std::string(one.param.name); });

TEST_F(SmmuTlbiScopeTest, AnIpaThenStage1RemovesWhatWasMadeOfBoth) {
  SmmuBench bench(config());
  bench.run([&] {
    set_up(bench, false);
    EXPECT_EQ(removed(bench, {{0x2a | vmid(9), kIpa | 1}, {0x10 | vmid(9), 0}}), "N");
    EXPECT_EQ(removed(bench, {{0x2a | vmid(9), kIpa | 1}, {0x13 | vmid(9), kVa | 1}}), "N");
  });
}

TEST_F(SmmuTlbiScopeTest, AVmidWildcardWidensInvalidationsAndNotLookups) {
  const struct {
    std::uint32_t vmw;
    Words2 command;
    const char* gone;
  } cases[] = {
      {0, {0x10 | vmid(2), 0}, ""},
      {1, {0x10 | vmid(2), 0}, "AGB"},
      {1, {0x10 | vmid(5), 0}, "C"},
      {1, {0x2a | vmid(2), kVa}, "S"},
      {2, {0x28 | vmid(7), 0}, "CT"},
      {3, {0x28 | vmid(0), 0}, "AGBCST"},
      {3, {0x12 | vmid(6) | asid(7), kVa}, "AC"},
      {4, {0x11 | vmid(0) | asid(7), 0}, "AC"},
  };
  SmmuBench bench(config());
  for (const auto& one : cases) {
    bench.run([&] {
      set_up(bench, false, one.vmw << 6);  // looks everything up with VMIDs 3 and 4 distinct
      EXPECT_EQ(removed(bench, {one.command}), one.gone) << "VMW = " << one.vmw;
    });
  }
}

// ---- Table descriptors, blocks, Contiguous groups ----

class SmmuTlbiLevelTest : public testing::Test {
 protected:
  /// Points the level 2 entry for kVa to another table, whose pages are elsewhere.
  static void replace_leaf_table(SmmuBench& bench) {
    const std::uint64_t table = bench.allocate();
    for (std::uint64_t page = 0; page < 512; ++page)
      bench.write_word(table + page * 8, (kElsewhere + page * 0x1000) | SmmuBench::kReadWrite);
    bench.write_word(bench.descriptor(kAsid, kVa, 2), table | 3);
  }
  static std::uint64_t elsewhere(std::uint64_t va) { return kElsewhere + (va & 0x1f'f000); }
  /// Whether `command` makes the new table be used at `va`, after an access to kVa.
  static bool follows(const Words2& command, std::uint64_t va) {
    SmmuBench bench({});
    bool result = false;
    bench.run([&] {
      bench.stage1_stream(kSid, kAsid);
      bench.map(kAsid, kVa, bench.allocate());
      bench.map(kAsid, kVa + 0x1000, bench.allocate());
      bench.boot();
      EXPECT_TRUE(bench.dma(kSid, kVa));
      replace_leaf_table(bench);
      bench.command(command);
      const auto output = bench.dma(kSid, va);
      EXPECT_TRUE(output);
      result = output == elsewhere(va);
    });
    return result;
  }
  static constexpr std::uint64_t kElsewhere = SmmuBench::kRam + 0x800'0000;
};

TEST_F(SmmuTlbiLevelTest, WalkCacheEntriesGoUnlessLeafIsSet) {
  for (const std::uint64_t va : {kVa, kVa + 0x1000}) {
    EXPECT_TRUE(follows({0x12 | asid(kAsid), kVa}, va));
    EXPECT_TRUE(follows({0x13, kVa}, va));
    EXPECT_TRUE(follows({0x11 | asid(kAsid), 0}, va));
    EXPECT_TRUE(follows({0x10, 0}, va));
    EXPECT_TRUE(follows({0x30, 0}, va));
    EXPECT_TRUE(follows({0x12 | asid(kAsid) | range(0, 0), kVa | hint(1, 3)}, va));
    EXPECT_TRUE(follows({0x13 | range(4, 3), (kVa - 0x10000) | hint(1, 0)}, va));
    // These may stay; in this model they do.
    EXPECT_FALSE(follows({0x12 | asid(kAsid), kVa | 1}, va)) << "Leaf = 1";
    EXPECT_FALSE(follows({0x11 | asid(kAsid + 1), 0}, va)) << "another ASID";
  }
  EXPECT_TRUE(follows({0x12 | asid(kAsid), kVa + 0x1000}, kVa + 0x1000));
}

struct Layout {
  const char* name;
  bool splinter;
  bool merge;
};
class SmmuTlbiBlockTest : public testing::TestWithParam<Layout> {
 protected:
  static hw::SmmuConfig config() {
    hw::SmmuConfig result;
    result.mmu.splinter_blocks = GetParam().splinter;
    result.mmu.merge_contiguous = GetParam().merge;
    return result;
  }
};

TEST_P(SmmuTlbiBlockTest, AnyAddressInsideRemovesAWholeBlock) {
  SmmuBench bench(config());
  for (const int level : {2, 1}) {
    const std::uint64_t bytes = level == 2 ? 0x20'0000 : 0x4000'0000;
    const std::uint64_t base = kVa & ~(bytes - 1);
    for (const std::uint64_t at : {std::uint64_t{0}, bytes / 2 + 0x3000, bytes - 0x1000}) {
      const Words2 commands[] = {
          {0x12 | asid(kAsid), (base + at) | 1},
          {0x13, base + at},
          {0x12 | asid(kAsid) | range(0, 1), (base + at) | hint(1, 0)},
          {0x12 | asid(kAsid) | range(0, 0), base | hint(1, static_cast<unsigned>(level)) | 1}};
      for (const Words2& command : commands) {
        bench.run([&] {
          bench.stage1_stream(kSid, kAsid);
          bench.write_word(bench.descriptor(kAsid, base, level), 0x1'0000'0000 | kBlock);
          bench.boot();
          for (const std::uint64_t offset : {std::uint64_t{0x5000}, bytes - 0x7000})
            EXPECT_EQ(bench.dma(kSid, base + offset), 0x1'0000'0000 + offset);
          bench.write_word(bench.descriptor(kAsid, base, level), 0x2'0000'0000 | kBlock);
          bench.command(command);
          for (const std::uint64_t offset : {std::uint64_t{0x5000}, bytes - 0x7000})
            EXPECT_EQ(bench.dma(kSid, base + offset), 0x2'0000'0000 + offset)
                << std::hex << command[1];
        });
      }
    }
  }
}

TEST_P(SmmuTlbiBlockTest, AContiguousGroupDoesNotOutliveTheInvalidationOfOneOfItsPages) {
  SmmuBench bench(config());
  bench.run([&] {
    const std::uint64_t base = kVa & ~std::uint64_t{0xffff};
    const auto map_group = [&](std::uint64_t output) {
      for (std::uint64_t at = 0; at < 0x10000; at += 0x1000)
        bench.map(kAsid, base + at, output + at, SmmuBench::kReadWrite | kContiguous);
    };
    bench.stage1_stream(kSid, kAsid);
    map_group(0x1'0000'0000);
    bench.boot();
    EXPECT_EQ(bench.dma(kSid, base + 0x3000), 0x1'0000'3000U);
    map_group(0x2'0000'0000);
    const bool merged = bench.dma(kSid, base + 0x9000) == 0x1'0000'9000;
    EXPECT_EQ(merged, GetParam().merge);
    bench.command({0x12 | asid(kAsid), (base + 0x9000) | 1});
    EXPECT_EQ(bench.dma(kSid, base + 0x9000), 0x2'0000'9000U);
    if (merged) {
      EXPECT_EQ(bench.dma(kSid, base + 0x3000), 0x2'0000'3000U);
    }
  });
}

INSTANTIATE_TEST_SUITE_P(All, SmmuTlbiBlockTest,
                         testing::Values(Layout{"Plain", false, false},
                                         Layout{"Splinters", true, false},
                                         Layout{"Merged", false, true}, Layout{"Both", true, true}),
                         [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace shootdown::tests
