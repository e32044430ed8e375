#include "hw/mmu/tlb_array.h"

#include <bit>

#include "hw/arch/check.h"

namespace shootdown::hw {

namespace {
// Tag: valid 63, global 62, size 61:60, ASID 52:37, VA[48:12] in 36:0.
constexpr unsigned kAsidBit = 37;
constexpr std::uint64_t kPageMask = (std::uint64_t{1} << kAsidBit) - 1;

constexpr std::uint64_t page_bits(std::uint64_t va) { return (va >> arch::kPageShift) & kPageMask; }
}  // namespace

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
  occupancy_ = 0;
  epoch_ = 0;
  ++generation_;
}

TlbArray::Tag TlbArray::tag_of(std::uint64_t va, unsigned size_index, arch::Asid asid,
                               bool global) {
  return std::uint64_t{1} << 63 | std::uint64_t{global} << 62 | std::uint64_t{size_index} << 60 |
         (global ? 0 : std::uint64_t{asid.value}) << kAsidBit |
         page_bits(arch::align_down(va, kPageShifts[size_index]));
}

unsigned TlbArray::find(arch::VirtAddr va, arch::Asid asid) const {
  for (unsigned size = 0; size < kPageShifts.size(); ++size) {
    if (live_[size] == 0) continue;
    const Tag private_tag = tag_of(va.value, size, asid, false);
    const Tag global_tag = tag_of(va.value, size, asid, true);
    const unsigned first = set_of(va.value, size) * geometry_.ways;
    for (unsigned slot = first; slot < first + geometry_.ways; ++slot) {
      if (tags_[slot] == private_tag || tags_[slot] == global_tag) return slot;
    }
  }
  return kNoSlot;
}

const TlbEntry* TlbArray::lookup(arch::VirtAddr va, arch::Asid asid) {
  // The last slot found for this page, while nothing has changed since: what find() would return.
  const Tag key = page_bits(va.value) | std::uint64_t{asid.value} << kAsidBit;
  Hint& hint = hints_[(page_bits(va.value) ^ std::uint64_t{asid.value} * 37) % kHints];
  if (hint.generation == generation_ && hint.page_and_asid == key) {
    touch(hint.slot);
    return &entries_[hint.slot];
  }
  const unsigned slot = find(va, asid);
  if (slot == kNoSlot) return nullptr;
  hint = {generation_, key, slot};
  touch(slot);
  return &entries_[slot];
}

const TlbEntry* TlbArray::peek(arch::VirtAddr va, arch::Asid asid) const {
  const unsigned slot = find(va, asid);
  return slot == kNoSlot ? nullptr : &entries_[slot];
}

void TlbArray::touch(unsigned slot) {
  if (geometry_.replacement == Replacement::kPlru) {
    const unsigned way = slot & (geometry_.ways - 1);
    std::uint64_t& tree = plru_[slot >> std::countr_zero(geometry_.ways)];
    tree = (tree & plru_keep_[way]) | plru_set_[way];
  } else if (geometry_.replacement == Replacement::kLru) {
    last_use_[slot] = ++use_clock_;
  }
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

TlbFillResult TlbArray::fill(const TlbEntry& entry, std::uint64_t epoch) {
  TlbFillResult result;
  if (epoch != epoch_) {
    result.dropped = true;
    return result;
  }
  const unsigned size = entry.page_shift == kPageShifts[0]   ? 0
                        : entry.page_shift == kPageShifts[1] ? 1
                                                             : 2;
  SHOOTDOWN_CHECK(entry.page_shift == kPageShifts[size], "TLB entry of an unknown page size");
  const Tag tag = tag_of(entry.page.value, size, entry.asid, entry.global);
  const unsigned set = set_of(entry.page.value, size);
  const unsigned first = set * geometry_.ways;
  unsigned slot = kNoSlot;
  for (unsigned way = 0; way < geometry_.ways; ++way) {
    if (tags_[first + way] == tag) {
      slot = first + way;
      break;
    }
  }
  if (slot == kNoSlot) {
    slot = first + victim_way(set);
    if (tags_[slot] != kInvalidTag) {
      evicted_ = entries_[slot];
      result.evicted = &evicted_;
      --live_[(tags_[slot] >> 60) & 3];
    } else {
      ++occupancy_;
    }
    ++live_[size];
  }
  tags_[slot] = tag;
  entries_[slot] = entry;
  ++generation_;
  touch(slot);
  return result;
}

unsigned TlbArray::invalidate(const arch::Invalidation& what) {
  ++epoch_;
  ++generation_;
  unsigned removed = 0;
  for (unsigned slot = 0; slot < tags_.size(); ++slot) {
    if (tags_[slot] == kInvalidTag) continue;
    const TlbEntry& entry = entries_[slot];
    if (!what.covers(entry.page.value, entry.last(), entry.asid, entry.global)) continue;
    --live_[(tags_[slot] >> 60) & 3];
    tags_[slot] = kInvalidTag;
    --occupancy_;
    ++removed;
  }
  return removed;
}

std::vector<TlbEntry> TlbArray::contents() const {
  std::vector<TlbEntry> result;
  for (unsigned slot = 0; slot < tags_.size(); ++slot) {
    if (tags_[slot] != kInvalidTag) result.push_back(entries_[slot]);
  }
  return result;
}

}  // namespace shootdown::hw
