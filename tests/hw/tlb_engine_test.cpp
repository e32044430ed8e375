// A TLB behind TlbEngine: what the seam asks of another implementation, and what it does itself.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "hw/mmu/tlb.h"

namespace shootdown::hw {
namespace {

/// Somebody else's TLB, as small as the contract lets it be: a list without epochs or a word about
/// evictions.
class ListTlb : public TlbEngine {
 public:
  explicit ListTlb(std::size_t entries) : most_(entries) {}
  const TlbEntry* lookup(arch::VirtAddr va, const arch::TranslationSpace& space) override {
    const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const TlbEntry& entry) {
      return arch::page_of(va, entry.page_shift) == entry.page &&
             (entry.global || entry.space.asid == space.asid);
    });
    return found == entries_.end() ? nullptr : &*found;
  }
  TlbFillResult fill(const TlbEntry& entry) override {
    ++fills;
    if (entries_.size() == most_) entries_.erase(entries_.begin());
    entries_.push_back(entry);
    return {.dropped = false, .evicted = nullptr};
  }
  unsigned invalidate(const arch::Invalidation& what) override {
    return static_cast<unsigned>(std::erase_if(entries_, [&](const TlbEntry& entry) {
      return what.covers(entry.page.value,
                         entry.page.value + (arch::page_bytes(entry.page_shift) - 1),
                         entry.space.asid, entry.global);
    }));
  }
  unsigned occupancy() const override { return static_cast<unsigned>(entries_.size()); }
  bool reports_evictions() const override { return false; }
  void reset() override { entries_.clear(); }
  unsigned fills{};

 private:
  std::size_t most_;
  std::vector<TlbEntry> entries_;
};

TlbEntry entry_of(std::uint64_t page) {
  TlbEntry entry;
  entry.page = {page};
  entry.output = {page + 0x8000'0000};
  entry.page_shift = 12;
  entry.space.asid = arch::Asid{3};
  return entry;
}

class TlbEngineTest : public testing::Test {
 protected:
  ListTlb engine_{2};
  Tlb tlb_{{.entries = 2, .ways = 2}, &engine_};
  arch::TranslationSpace space_{.asid = arch::Asid{3}};
};

TEST_F(TlbEngineTest, AFillThatAnInvalidationHasOvertakenNeverReachesTheEngine) {
  const std::uint64_t epoch = tlb_.epoch();
  arch::Invalidation other;
  other.scope = arch::Invalidation::Scope::kVa;
  other.start = 0x9000;
  other.last = 0x9fff;
  tlb_.invalidate(other, false);
  EXPECT_TRUE(tlb_.fill(entry_of(0x1000), epoch).dropped);
  EXPECT_EQ(engine_.fills, 0U);
  EXPECT_FALSE(tlb_.fill(entry_of(0x1000), tlb_.epoch()).dropped);
  EXPECT_NE(tlb_.lookup({0x1008}, space_), nullptr);
}

TEST_F(TlbEngineTest, ResetBeginsANewCount) {
  tlb_.fill(entry_of(0x1000), tlb_.epoch());
  tlb_.invalidate({}, false);
  tlb_.reset();
  EXPECT_EQ(tlb_.epoch(), 0U);
  EXPECT_EQ(tlb_.occupancy(), 0U);
}

}  // namespace
}  // namespace shootdown::hw
