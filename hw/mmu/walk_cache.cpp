#include "hw/mmu/walk_cache.h"

#include <bit>

#include "hw/arch/check.h"

namespace shootdown::hw {

WalkCache::WalkCache(unsigned entries, unsigned ways)
    : capacity_(entries), ways_(ways == 0 ? entries : ways), sets_(0) {
  if (entries == 0) return;
  SHOOTDOWN_CHECK(ways_ <= entries && entries % ways_ == 0, "walk cache ways must divide entries");
  sets_ = entries / ways_;
  entries_.resize(entries);
  next_.resize(sets_);
  reset();
}

void WalkCache::reset() {
  for (TableReference& entry : entries_) entry = {};
  for (unsigned& way : next_) way = 0;
  live_spans_.fill(0);
  spans_ = 0;
}

TableReference* WalkCache::set_of(std::uint64_t start, unsigned span) {
  return &entries_[(start >> span) % sets_ * ways_];
}

const TableReference* WalkCache::lookup(arch::VirtAddr va,
                                        const arch::TranslationSpace& space) const {
  // Deeper tables map less: the first span that has one is the best.
  for (std::uint64_t left = spans_; left != 0; left &= left - 1) {
    const auto span = static_cast<unsigned>(std::countr_zero(left));
    const TableReference* set = set_of(arch::align_down(va.value, span), span);
    for (unsigned way = 0; way < ways_; ++way) {
      const TableReference& entry = set[way];
      if (entry.level != 0 && span_shift(entry) == span &&
          entry.start.value == arch::align_down(va.value, span) && entry.space == space) {
        return &entry;
      }
    }
  }
  return nullptr;
}

void WalkCache::fill(const TableReference& reference) {
  if (capacity_ == 0) return;
  const unsigned span = span_shift(reference);
  TableReference* set = set_of(reference.start.value, span);
  TableReference* place = nullptr;
  for (unsigned way = 0; way < ways_; ++way) {
    TableReference& entry = set[way];
    if (entry.level == 0) {
      if (place == nullptr) place = &entry;
    } else if (entry.space == reference.space && entry.level == reference.level &&
               entry.granule == reference.granule && entry.start == reference.start) {
      entry = reference;
      return;
    }
  }
  if (place == nullptr) {
    unsigned& next = next_[static_cast<std::size_t>(set - entries_.data()) / ways_];
    place = &set[next];
    next = (next + 1) % ways_;
    count(span_shift(*place), -1);
  }
  *place = reference;
  count(span, +1);
}

unsigned WalkCache::invalidate(const arch::Invalidation& what, bool honour_hints) {
  if (what.leaf_only) return 0;
  unsigned removed = 0;
  for (TableReference& entry : entries_) {
    if (entry.level == 0) continue;
    const unsigned span = span_shift(entry);
    const arch::EntryTag tag{.space = entry.space,
                             .global = false,
                             .first = entry.start.value,
                             .last = entry.start.value + (arch::page_bytes(span) - 1),
                             .granule = entry.granule,
                             .level = entry.level - 1};
    if (!what.covers(tag) || (honour_hints && what.hints_spare_table(tag))) continue;
    count(span, -1);
    entry = {};
    ++removed;
  }
  return removed;
}

std::vector<TableReference> WalkCache::contents() const {
  std::vector<TableReference> result;
  for (const TableReference& entry : entries_) {
    if (entry.level != 0) result.push_back(entry);
  }
  return result;
}

}  // namespace shootdown::hw
