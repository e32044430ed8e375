// hw::TlbArray in single cases: replacement, and what each scope of invalidation removes.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <ostream>
#include <string>

#include "hw/mmu/tlb_array.h"
#include "hw/mmu/translator.h"

namespace shootdown::hw {
namespace {

using arch::Invalidation;
using Scope = Invalidation::Scope;

TlbEntry page_entry(std::uint64_t va, std::uint8_t shift = 12, std::uint16_t asid = 1,
                    bool global = false) {
  TlbEntry entry;
  entry.page = {va};
  entry.page_shift = shift;
  entry.space.asid = {asid};
  entry.global = global;
  entry.output = {va & 0xffff'ffff'f000};
  return entry;
}

TEST(TlbArrayTest, RandomReplacementFollowsItsSeed) {
  const auto victims = [](std::uint64_t seed) {
    TlbArray tlb({8, 8, Replacement::kRandom, seed});
    std::string text;
    for (std::uint64_t page = 0; page < 200; ++page) {
      const auto result = tlb.fill(page_entry(page << 12), tlb.epoch());
      if (result.evicted) text += std::to_string(result.evicted->page.value >> 12) + " ";
    }
    return text;
  };
  EXPECT_EQ(victims(1), victims(1));
  EXPECT_NE(victims(1), victims(2));
}

TEST(TlbArrayTest, TreeReplacementPointsAwayFromTheLastUse) {
  TlbArray tlb({4, 4, Replacement::kPlru, 1});
  for (std::uint64_t page = 0; page < 4; ++page) tlb.fill(page_entry(page << 12), tlb.epoch());
  const auto ways = tlb.contents();
  ASSERT_EQ(ways.size(), 4U);

  // After a use of way 0 the tree points to the other half, and there to the one not used last.
  tlb.lookup(ways[3].page, {1});
  tlb.lookup(ways[0].page, {1});
  const auto first = tlb.fill(page_entry(0x10000), tlb.epoch());
  ASSERT_TRUE(first.evicted);
  EXPECT_EQ(first.evicted->page, ways[2].page);
}

TEST(TlbArrayTest, EveryRepeatedLookUpCountsAsAUse) {
  for (const Replacement replacement : {Replacement::kLru, Replacement::kPlru}) {
    TlbArray tlb({2, 2, replacement, 1});
    tlb.fill(page_entry(0x1000), tlb.epoch());
    tlb.fill(page_entry(0x2000), tlb.epoch());

    for (const std::uint64_t va : {0x1000, 0x2000, 0x1000}) tlb.lookup({va}, {1});

    const auto result = tlb.fill(page_entry(0x3000), tlb.epoch());
    ASSERT_TRUE(result.evicted);
    EXPECT_EQ(result.evicted->page.value, 0x2000U);
  }
}

TEST(TlbArrayTest, PeekDoesNotCountAsAUse) {
  TlbArray tlb({2, 2, Replacement::kLru, 1});
  tlb.fill(page_entry(0x1000), tlb.epoch());
  tlb.fill(page_entry(0x2000), tlb.epoch());

  tlb.peek({0x1000}, {1});

  const auto result = tlb.fill(page_entry(0x3000), tlb.epoch());
  ASSERT_TRUE(result.evicted);
  EXPECT_EQ(result.evicted->page.value, 0x1000U);
}

TEST(TranslatorTest, AddressInTheGapMissesWhateverIsCached) {
  // Bits 63 to 49 count: in the gap between the halves every access is a translation fault, so that
  // it must not hit the entry of the address with the same low bits.
  Translator translator({.tlb = {4, 4, Replacement::kPlru, 1}}, nullptr);
  Stage1Context context;
  context.space.asid = {1};
  for (const std::uint64_t page : {0x1000, 0x2000}) {
    Stage1Walk walk = translator.begin_walk(context, {page});
    while (!walk.done()) {
      walk.feed(walk.level() == 3 ? page | 0xfc3 : 0x80000003);
    }
    translator.install(walk.entry(), walk.epoch);
    ASSERT_NE(translator.lookup({page}, {1}), nullptr);
  }

  for (const std::uint64_t va : {0x0002'0000'0000'1000, 0x0100'0000'0000'1000,
                                 0x00ff'0000'0000'2000, 0x7fff'0000'0000'2000}) {
    EXPECT_EQ(translator.lookup({va}, {1}), nullptr) << std::hex << va;
  }
}

/// Where the entry is, and what is invalidated.
struct InvalidationCase {
  const char* name;
  std::uint64_t page;
  std::uint8_t shift;
  std::uint16_t asid;
  bool global;
  Scope scope;
  std::uint16_t invalidated_asid;
  std::uint64_t start, last;
  bool removed;
};
std::ostream& operator<<(std::ostream& out, const InvalidationCase& row) { return out << row.name; }

class TlbInvalidationTest : public testing::TestWithParam<InvalidationCase> {};

constexpr std::uint64_t kTop = ~std::uint64_t{0};
constexpr std::uint64_t kLastPage = 0xffff'ffff'ffff'f000;
// clang-format off
constexpr std::array<InvalidationCase, 13> kInvalidations{{
    {"AllTakesGlobals", 0x1000, 12, 1, true, Scope::kAll, 0, 0, 0, true},
    {"AsidSparesGlobals", 0x1000, 12, 1, true, Scope::kAsid, 1, 0, 0, false},
    {"AsidTakesItsOwn", 0x1000, 12, 1, false, Scope::kAsid, 1, 0, 0, true},
    {"AsidZeroIsAnAsid", 0x1000, 12, 1, false, Scope::kAsid, 0, 0, 0, false},
    {"VaTakesGlobals", 0x1000, 12, 1, true, Scope::kVa, 2, 0x1000, 0x1fff, true},
    {"VaSparesOtherAsids", 0x1000, 12, 1, false, Scope::kVa, 2, 0x1000, 0x1fff, false},
    {"AnyAsidTakesOtherAsids", 0x1000, 12, 1, false, Scope::kVaAnyAsid, 2, 0x1000, 0x1fff, true},
    {"InsideABlock", 0x20'0000, 21, 1, false, Scope::kVa, 1, 0x3f'f000, 0x3f'ffff, true},
    {"BehindABlock", 0x20'0000, 21, 1, false, Scope::kVa, 1, 0x40'0000, 0x40'0fff, false},
    {"EndsInsideAGigabyte", 0x4000'0000, 30, 1, false, Scope::kVa, 1, 0x3fff'f000, 0x4000'0fff, true},
    {"BehindAGigabyte", 0x4000'0000, 30, 1, false, Scope::kVa, 1, 0x8000'0000, 0x8000'0fff, false},
    {"UpperHalf", kLastPage, 12, 1, false, Scope::kVa, 1, kLastPage, kTop, true},
    {"UpperHalfSparesTheLower", 0xffff'ffff'f000, 12, 1, false, Scope::kVa, 1, kLastPage, kTop, false},
}};
// clang-format on
INSTANTIATE_TEST_SUITE_P(Scopes, TlbInvalidationTest, testing::ValuesIn(kInvalidations),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(TlbInvalidationTest, RemovesWhatTheScopeCovers) {
  const InvalidationCase& row = GetParam();
  TlbArray tlb({16, 4, Replacement::kPlru, 1});
  tlb.fill(page_entry(row.page, row.shift, row.asid, row.global), tlb.epoch());

  // The level of an entry does not matter to a TLB: leaf-only takes the same entries.
  const Invalidation what{row.scope, {row.invalidated_asid}, row.start, row.last, true};
  EXPECT_EQ(tlb.invalidate(what), row.removed ? 1U : 0U);
  EXPECT_EQ(tlb.peek({row.page}, {row.asid}) == nullptr, row.removed);
}

}  // namespace
}  // namespace shootdown::hw
