// Cache of table descriptors: lets a walk start below the top level.
//
// Fully associative, first in first out. An entry is dropped by every invalidation that is not
// leaf-only and covers any address below the table (Arm ARM D8.14; IHI 0070 section 12: also by
// ASID). Plain C++.
#ifndef SHOOTDOWN_HW_MMU_WALK_CACHE_H
#define SHOOTDOWN_HW_MMU_WALK_CACHE_H

#include <cstdint>
#include <vector>

#include "hw/arch/tlbi.h"
#include "hw/arch/types.h"
#include "hw/arch/vmsa64.h"

namespace shootdown::hw {

/// A table reached through the descriptors above it.
struct TableReference {
  arch::VirtAddr start{};  ///< first byte the table maps
  int level{};             ///< of the table, 1 to 3
  arch::Asid asid{};
  arch::PhysAddr table{};
  arch::vmsa64::TableRestrictions restrictions{};
};

class WalkCache {
 public:
  explicit WalkCache(unsigned entries) : capacity_(entries) { entries_.reserve(entries); }

  /// The deepest cached table on the way to `va`, or nullptr.
  const TableReference* lookup(arch::VirtAddr va, arch::Asid asid) const;
  bool enabled() const { return capacity_ != 0; }
  void fill(const TableReference& reference);
  /// Returns the number of entries removed.
  unsigned invalidate(const arch::Invalidation& what);
  void reset() {
    entries_.clear();
    next_ = 0;
  }
  const std::vector<TableReference>& contents() const { return entries_; }

 private:
  unsigned capacity_;
  unsigned next_{};
  std::vector<TableReference> entries_;
};

}  // namespace shootdown::hw

#endif
