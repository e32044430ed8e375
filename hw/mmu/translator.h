// TLB, walk cache and walks of one MMU put together, without time: what a CPU and an SMMU share.
//
// A walk remembers the epoch at which it began; the fill of a walk that an invalidation has
// overtaken is dropped, tables and leaf alike. Plain C++; no allocation on the hit path.
#ifndef SHOOTDOWN_HW_MMU_TRANSLATOR_H
#define SHOOTDOWN_HW_MMU_TRANSLATOR_H

#include <cstdint>

#include "hw/arch/invalidation.h"
#include "hw/arch/types.h"
#include "hw/mmu/mmu_config.h"
#include "hw/mmu/stage1_walk.h"
#include "hw/mmu/tlb.h"
#include "hw/mmu/walk_cache.h"

namespace shootdown::hw {

class Translator {
 public:
  Translator(const TranslatorConfig& config, TlbEngine* engine)
      : tlb_(config.tlb, engine),
        walk_cache_(config.walk_cache_entries, config.walk_cache_ways),
        honour_level_hints_(config.honour_level_hints) {}

  /// Null also for an address outside both halves of the address space: a TLB's tag has no room for
  /// the bits that tell, so that the range is checked in front of it.
  const TlbEntry* lookup(arch::VirtAddr va, const arch::TranslationSpace& space) {
    constexpr unsigned kUnusedBits = 11;  // above VA[52]
    const auto value = static_cast<std::int64_t>(va.value);
    if ((value << kUnusedBits) >> kUnusedBits != value) [[unlikely]]
      return nullptr;
    return tlb_.lookup(va, space);
  }

  /// The deepest cached stage 1 table on the way to `va`, or null.
  const TableReference* cached_table(arch::VirtAddr va, const arch::TranslationSpace& space) const {
    return walk_cache_.enabled() ? walk_cache_.lookup(va, space) : nullptr;
  }
  /// Starts at the deepest cached table. Remembers the epoch before anything is read.
  Stage1Walk begin_walk(const Stage1Context& context, AccessRequest request) const {
    Stage1Walk walk(context, request, cached_table(request.va, context.space));
    set_age(walk);
    return walk;
  }

  /// Installs the tables a walk went through, unless an invalidation has overtaken it; also those
  /// of a walk that ended in a fault. `invalidations`: when it began.
  void install_tables(const Stage1Walk& walk, std::uint64_t invalidations) {
    if (!walk_cache_.enabled() || invalidations != invalidations_) return;
    for (unsigned i = 0; i < walk.tables(); ++i) walk_cache_.fill(walk.table(i));
  }
  /// Installs a translation whose walk began at `epoch`, likewise.
  [[gnu::always_inline]] TlbFillResult install(const TlbEntry& entry, std::uint64_t epoch) {
    return tlb_.fill(entry, epoch);
  }

  /// Returns the number of TLB entries removed.
  unsigned invalidate(const arch::Invalidation& what) {
    // Counted before the TLB, which may take time over it.
    ++invalidations_;
    walk_cache_.invalidate(what, honour_level_hints_);
    return tlb_.invalidate(what, honour_level_hints_);
  }
  unsigned spared_by_hints(const arch::Invalidation& what) const {
    return tlb_.spared_by_hints(what);
  }

  /// Takes a walk for one that begins now.
  template <class Walk>
  void set_age(Walk& walk) const {
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
  bool honour_level_hints_;
  std::uint64_t invalidations_{};
};

}  // namespace shootdown::hw

#endif
