#include "hw/mmu/tlb_array.h"

#include <bit>

#include "hw/arch/check.h"

namespace shootdown::hw {

TlbArray::TlbArray(const TlbGeometry& geometry) : geometry_(geometry) {
  SHOOTDOWN_CHECK(geometry.ways != 0 && geometry.entries % geometry.ways == 0,
                  "TLB ways must divide entries");
  const unsigned sets = geometry.entries / geometry.ways;
  SHOOTDOWN_CHECK(std::has_single_bit(sets), "TLB sets must be a power of two");
  SHOOTDOWN_CHECK(geometry.replacement != Replacement::kPlru ||
                      (std::has_single_bit(geometry.ways) && geometry.ways <= 64),
                  "PLRU needs a power of two of ways, at most 64");
  set_mask_ = sets - 1;
  tags_.resize(geometry.entries);
  spaces_.resize(geometry.entries);
  entries_.resize(geometry.entries);
  plru_.resize(sets);
  last_use_.resize(geometry.entries);
  if (geometry.replacement == Replacement::kPlru) {
    // Node n has children 2n and 2n+1; a node's bit points to the half to replace next.
    const unsigned levels = static_cast<unsigned>(std::countr_zero(geometry.ways));
    for (unsigned way = 0; way < geometry.ways; ++way) {
      std::uint64_t keep = ~std::uint64_t{0};
      std::uint64_t set = 0;
      unsigned node = 1;
      for (unsigned level = 0; level < levels; ++level) {
        const unsigned right = (way >> (levels - 1 - level)) & 1;
        keep &= ~(std::uint64_t{1} << node);
        if (right == 0) set |= std::uint64_t{1} << node;
        node = 2 * node + right;
      }
      plru_keep_.push_back(keep);
      plru_set_.push_back(set);
    }
  }
  reset();
}

void TlbArray::reset() {
  std::fill(tags_.begin(), tags_.end(), kInvalidTag);
  std::fill(plru_.begin(), plru_.end(), 0);
  std::fill(last_use_.begin(), last_use_.end(), 0);
  use_clock_ = 0;
  random_ = geometry_.seed | 1;
  live_.fill(0);
  live_shifts_ = 0;
  occupancy_ = 0;
  has_pieces_ = false;
  epoch_ = 0;
  ++generation_;
}

const TlbEntry* TlbArray::peek(arch::VirtAddr va, const arch::TranslationSpace& space) const {
  const unsigned slot = find(va, space);
  return slot == kNoSlot ? nullptr : &entries_[slot];
}

unsigned TlbArray::victim_way(unsigned set) {
  const unsigned first = set * geometry_.ways;
  for (unsigned way = 0; way < geometry_.ways; ++way) {
    if (tags_[first + way] == kInvalidTag) return way;
  }
  switch (geometry_.replacement) {
    case Replacement::kPlru: {
      unsigned node = 1;
      while (node < geometry_.ways) node = 2 * node + ((plru_[set] >> node) & 1);
      return node - geometry_.ways;
    }
    case Replacement::kLru: {
      unsigned oldest = 0;
      for (unsigned way = 1; way < geometry_.ways; ++way) {
        if (last_use_[first + way] < last_use_[first + oldest]) oldest = way;
      }
      return oldest;
    }
    case Replacement::kRandom:
      // xorshift64: the same sequence on every machine.
      random_ ^= random_ << 13;
      random_ ^= random_ >> 7;
      random_ ^= random_ << 17;
      return static_cast<unsigned>(random_ % geometry_.ways);
  }
  return 0;
}

unsigned TlbArray::remove(unsigned slot, const arch::Invalidation& what, bool honour_hints) {
  const arch::EntryTag tag = entries_[slot].tag();
  if (!what.covers(tag) || (honour_hints && what.hints_spare_leaf(tag))) return 0;
  count(shift_of(tags_[slot]), -1);
  tags_[slot] = kInvalidTag;
  --occupancy_;
  return 1;
}

bool TlbArray::is_narrow(const arch::Invalidation& what) const {
  using Scope = arch::Invalidation::Scope;
  if (what.scope != Scope::kVa && what.scope != Scope::kVaAnyAsid) return false;
  // Tags have to keep all bits of the range, and say all of what an entry translates.
  if (has_pieces_ || page_bits(what.last) < page_bits(what.start)) return false;
  for (const std::uint64_t va : {what.start, what.last}) {
    constexpr unsigned kUnusedBits = 11;
    const auto value = static_cast<std::int64_t>(va);
    if ((value << kUnusedBits) >> kUnusedBits != value) return false;
  }
  std::uint64_t sets = 0;
  for (std::uint64_t left = live_shifts_; left != 0; left &= left - 1) {
    const auto shift = static_cast<unsigned>(std::countr_zero(left));
    sets += (what.last >> shift) - (what.start >> shift) + 1;
    if (sets > set_mask_ + 1) return false;
  }
  return true;
}

unsigned TlbArray::invalidate(const arch::Invalidation& what, bool honour_hints) {
  ++epoch_;
  ++generation_;
  using Scope = arch::Invalidation::Scope;
  unsigned removed = 0;
  if (is_narrow(what)) {
    // The few sets where the range can be, by each size of page that there is.
    for (std::uint64_t left = live_shifts_; left != 0; left &= left - 1) {
      const auto shift = static_cast<unsigned>(std::countr_zero(left));
      const std::uint64_t pages = (what.last >> shift) - (what.start >> shift) + 1;
      std::uint64_t va = arch::align_down(what.start, shift);
      for (std::uint64_t page = 0; page < pages; ++page, va += arch::page_bytes(shift)) {
        const Tag tag = tag_of(va, shift, false);
        const unsigned first = set_of(va, shift) * geometry_.ways;
        for (unsigned slot = first; slot < first + geometry_.ways; ++slot) {
          if ((tags_[slot] & ~kGlobal) == tag) removed += remove(slot, what, honour_hints);
        }
      }
    }
    return removed;
  }
  const bool by_address = what.scope == Scope::kVa || what.scope == Scope::kVaAnyAsid;
  for (unsigned slot = 0; slot < tags_.size(); ++slot) {
    if (tags_[slot] == kInvalidTag) continue;
    // Most entries of an invalidation by address are somewhere else.
    if (by_address && !entries_[slot].overlaps(what.start, what.last)) continue;
    removed += remove(slot, what, honour_hints);
  }
  return removed;
}

unsigned TlbArray::spared_by_hints(const arch::Invalidation& what) const {
  unsigned spared = 0;
  for (unsigned slot = 0; slot < tags_.size(); ++slot) {
    if (tags_[slot] == kInvalidTag) continue;
    const arch::EntryTag tag = entries_[slot].tag();
    if (what.covers(tag) && what.hints_spare_leaf(tag)) ++spared;
  }
  return spared;
}

std::vector<TlbEntry> TlbArray::contents() const {
  std::vector<TlbEntry> result;
  for (unsigned slot = 0; slot < tags_.size(); ++slot) {
    if (tags_[slot] != kInvalidTag) result.push_back(entries_[slot]);
  }
  return result;
}

}  // namespace shootdown::hw
