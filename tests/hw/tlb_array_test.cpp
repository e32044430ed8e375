// hw::TlbArray against a plain list of entries with slow matching of its own. Rules: IHI 0070
// sections 3.17 and 4.4; Arm ARM D8.13.
#include "hw/mmu/tlb_array.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <ostream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/hw/random.h"

namespace shootdown::hw {

void PrintTo(const TlbEntry& entry, std::ostream* out) {
  std::ostringstream text;
  text << std::hex << "page 0x" << entry.page.value << std::dec << " shift "
       << unsigned{entry.page_shift} << " asid " << entry.space.asid.value
       << (entry.global ? " global" : "") << " output 0x" << std::hex << entry.output.value;
  *out << text.str();
}

namespace {

using arch::Asid;
using arch::Invalidation;
using arch::VirtAddr;
using Scope = Invalidation::Scope;
using tests::Random;

const TlbEntry* evicted_by(const TlbFillResult& result) {
  return result.evicted ? &*result.evicted : nullptr;
}

struct ListedEntry {
  TlbEntry entry;
  std::uint64_t used{};  ///< when: a larger number is later
};

/// The entries that have to be in the TLB.
class EntryList {
 public:
  explicit EntryList(const TlbGeometry& geometry)
      : ways_(geometry.ways), sets_(geometry.entries / geometry.ways) {}

  std::uint64_t set_of(const TlbEntry& entry) const {
    return (entry.page.value >> entry.page_shift) % sets_;
  }
  static bool same_tag(const TlbEntry& a, const TlbEntry& b) {
    return a.page == b.page && a.page_shift == b.page_shift && a.global == b.global &&
           (a.global || a.space.asid == b.space.asid);
  }
  ListedEntry* find(const TlbEntry& entry) {
    for (auto& listed : entries) {
      if (same_tag(listed.entry, entry)) return &listed;
    }
    return nullptr;
  }
  std::vector<ListedEntry*> in_set_of(const TlbEntry& entry) {
    std::vector<ListedEntry*> result;
    for (auto& listed : entries) {
      if (set_of(listed.entry) == set_of(entry)) result.push_back(&listed);
    }
    return result;
  }
  /// Smallest page size of the entries that match; 0: none does.
  unsigned smallest_match(VirtAddr va, Asid asid) const {
    unsigned smallest = 0;
    for (const auto& listed : entries) {
      if (!matches(listed.entry, va, asid)) continue;
      if (smallest == 0 || listed.entry.page_shift < smallest) smallest = listed.entry.page_shift;
    }
    return smallest;
  }
  static bool matches(const TlbEntry& entry, VirtAddr va, Asid asid) {
    const bool page = entry.page.value >> entry.page_shift == va.value >> entry.page_shift;
    return page && (entry.global || entry.space.asid == asid);
  }
  static bool covered(const TlbEntry& entry, const Invalidation& what) {
    const std::uint64_t last = entry.page.value + ((std::uint64_t{1} << entry.page_shift) - 1);
    const bool overlaps = !(last < what.start) && !(what.last < entry.page.value);
    const bool own = !entry.global && entry.space.asid == what.asid;
    if (what.scope == Scope::kAll) return true;
    if (what.scope == Scope::kAsid) return own;
    if (what.scope == Scope::kVa) return overlaps && (own || entry.global);
    return overlaps;
  }
  unsigned ways() const { return ways_; }

  std::vector<ListedEntry> entries;

 private:
  unsigned ways_;
  unsigned sets_;
};

/// Few pages, so that things meet: some 2 MiB and 1 GiB regions in both halves, 4 KiB pages in
/// them.
VirtAddr random_va(Random& random) {
  constexpr std::array<std::uint64_t, 4> kRegions{0x0, 0x7f00'4000'0000, 0xffff'ff80'0000'0000,
                                                  0xffff'ffff'c000'0000};
  const std::uint64_t region = kRegions[random.below(kRegions.size())];
  const std::uint64_t block = random.below(3) * (2u << 20);
  const std::uint64_t page = (random.percent(80) ? random.below(8) : 504 + random.below(8)) << 12;
  const std::uint64_t top = random.percent(10) ? 0x3fe0'0000 : 0;
  return {region + (block | page | top) + random.below(4096)};
}

TlbEntry random_entry(Random& random) {
  constexpr std::array<std::uint8_t, 4> kShifts{12, 12, 21, 30};
  TlbEntry entry;
  entry.page_shift = kShifts[random.below(kShifts.size())];
  entry.page = page_of(random_va(random), entry.page_shift);
  entry.space.asid = {static_cast<std::uint16_t>(random.below(3) * 0x7fff)};
  entry.global = random.percent(15);
  entry.output = {(random.bits() & 0xffff'ffff'f000) >> entry.page_shift << entry.page_shift};
  entry.permissions = {static_cast<std::uint8_t>(random.below(16))};
  entry.attributes = static_cast<std::uint8_t>(random.below(32));
  return entry;
}

Invalidation random_invalidation(Random& random) {
  Invalidation what;
  const auto choice = random.below(100);
  what.scope = choice < 4    ? Scope::kAll
               : choice < 12 ? Scope::kAsid
               : choice < 60 ? Scope::kVa
                             : Scope::kVaAnyAsid;
  what.asid = {static_cast<std::uint16_t>(random.below(3) * 0x7fff)};
  what.start = random_va(random).value & ~std::uint64_t{0xfff};
  constexpr std::array<std::uint64_t, 6> kPages{1, 1, 2, 5, 512, 600};
  what.last = what.start + (kPages[random.below(kPages.size())] << 12) - 1;
  if (random.percent(2) || what.last < what.start) what.last = ~std::uint64_t{0};
  what.leaf_only = random.percent(50);
  return what;
}

std::vector<std::string> texts(const std::vector<TlbEntry>& entries) {
  std::vector<std::string> result;
  for (const TlbEntry& entry : entries) {
    std::ostringstream text;
    PrintTo(entry, &text);
    text << " " << entry.attributes << unsigned{entry.permissions.bits};
    result.push_back(text.str());
  }
  std::sort(result.begin(), result.end());
  return result;
}

struct GeometryCase {
  const char* name;
  TlbGeometry geometry;
};
std::ostream& operator<<(std::ostream& out, const GeometryCase& row) { return out << row.name; }

class TlbArrayPropertyTest : public testing::TestWithParam<GeometryCase> {
 protected:
  TlbArrayPropertyTest() : tlb_(GetParam().geometry), list_(GetParam().geometry) {}

  void check_lookup(VirtAddr va, Asid asid) {
    const unsigned smallest = list_.smallest_match(va, asid);
    const TlbEntry* peeked = tlb_.peek(va, {.asid = asid});
    const TlbEntry* hit = tlb_.lookup(va, {.asid = asid});
    ASSERT_EQ(hit != nullptr, smallest != 0);
    ASSERT_EQ(hit, peeked);
    if (hit == nullptr) return;
    EXPECT_EQ(hit->page_shift, smallest);
    EXPECT_TRUE(EntryList::matches(*hit, va, asid));
    ListedEntry* listed = list_.find(*hit);
    ASSERT_NE(listed, nullptr) << "a hit on an entry that is not live";
    EXPECT_EQ(*hit, listed->entry);
    listed->used = ++clock_;
  }

  void check_fill(const TlbEntry& entry, std::uint64_t epoch) {
    const bool stale = epoch != tlb_.epoch();
    const TlbFillResult result = tlb_.fill(entry, epoch);
    ASSERT_EQ(result.dropped, stale);
    if (stale) {
      EXPECT_EQ(evicted_by(result), nullptr);
      return;
    }
    if (ListedEntry* listed = list_.find(entry)) {
      EXPECT_EQ(evicted_by(result), nullptr) << "an equal tag is overwritten";
      *listed = {entry, ++clock_};
      return;
    }
    const auto rivals = list_.in_set_of(entry);
    ASSERT_EQ(evicted_by(result) != nullptr, rivals.size() == list_.ways())
        << rivals.size() << " entries in the set";
    if (const TlbEntry* evicted = evicted_by(result)) check_victim(*evicted, rivals);
    list_.entries.push_back({entry, ++clock_});
  }

  void check_victim(const TlbEntry& evicted, const std::vector<ListedEntry*>& rivals) {
    const auto order = [](const ListedEntry* a, const ListedEntry* b) { return a->used < b->used; };
    const ListedEntry* oldest = *std::min_element(rivals.begin(), rivals.end(), order);
    const ListedEntry* newest = *std::max_element(rivals.begin(), rivals.end(), order);
    const auto victim = std::find_if(list_.entries.begin(), list_.entries.end(),
                                     [&](const auto& listed) { return listed.entry == evicted; });
    ASSERT_NE(victim, list_.entries.end()) << "evicted what was not there";
    EXPECT_EQ(list_.set_of(evicted), list_.set_of(rivals.front()->entry));
    const Replacement replacement = GetParam().geometry.replacement;
    if (replacement == Replacement::kLru) {
      EXPECT_EQ(evicted, oldest->entry);
    }
    if (replacement != Replacement::kRandom && list_.ways() > 1) {
      EXPECT_NE(victim->used, newest->used) << "the victim was the entry used last";
    }
    list_.entries.erase(victim);
  }

  void check_invalidate(const Invalidation& what) {
    const auto removed = std::erase_if(list_.entries, [&](const ListedEntry& listed) {
      return EntryList::covered(listed.entry, what);
    });
    const std::uint64_t before = tlb_.epoch();
    EXPECT_EQ(tlb_.invalidate(what), removed);
    EXPECT_NE(tlb_.epoch(), before);
  }

  void check_contents() const {
    std::vector<TlbEntry> expected;
    for (const auto& listed : list_.entries) expected.push_back(listed.entry);
    ASSERT_EQ(tlb_.occupancy(), expected.size());
    EXPECT_EQ(texts(tlb_.contents()), texts(expected));
  }

  TlbArray tlb_;
  EntryList list_;
  std::uint64_t clock_{};
};

constexpr std::array kGeometries{
    GeometryCase{"DirectMapped16", {16, 1, Replacement::kPlru, 1}},
    GeometryCase{"Plru64x4", {64, 4, Replacement::kPlru, 1}},
    GeometryCase{"Plru32x2", {32, 2, Replacement::kPlru, 1}},
    GeometryCase{"Plru8Full", {8, 8, Replacement::kPlru, 1}},
    GeometryCase{"Plru64Full", {64, 64, Replacement::kPlru, 1}},
    GeometryCase{"PlruSingle", {1, 1, Replacement::kPlru, 1}},
    GeometryCase{"Lru64x4", {64, 4, Replacement::kLru, 1}},
    GeometryCase{"Lru12x3", {12, 3, Replacement::kLru, 1}},
    GeometryCase{"Lru16Full", {16, 16, Replacement::kLru, 1}},
    GeometryCase{"Random32x4", {32, 4, Replacement::kRandom, 5}},
};
INSTANTIATE_TEST_SUITE_P(Geometries, TlbArrayPropertyTest, testing::ValuesIn(kGeometries),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(TlbArrayPropertyTest, BehavesAsAListOfEntries) {
  Random random(20240517);
  SCOPED_TRACE(random.where());
  std::uint64_t old_epoch = tlb_.epoch();
  for (unsigned step = 0; step < 30000 && !HasFatalFailure() && !HasFailure(); ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    const auto choice = random.below(1000);
    if (choice < 550) {
      check_lookup(random_va(random), {static_cast<std::uint16_t>(random.below(3) * 0x7fff)});
    } else if (choice < 930) {
      check_fill(random_entry(random), random.percent(8) ? old_epoch : tlb_.epoch());
    } else if (choice < 998) {
      old_epoch = tlb_.epoch();
      check_invalidate(random_invalidation(random));
    } else {
      tlb_.reset();
      list_.entries.clear();
      old_epoch = tlb_.epoch();
    }
    if (step % 16 == 0) check_contents();
  }
  check_contents();
}

}  // namespace
}  // namespace shootdown::hw
