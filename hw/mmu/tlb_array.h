// A set-associative TLB with mixed page sizes: the reference that the RTL is held against.
//
// Plain C++: no time, no sockets. Contents change only by fill(), invalidate() and reset().
// Each page size is looked up in the set that its own page number selects; on more than one hit the
// smallest page wins, then the lowest way.
#ifndef SHOOTDOWN_HW_MMU_TLB_ARRAY_H
#define SHOOTDOWN_HW_MMU_TLB_ARRAY_H

#include <array>
#include <bit>
#include <cstdint>
#include <vector>

#include "hw/arch/check.h"
#include "hw/arch/invalidation.h"
#include "hw/arch/types.h"
#include "hw/arch/vmsa64.h"
#include "hw/mmu/mmu_config.h"

namespace shootdown::hw {

/// 40 bytes: an entry is copied at every fill.
struct TlbEntry {
  arch::VirtAddr page{};            ///< first byte; canonical. Regime kStage2: an IPA
  arch::PhysAddr output{};          ///< first byte
  arch::IpaAddr ipa{};              ///< of `page`, if stage 2 took part
  arch::TranslationSpace space{};   ///< whose translation it is
  bool global : 1 {};               ///< matches every ASID
  bool writable_clean : 1 {};       ///< the first write has to set the dirty state (HTTU)
  std::uint8_t page_shift{12};      ///< 12 to 51
  std::uint8_t attributes{};        ///< AttrIndx and shareability: {SH[1:0], AttrIndx[2:0]}
  arch::vmsa64::Granule granule{};  ///< of the tables; of stage 1, if both stages took part
  std::uint8_t level{3};            ///< of the leaf, likewise
  /// log2 of what the leaf translates, if the entry is only a piece of it: of a block split into
  /// smaller entries, or of a stage 1 block over smaller stage 2 pages. 0: the entry is all of it.
  std::uint8_t block_shift{};
  arch::vmsa64::Permissions permissions{};
  arch::vmsa64::Permissions stage2{arch::vmsa64::Permissions::all()};  ///< of stage 2

  bool operator==(const TlbEntry&) const = default;
  std::uint64_t last() const { return page.value + (arch::page_bytes(page_shift) - 1); }
  arch::PhysAddr translate(arch::VirtAddr va) const {
    return {output.value | (va.value & (arch::page_bytes(page_shift) - 1))};
  }
  /// log2 of what the descriptor translates.
  unsigned span_shift() const { return block_shift == 0 ? page_shift : block_shift; }
  bool overlaps(std::uint64_t first, std::uint64_t last_byte) const {
    const std::uint64_t mask = arch::page_bytes(span_shift()) - 1;
    return (page.value & ~mask) <= last_byte && first <= (page.value | mask);
  }
  arch::EntryTag tag() const {
    const unsigned shift = span_shift();
    const std::uint64_t first = arch::align_down(page.value, shift);
    return {.space = space,
            .global = global,
            .first = first,
            .last = first + (arch::page_bytes(shift) - 1),
            .granule = granule,
            .level = level};
  }
};

static_assert(sizeof(TlbEntry) == 40);

struct TlbFillResult {
  bool dropped{};             ///< an invalidation was accepted since `epoch`
  const TlbEntry* evicted{};  ///< a valid entry that made room; valid until the next fill
};

class TlbArray {
 public:
  explicit TlbArray(const TlbGeometry& geometry);

  /// The entry for `va`, or nullptr. Touches replacement state. Valid until the next change.
  const TlbEntry* lookup(arch::VirtAddr va, const arch::TranslationSpace& space);
  /// As lookup(), without touching anything.
  const TlbEntry* peek(arch::VirtAddr va, const arch::TranslationSpace& space) const;
  /// Installs a translation whose walk began at `epoch`. An equal tag is overwritten in place.
  TlbFillResult fill(const TlbEntry& entry, std::uint64_t epoch);
  /// Removes what `what` covers and starts a new epoch. Returns the number of entries removed.
  /// `honour_hints`: what the granule and level of `what` let stay does stay.
  unsigned invalidate(const arch::Invalidation& what, bool honour_hints = false);
  /// Entries that `what` covers and that its hints let stay.
  unsigned spared_by_hints(const arch::Invalidation& what) const;
  /// Counts invalidations. A walk remembers it at its start.
  std::uint64_t epoch() const { return epoch_; }
  unsigned occupancy() const { return occupancy_; }
  /// The valid entries, by set and way.
  std::vector<TlbEntry> contents() const;
  void reset();

 private:
  using Tag = std::uint64_t;
  static constexpr Tag kInvalidTag = 0;
  static constexpr Tag kGlobal = Tag{1} << 62;
  // Tag: valid 63, global 62, log2 of the page size 61:56, VA[52:12] in 40:0.
  static constexpr unsigned kShiftBit = 56;
  static constexpr unsigned kPageBits = 41;
  static constexpr Tag page_bits(std::uint64_t va) {
    return (va >> arch::kPageShift) & ((Tag{1} << kPageBits) - 1);
  }
  static constexpr unsigned shift_of(Tag tag) { return (tag >> kShiftBit) & 0x3f; }
  /// The rest of the tag. ASET tells global entries apart, and only them (IHI 0070, 3.17).
  static constexpr std::uint64_t space_bits(const arch::TranslationSpace& space, bool global) {
    const std::uint64_t common = std::uint64_t{static_cast<std::uint8_t>(space.regime)} << 33 |
                                 std::uint64_t{space.vmid.value} << 16;
    return global ? common | std::uint64_t{space.private_asids} << 32 : common | space.asid.value;
  }
  static constexpr unsigned kHints = 256;
  static constexpr unsigned kNoSlot = ~0U;
  struct Hint {
    std::uint64_t generation{};
    Tag page{};
    std::uint64_t space{};
    unsigned slot{};
  };

  static Tag tag_of(std::uint64_t va, unsigned page_shift, bool global);
  unsigned set_of(std::uint64_t va, unsigned page_shift) const {
    return static_cast<unsigned>(va >> page_shift) & set_mask_;
  }
  unsigned find(arch::VirtAddr va, const arch::TranslationSpace& space) const;
  /// By address, and in no more sets than there are.
  bool is_narrow(const arch::Invalidation& what) const;
  unsigned remove(unsigned slot, const arch::Invalidation& what, bool honour_hints);
  unsigned victim_way(unsigned set);
  void touch(unsigned slot);
  void count(unsigned page_shift, int change) {
    live_[page_shift] += static_cast<unsigned>(change);
    const std::uint64_t bit = std::uint64_t{1} << page_shift;
    live_shifts_ = live_[page_shift] == 0 ? live_shifts_ & ~bit : live_shifts_ | bit;
  }

  TlbGeometry geometry_;
  unsigned set_mask_{};
  std::vector<Tag> tags_;
  std::vector<std::uint64_t> spaces_;
  std::vector<TlbEntry> entries_;
  TlbEntry evicted_;                      // the last one
  std::vector<std::uint64_t> plru_;       ///< one tree per set, node 1 at bit 1
  std::vector<std::uint64_t> plru_keep_;  ///< per way: bits of the tree left alone by a touch
  std::vector<std::uint64_t> plru_set_;   ///< per way: bits set by a touch
  std::vector<std::uint64_t> last_use_;   ///< LRU: per slot
  std::uint64_t use_clock_{};
  std::uint64_t random_{};
  std::array<unsigned, 64> live_{};  ///< entries by log2 of their page size
  std::uint64_t live_shifts_{};      ///< the page sizes of which there are any, a bit each
  unsigned occupancy_{};
  bool has_pieces_{};  ///< some entry since the last reset was a piece of a larger translation
  std::uint64_t epoch_{};
  std::uint64_t generation_{1};  ///< of the contents; older hints are void
  std::array<Hint, kHints> hints_{};
};

// The look-up and fill paths are inline: they are all that a simulation does most of the time.

inline TlbArray::Tag TlbArray::tag_of(std::uint64_t va, unsigned page_shift, bool global) {
  return std::uint64_t{1} << 63 | (global ? kGlobal : 0) | std::uint64_t{page_shift} << kShiftBit |
         page_bits(arch::align_down(va, page_shift));
}

inline unsigned TlbArray::find(arch::VirtAddr va, const arch::TranslationSpace& space) const {
  const std::uint64_t private_space = space_bits(space, false);
  const std::uint64_t global_space = space_bits(space, true);
  for (std::uint64_t left = live_shifts_; left != 0; left &= left - 1) {
    const auto shift = static_cast<unsigned>(std::countr_zero(left));
    const Tag private_tag = tag_of(va.value, shift, false);
    const Tag global_tag = tag_of(va.value, shift, true);
    const unsigned first = set_of(va.value, shift) * geometry_.ways;
    for (unsigned slot = first; slot < first + geometry_.ways; ++slot) {
      if ((tags_[slot] == private_tag && spaces_[slot] == private_space) ||
          (tags_[slot] == global_tag && spaces_[slot] == global_space)) {
        return slot;
      }
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

inline const TlbEntry* TlbArray::lookup(arch::VirtAddr va, const arch::TranslationSpace& space) {
  // The last slot found for this page, while nothing has changed since: what find() would return.
  const Tag page = page_bits(va.value);
  Hint& hint = hints_[(page ^ std::uint64_t{space.asid.value} * 37) % kHints];
  const std::uint64_t packed = space.packed();
  if (hint.generation == generation_ && hint.page == page && hint.space == packed) {
    touch(hint.slot);
    return &entries_[hint.slot];
  }
  const unsigned slot = find(va, space);
  if (slot == kNoSlot) return nullptr;
  hint = {generation_, page, packed, slot};
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
  SHOOTDOWN_CHECK(entry.page_shift >= arch::kPageShift && entry.page_shift < 52,
                  "TLB entry of an unknown page size");
  const Tag tag = tag_of(entry.page.value, entry.page_shift, entry.global);
  const std::uint64_t space = space_bits(entry.space, entry.global);
  const unsigned set = set_of(entry.page.value, entry.page_shift);
  const unsigned first = set * geometry_.ways;
  unsigned slot = kNoSlot;
  for (unsigned way = 0; way < geometry_.ways; ++way) {
    if (tags_[first + way] == tag && spaces_[first + way] == space) {
      slot = first + way;
      break;
    }
  }
  if (slot == kNoSlot) {
    slot = first + victim_way(set);
    if (tags_[slot] != kInvalidTag) {
      evicted_ = entries_[slot];
      result.evicted = &evicted_;
      const unsigned evicted_shift = shift_of(tags_[slot]);
      if (evicted_shift != entry.page_shift) {
        count(evicted_shift, -1);
        count(entry.page_shift, +1);
      }
    } else {
      ++occupancy_;
      count(entry.page_shift, +1);
    }
  }
  tags_[slot] = tag;
  spaces_[slot] = space;
  entries_[slot] = entry;
  has_pieces_ = has_pieces_ || entry.block_shift != 0;
  ++generation_;
  touch(slot);
  return result;
}

}  // namespace shootdown::hw

#endif
