// A TLB as the translation logic sees it: the SystemC model itself, or another implementation of
// the same contract behind TlbEngine (RTL, or both in lockstep).
#ifndef SHOOTDOWN_HW_MMU_TLB_H
#define SHOOTDOWN_HW_MMU_TLB_H

#include <cstdint>

#include "hw/arch/invalidation.h"
#include "hw/arch/types.h"
#include "hw/mmu/tlb_array.h"

namespace shootdown::hw {

/// Another implementation of TlbArray's contract, for entries of EL1 with VMID 0 and pages of the
/// 4 KiB granule. Calls may block the running thread while the
/// implementation's clock runs; operations take effect in the order in which they were called.
class TlbEngine {
 public:
  virtual ~TlbEngine() = default;
  /// The result stays valid until the next call or the next time the caller blocks.
  virtual const TlbEntry* lookup(arch::VirtAddr va, const arch::TranslationSpace& space) = 0;
  virtual TlbFillResult fill(const TlbEntry& entry, std::uint64_t epoch) = 0;
  virtual unsigned invalidate(const arch::Invalidation& what) = 0;
  virtual std::uint64_t epoch() const = 0;
  virtual unsigned occupancy() const = 0;
  virtual void reset() = 0;
};

class Tlb {
 public:
  /// `engine`, if not null, does the work and outlives this object.
  Tlb(const TlbGeometry& geometry, TlbEngine* engine) : array_(geometry), engine_(engine) {}

  const TlbEntry* lookup(arch::VirtAddr va, const arch::TranslationSpace& space) {
    if (engine_ == nullptr) [[likely]]
      return array_.lookup(va, space);
    return engine_->lookup(va, space);
  }
  [[gnu::always_inline]] TlbFillResult fill(const TlbEntry& entry, std::uint64_t epoch) {
    if (engine_ == nullptr) [[likely]]
      return array_.fill(entry, epoch);
    const TlbEntry copy = entry;  // whose address escapes, so that `entry` can stay in registers
    return engine_->fill(copy, epoch);
  }
  /// An engine never honours hints: it removes more.
  unsigned invalidate(const arch::Invalidation& what, bool honour_hints) {
    return engine_ == nullptr ? array_.invalidate(what, honour_hints) : engine_->invalidate(what);
  }
  unsigned spared_by_hints(const arch::Invalidation& what) const {
    return engine_ == nullptr ? array_.spared_by_hints(what) : 0;
  }
  std::uint64_t epoch() const { return engine_ == nullptr ? array_.epoch() : engine_->epoch(); }
  unsigned occupancy() const {
    return engine_ == nullptr ? array_.occupancy() : engine_->occupancy();
  }
  void reset() {
    array_.reset();
    if (engine_ != nullptr) engine_->reset();
  }

 private:
  TlbArray array_;
  TlbEngine* engine_;
};

}  // namespace shootdown::hw

#endif
