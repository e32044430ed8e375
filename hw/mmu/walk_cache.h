// Cache of table descriptors: lets a walk start below the top level.
//
// Set-associative, first in first out within a set. An entry is dropped by every invalidation that
// is not leaf-only and covers any address below the table (Arm ARM D8.14; IHI 0070 section 3.8:
// also by ASID). Plain C++.
#ifndef SHOOTDOWN_HW_MMU_WALK_CACHE_H
#define SHOOTDOWN_HW_MMU_WALK_CACHE_H

#include <array>
#include <cstdint>
#include <vector>

#include "hw/arch/invalidation.h"
#include "hw/arch/types.h"
#include "hw/arch/vmsa64.h"

namespace shootdown::hw {

/// A table reached through the descriptors above it.
struct TableReference {
  arch::VirtAddr start{};  ///< first byte the table maps
  int level{};             ///< of the table, 1 to 3
  arch::TranslationSpace space{};
  arch::vmsa64::Granule granule{};
  arch::PhysAddr table{};  ///< an IPA if there is a stage 2
  arch::vmsa64::TableRestrictions restrictions{};
};

class WalkCache {
 public:
  /// `ways` divides `entries`; 0: fully associative.
  explicit WalkCache(unsigned entries, unsigned ways = 0);

  /// The deepest cached table on the way to `va`, or nullptr.
  const TableReference* lookup(arch::VirtAddr va, const arch::TranslationSpace& space) const;
  bool enabled() const { return capacity_ != 0; }
  void fill(const TableReference& reference);
  /// Returns the number of entries removed.
  /// `honour_hints`: what the granule and level of `what` let stay does stay.
  unsigned invalidate(const arch::Invalidation& what, bool honour_hints = false);
  void reset();
  /// The valid entries, by set and way.
  std::vector<TableReference> contents() const;

 private:
  /// log2 of the bytes that a table maps.
  static unsigned span_shift(const TableReference& table) {
    return arch::vmsa64::level_shift(table.level - 1, table.granule);
  }
  TableReference* set_of(std::uint64_t start, unsigned span);
  const TableReference* set_of(std::uint64_t start, unsigned span) const {
    return const_cast<WalkCache*>(this)->set_of(start, span);
  }

  unsigned capacity_;
  unsigned ways_;
  unsigned sets_;
  std::vector<unsigned> next_;           // by set: the way to replace
  std::vector<TableReference> entries_;  // by set and way; level 0: none
  void count(unsigned span, int change) {
    live_spans_[span] += static_cast<unsigned>(change);
    const std::uint64_t bit = std::uint64_t{1} << span;
    spans_ = live_spans_[span] == 0 ? spans_ & ~bit : spans_ | bit;
  }
  std::array<unsigned, 64> live_spans_{};  // entries by log2 of their span
  std::uint64_t spans_{};                  // the spans of which there are any, a bit each
};

}  // namespace shootdown::hw

#endif
