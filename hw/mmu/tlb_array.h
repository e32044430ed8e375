// A set-associative TLB with mixed page sizes: the reference that the RTL is held against.
//
// Plain C++: no time, no sockets. Contents change only by fill(), invalidate() and reset().
// Each page size is looked up in the set that its own page number selects; on more than one hit the
// smallest page wins, then the lowest way. Not modelled: VMID, contiguous groups, splinters.
#ifndef SHOOTDOWN_HW_MMU_TLB_ARRAY_H
#define SHOOTDOWN_HW_MMU_TLB_ARRAY_H

#include <array>
#include <cstdint>
#include <vector>

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

}  // namespace shootdown::hw

#endif
