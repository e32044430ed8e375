// TLB, walk cache and walks of one MMU put together, without time: what a CPU and an SMMU share.
//
// A walk remembers the epoch at which it began; the fill of a walk that an invalidation has
// overtaken is dropped, tables and leaf alike. Plain C++; no allocation on the hit path.
#ifndef SHOOTDOWN_HW_MMU_TRANSLATOR_H
#define SHOOTDOWN_HW_MMU_TRANSLATOR_H

#include <cstdint>

#include "hw/arch/tlbi.h"
#include "hw/arch/types.h"
#include "hw/mmu/mmu_config.h"
#include "hw/mmu/stage1_walk.h"
#include "hw/mmu/tlb.h"
#include "hw/mmu/walk_cache.h"

namespace shootdown::hw {

class Translator {
 public:
  Translator(const TranslatorConfig& config, TlbEngine* engine)
      : tlb_(config.tlb, engine), walk_cache_(config.walk_cache_entries) {}

  /// Null also for an address outside both halves of the address space: a TLB's tag has no room for
  /// the bits that tell, so that the range is checked in front of it.
  const TlbEntry* lookup(arch::VirtAddr va, arch::Asid asid) {
    constexpr unsigned kUnusedBits = 15;  // above VA[48]
    const auto value = static_cast<std::int64_t>(va.value);
    if ((value << kUnusedBits) >> kUnusedBits != value) [[unlikely]]
      return nullptr;
    return tlb_.lookup(va, asid);
  }

  /// Starts at the deepest cached table. Remembers the epoch before anything is read.
  Stage1Walk begin_walk(const Stage1Context& context, arch::VirtAddr va) const {
    const TableReference* start =
        walk_cache_.enabled() ? walk_cache_.lookup(va, context.asid) : nullptr;
    Stage1Walk walk(context, va, start);
    set_age(walk);
    return walk;
  }

  /// Installs what a finished walk found, unless an invalidation overtook it. A walk that ended in
  /// a fault installs its tables only.
  TlbFillResult install(const Stage1Walk& walk) {
    if (walk_cache_.enabled() && walk.invalidations == invalidations_) {
      for (unsigned i = 0; i < walk.tables(); ++i) walk_cache_.fill(walk.table(i));
    }
    if (walk.fault() != Stage1Walk::Fault::kNone) [[unlikely]]
      return {};
    return tlb_.fill(walk.entry(), walk.epoch);
  }

  /// Returns the number of TLB entries removed.
  unsigned invalidate(const arch::Invalidation& what) {
    // Counted before the TLB, which may take time over it.
    ++invalidations_;
    walk_cache_.invalidate(what);
    return tlb_.invalidate(what);
  }

  /// Takes a walk for one that begins now.
  void set_age(Stage1Walk& walk) const {
    walk.epoch = tlb_.epoch();
    walk.invalidations = invalidations_;
  }

  void reset() {
    tlb_.reset();
    walk_cache_.reset();
    invalidations_ = 0;
  }
  unsigned occupancy() const { return tlb_.occupancy(); }

 private:
  Tlb tlb_;
  WalkCache walk_cache_;
  std::uint64_t invalidations_{};
};

}  // namespace shootdown::hw

#endif
