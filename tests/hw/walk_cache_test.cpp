// hw::WalkCache: deepest table first, replacement, and which invalidations drop a table.
#include "hw/mmu/walk_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "tests/hw/random.h"

namespace shootdown::hw {
namespace {

using arch::Invalidation;
using Scope = Invalidation::Scope;

/// Bytes mapped by a table of `level`: 512 GiB, 1 GiB, 2 MiB.
constexpr std::uint64_t span_of(int level) {
  return level == 1 ? std::uint64_t{1} << 39 : level == 2 ? 1u << 30 : 1u << 21;
}

TableReference reference(std::uint64_t va, int level, std::uint16_t asid, std::uint64_t table) {
  TableReference result;
  result.start = {va & ~(span_of(level) - 1)};
  result.level = level;
  result.space.asid = {asid};
  result.table = {table};
  return result;
}

constexpr std::uint64_t kVa = 0x7f00'1234'5000;
constexpr std::uint64_t kTop = ~std::uint64_t{0};

TEST(WalkCacheTest, StartsAtTheDeepestTableOfTheAsid) {
  WalkCache cache(8);
  cache.fill(reference(kVa, 1, 1, 0x1000));
  cache.fill(reference(kVa, 3, 1, 0x3000));
  cache.fill(reference(kVa, 2, 1, 0x2000));
  cache.fill(reference(kVa, 3, 2, 0x4000));

  ASSERT_NE(cache.lookup({kVa}, {1}), nullptr);
  EXPECT_EQ(cache.lookup({kVa}, {1})->table.value, 0x3000U);
  EXPECT_EQ(cache.lookup({kVa}, {2})->table.value, 0x4000U);
  EXPECT_EQ(cache.lookup({kVa}, {3}), nullptr);
  EXPECT_EQ(cache.lookup({kVa + 0x20'0000}, {1})->table.value, 0x2000U);
  EXPECT_EQ(cache.lookup({kVa + 0x4000'0000}, {1})->table.value, 0x1000U);
  EXPECT_EQ(cache.lookup({kVa + (std::uint64_t{1} << 39)}, {1}), nullptr);
}

TEST(WalkCacheTest, ReplacesTheOldestFirst) {
  WalkCache cache(3);
  for (std::uint64_t i = 0; i < 4; ++i) cache.fill(reference(i << 21, 3, 1, i << 12));
  EXPECT_EQ(cache.lookup({0}, {1}), nullptr);
  for (std::uint64_t i = 1; i < 4; ++i) EXPECT_NE(cache.lookup({i << 21}, {1}), nullptr) << i;
  cache.fill(reference(std::uint64_t{9} << 21, 3, 1, 0x9000));
  EXPECT_EQ(cache.lookup({std::uint64_t{1} << 21}, {1}), nullptr);
}

TEST(WalkCacheTest, ASecondFillOfATableWins) {
  WalkCache cache(4);
  cache.fill(reference(kVa, 3, 1, 0x3000));
  cache.fill(reference(kVa, 3, 1, 0x5000));
  EXPECT_EQ(cache.lookup({kVa}, {1})->table.value, 0x5000U);
  cache.invalidate({Scope::kVa, {1}, kVa, kVa + 0xfff, false});
  EXPECT_EQ(cache.lookup({kVa}, {1}), nullptr) << "the first one must not come back";
}

TEST(WalkCacheTest, WithoutEntriesItIsOff) {
  WalkCache cache(0);
  cache.fill(reference(kVa, 3, 1, 0x3000));
  EXPECT_EQ(cache.lookup({kVa}, {1}), nullptr);
  EXPECT_EQ(cache.invalidate({}), 0U);
}

TEST(WalkCacheTest, KeepsTheRestrictionsOfTheTablesAbove) {
  WalkCache cache(1);
  TableReference table = reference(kVa, 3, 1, 0x3000);
  table.restrictions = arch::vmsa64::TableRestrictions::of(true, true);
  cache.fill(table);
  EXPECT_EQ(cache.lookup({kVa}, {1})->restrictions, table.restrictions);
}

struct DropCase {
  const char* name;
  int level;
  Invalidation what;
  bool dropped;
};
std::ostream& operator<<(std::ostream& out, const DropCase& row) { return out << row.name; }

class WalkCacheInvalidationTest : public testing::TestWithParam<DropCase> {};

// The table of `level` above kVa, ASID 1.
constexpr std::array kDrops{
    DropCase{"All", 3, {Scope::kAll, {}, 0, 0, false}, true},
    DropCase{"OwnAsid", 1, {Scope::kAsid, {1}, 0, 0, false}, true},
    DropCase{"OtherAsid", 1, {Scope::kAsid, {2}, 0, 0, false}, false},
    DropCase{"ItsPage", 3, {Scope::kVa, {1}, kVa, kVa + 0xfff, false}, true},
    DropCase{"ItsPageTwoLevelsUp", 1, {Scope::kVa, {1}, kVa, kVa + 0xfff, false}, true},
    DropCase{"ItsPageLeafOnly", 3, {Scope::kVa, {1}, kVa, kVa + 0xfff, true}, false},
    DropCase{"AnotherPageBelowTheTable",
             3,
             {Scope::kVa, {1}, 0x7f00'1220'0000, 0x7f00'1220'0fff, false},
             true},
    DropCase{"APageBesideTheTable",
             3,
             {Scope::kVa, {1}, 0x7f00'1240'0000, 0x7f00'1240'0fff, false},
             false},
    DropCase{"ItsPageOfAnotherAsid", 3, {Scope::kVa, {2}, kVa, kVa + 0xfff, false}, false},
    DropCase{"ItsPageOfAnyAsid", 2, {Scope::kVaAnyAsid, {2}, kVa, kVa + 0xfff, false}, true},
    DropCase{"RangeUpToTheTop", 2, {Scope::kVa, {1}, 0x7f00'3fff'f000, kTop, false}, true},
};
INSTANTIATE_TEST_SUITE_P(Scopes, WalkCacheInvalidationTest, testing::ValuesIn(kDrops),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(WalkCacheInvalidationTest, DropsTablesThatTheScopeReaches) {
  const DropCase& row = GetParam();
  WalkCache cache(4);
  cache.fill(reference(kVa, row.level, 1, 0x3000));

  EXPECT_EQ(cache.invalidate(row.what), row.dropped ? 1U : 0U);
  EXPECT_EQ(cache.lookup({kVa}, {1}) == nullptr, row.dropped);
}

TEST(WalkCacheTest, AgreesWithAListOfTables) {
  tests::Random random(4711);
  SCOPED_TRACE(random.where());
  WalkCache cache(6);
  std::vector<TableReference> live;  // everything filled and not invalidated since; evicted or not
  const auto same = [](const TableReference& a, const TableReference& b) {
    return a.start == b.start && a.level == b.level && a.space == b.space;
  };
  constexpr std::array<std::uint64_t, 3> kRegions{0, 0x7f00'0000'0000, 0xffff'ffff'8000'0000};
  const auto random_va = [&] {
    return kRegions[random.below(3)] + (random.below(3) << 30) + (random.below(3) << 21) +
           (random.below(512) << 12);
  };
  for (unsigned step = 0; step < 20000 && !HasFailure(); ++step) {
    SCOPED_TRACE(step);
    const auto asid = static_cast<std::uint16_t>(random.below(2));
    const auto choice = random.below(100);
    if (choice < 45) {
      const auto table = reference(random_va(), 1 + static_cast<int>(random.below(3)), asid,
                                   random.below(1u << 20) << 12);
      std::erase_if(live, [&](const auto& other) { return same(other, table); });
      live.push_back(table);
      cache.fill(table);
    } else if (choice < 90) {
      const std::uint64_t va = random_va();
      const TableReference* found = cache.lookup({va}, {.asid = {asid}});
      const TableReference* deepest = nullptr;
      const std::vector<TableReference> contents = cache.contents();
      for (const auto& table : contents) {
        const bool reaches =
            va - table.start.value < span_of(table.level) && table.space.asid.value == asid;
        if (reaches && (deepest == nullptr || table.level > deepest->level)) deepest = &table;
      }
      ASSERT_EQ(found != nullptr, deepest != nullptr);
      if (found != nullptr) {
        EXPECT_EQ(found->level, deepest->level);
        EXPECT_TRUE(std::any_of(live.begin(), live.end(), [&](const auto& table) {
          return same(table, *found) && table.table == found->table;
        })) << "a table that was replaced or invalidated";
      }
    } else {
      Invalidation what{static_cast<Scope>(random.below(4)), {asid}, random_va(), 0, false};
      what.last = what.start + (random.percent(50) ? 0xfff : random.below(1u << 31));
      if (what.last < what.start) what.last = kTop;
      const bool by_address = what.scope == Scope::kVa || what.scope == Scope::kVaAnyAsid;
      what.leaf_only = by_address && random.percent(20);
      cache.invalidate(what);
      const auto dropped = [&](const TableReference& table) {
        const std::uint64_t last = table.start.value + (span_of(table.level) - 1);
        const bool overlaps = !(last < what.start || what.last < table.start.value);
        if (what.scope == Scope::kAll) return true;
        if (what.scope == Scope::kAsid) return table.space.asid.value == asid;
        if (what.leaf_only || !overlaps) return false;
        return what.scope == Scope::kVaAnyAsid || table.space.asid.value == asid;
      };
      std::erase_if(live, dropped);
    }
    EXPECT_LE(cache.contents().size(), 6U);
  }
}

}  // namespace
}  // namespace shootdown::hw
