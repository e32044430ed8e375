// A set-associative TLB with mixed page sizes: the reference that the RTL is held against.
//
// Plain C++: no time, no sockets. Contents change only by fill(), invalidate() and reset().
// Each page size is looked up in the set that its own page number selects; on more than one hit the
// smallest page wins, then the lowest way. Not modelled: VMID, contiguous groups, splinters.
#ifndef SHOOTDOWN_HW_MMU_TLB_ARRAY_H
#define SHOOTDOWN_HW_MMU_TLB_ARRAY_H

#include <array>
#include <bit>
#include <cstdint>
#include <vector>

#include "hw/arch/check.h"
#include "hw/arch/tlbi.h"
#include "hw/arch/types.h"
#include "hw/arch/vmsa64.h"
#include "hw/mmu/mmu_config.h"

namespace shootdown::hw {

/// Page sizes of the 4 KiB granule, smallest first.
inline constexpr std::array<unsigned, 3> kPageShifts{12, 21, 30};

struct TlbEntry {
  arch::VirtAddr page{};    ///< first byte; canonical
  unsigned page_shift{12};  ///< one of kPageShifts
  arch::Asid asid{};
  bool global{};            ///< matches every ASID
  arch::PhysAddr output{};  ///< first byte
  arch::vmsa64::Permissions permissions{};
  unsigned attributes{};  ///< AttrIndx and shareability: {SH[1:0], AttrIndx[2:0]}

  bool operator==(const TlbEntry&) const = default;
  std::uint64_t last() const { return page.value + (arch::page_bytes(page_shift) - 1); }
  arch::PhysAddr translate(arch::VirtAddr va) const {
    return {output.value | (va.value & (arch::page_bytes(page_shift) - 1))};
  }
};

struct TlbFillResult {
  bool dropped{};             ///< an invalidation was accepted since `epoch`
  const TlbEntry* evicted{};  ///< a valid entry that made room; valid until the next fill
};

class TlbArray {
 public:
  explicit TlbArray(const TlbGeometry& geometry);

  /// The entry for `va`, or nullptr. Touches replacement state. Valid until the next change.
  const TlbEntry* lookup(arch::VirtAddr va, arch::Asid asid);
  /// As lookup(), without touching anything.
  const TlbEntry* peek(arch::VirtAddr va, arch::Asid asid) const;
  /// Installs a translation whose walk began at `epoch`. An equal tag is overwritten in place.
  TlbFillResult fill(const TlbEntry& entry, std::uint64_t epoch);
  /// Removes what `what` covers and starts a new epoch. Returns the number of entries removed.
  unsigned invalidate(const arch::Invalidation& what);
  /// Counts invalidations. A walk remembers it at its start.
  std::uint64_t epoch() const { return epoch_; }
  unsigned occupancy() const { return occupancy_; }
  /// The valid entries, by set and way.
  std::vector<TlbEntry> contents() const;
  void reset();

 private:
  using Tag = std::uint64_t;
  static constexpr Tag kInvalidTag = 0;
  // Tag: valid 63, global 62, size 61:60, ASID 52:37, VA[48:12] in 36:0.
  static constexpr unsigned kAsidBit = 37;
  static constexpr Tag page_bits(std::uint64_t va) {
    return (va >> arch::kPageShift) & ((Tag{1} << kAsidBit) - 1);
  }
  static constexpr unsigned kHints = 256;
  static constexpr unsigned kNoSlot = ~0U;
  struct Hint {
    std::uint64_t generation{};
    Tag page_and_asid{};
    unsigned slot{};
  };

  static Tag tag_of(std::uint64_t va, unsigned size_index, arch::Asid asid, bool global);
  unsigned set_of(std::uint64_t va, unsigned size_index) const {
    return static_cast<unsigned>(va >> kPageShifts[size_index]) & set_mask_;
  }
  unsigned find(arch::VirtAddr va, arch::Asid asid) const;
  unsigned victim_way(unsigned set);
  void touch(unsigned slot);

  TlbGeometry geometry_;
  unsigned set_mask_{};
  std::vector<Tag> tags_;
  std::vector<TlbEntry> entries_;
  TlbEntry evicted_;                      // the last one
  std::vector<std::uint64_t> plru_;       ///< one tree per set, node 1 at bit 1
  std::vector<std::uint64_t> plru_keep_;  ///< per way: bits of the tree left alone by a touch
  std::vector<std::uint64_t> plru_set_;   ///< per way: bits set by a touch
  std::vector<std::uint64_t> last_use_;   ///< LRU: per slot
  std::uint64_t use_clock_{};
  std::uint64_t random_{};
  std::array<unsigned, kPageShifts.size()> live_{};  ///< entries per page size
  unsigned occupancy_{};
  std::uint64_t epoch_{};
  std::uint64_t generation_{1};  ///< of the contents; older hints are void
  std::array<Hint, kHints> hints_{};
};

// The look-up and fill paths are inline: they are all that a simulation does most of the time.

inline TlbArray::Tag TlbArray::tag_of(std::uint64_t va, unsigned size_index, arch::Asid asid,
                                      bool global) {
  return std::uint64_t{1} << 63 | std::uint64_t{global} << 62 | std::uint64_t{size_index} << 60 |
         (global ? 0 : std::uint64_t{asid.value}) << kAsidBit |
         page_bits(arch::align_down(va, kPageShifts[size_index]));
}

inline unsigned TlbArray::find(arch::VirtAddr va, arch::Asid asid) const {
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

inline void TlbArray::touch(unsigned slot) {
  if (geometry_.replacement == Replacement::kPlru) {
    const unsigned way = slot & (geometry_.ways - 1);
    std::uint64_t& tree = plru_[slot >> std::countr_zero(geometry_.ways)];
    tree = (tree & plru_keep_[way]) | plru_set_[way];
  } else if (geometry_.replacement == Replacement::kLru) {
    last_use_[slot] = ++use_clock_;
  }
}

inline const TlbEntry* TlbArray::lookup(arch::VirtAddr va, arch::Asid asid) {
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

[[gnu::always_inline]] inline TlbFillResult TlbArray::fill(const TlbEntry& entry,
                                                           std::uint64_t epoch) {
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
      const unsigned evicted_size = (tags_[slot] >> 60) & 3;
      if (evicted_size != size) {
        --live_[evicted_size];
        ++live_[size];
      }
    } else {
      ++occupancy_;
      ++live_[size];
    }
  }
  tags_[slot] = tag;
  entries_[slot] = entry;
  ++generation_;
  touch(slot);
  return result;
}

}  // namespace shootdown::hw

#endif
