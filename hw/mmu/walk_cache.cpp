#include "hw/mmu/walk_cache.h"

namespace shootdown::hw {

namespace {
/// log2 of the bytes that a table of `level` maps.
unsigned span_shift(int level) { return arch::vmsa64::level_shift(level - 1); }
}  // namespace

const TableReference* WalkCache::lookup(arch::VirtAddr va, arch::Asid asid) const {
  const TableReference* best = nullptr;
  for (const TableReference& entry : entries_) {
    if (entry.asid != asid || arch::page_of(va, span_shift(entry.level)) != entry.start) continue;
    if (best == nullptr || entry.level > best->level) best = &entry;
  }
  return best;
}

void WalkCache::fill(const TableReference& reference) {
  if (capacity_ == 0) return;
  for (TableReference& entry : entries_) {
    if (entry.asid == reference.asid && entry.level == reference.level &&
        entry.start == reference.start) {
      entry = reference;
      return;
    }
  }
  if (entries_.size() < capacity_) {
    entries_.push_back(reference);
    return;
  }
  entries_[next_ % capacity_] = reference;
  next_ = (next_ + 1) % capacity_;
}

unsigned WalkCache::invalidate(const arch::Invalidation& what) {
  if (what.leaf_only) return 0;
  return static_cast<unsigned>(std::erase_if(entries_, [&](const TableReference& entry) {
    const auto last = entry.start.value + (arch::page_bytes(span_shift(entry.level)) - 1);
    return what.covers(entry.start.value, last, entry.asid, false);
  }));
}

}  // namespace shootdown::hw
