// A TLB as the translation logic sees it: the SystemC model itself, or another implementation of
// the same contract behind TlbEngine (RTL, or both in lockstep).
#ifndef SHOOTDOWN_HW_MMU_TLB_H
#define SHOOTDOWN_HW_MMU_TLB_H

#include <cstdint>

#include "hw/arch/invalidation.h"
#include "hw/arch/types.h"
#include "hw/mmu/tlb_array.h"

namespace shootdown::hw {

/// Another implementation of a TLB: RTL of ours, or somebody else's behind an adapter.
///
/// What it has to keep: entries of EL1 (tagged by ASID, or global; VMID 0) for pages of 4 KiB, 2
/// MiB and 1 GiB. cosim/config/rtl_support.h says which configurations ask for no more than that.
///
/// Order: calls take effect in the order in which they are made, also where several threads call.
/// Each may block the running thread while the implementation's clock runs, and returns when its
/// own effect is there. In particular, when invalidate() returns, no later lookup() finds what it
/// covered.
///
/// Not its business: which fills an invalidation has overtaken (Tlb counts epochs), walks and walk
/// caches, permissions (the entry comes back as it was filled), hints of level and granule.
class TlbEngine {
 public:
  virtual ~TlbEngine() = default;
  /// An entry that translates `va` in `space`, or null. May touch replacement state. The result
  /// stays valid until the next call or the next time the caller blocks. Two entries that match are
  /// a violation of the program's (break-before-make) of which either may be returned.
  virtual const TlbEntry* lookup(arch::VirtAddr va, const arch::TranslationSpace& space) = 0;
  /// Keeps `entry`, in place of one with an equal tag if there is one. May drop any other, and may
  /// refuse this one; a valid entry that it dropped for it is told by `evicted`, if
  /// reports_evictions(). `dropped` stays false.
  virtual TlbFillResult fill(const TlbEntry& entry) = 0;
  /// Drops at least what `what` covers, hints aside. Returns how many entries went: at least those
  /// that were filled, not evicted since, and are covered. Without reports_evictions() the number
  /// is for the reader only.
  virtual unsigned invalidate(const arch::Invalidation& what) = 0;
  /// How many entries are valid.
  virtual unsigned occupancy() const = 0;
  /// Whether each eviction of a valid entry is told by the fill that caused it. If not, what was
  /// filled is taken for possibly there: use of it is judged, that it may be left is not.
  virtual bool reports_evictions() const { return true; }
  /// Empty, as after power-on. Nobody is blocked in a call.
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
    if (epoch != epoch_) return {.dropped = true, .evicted = nullptr};
    const TlbEntry copy = entry;  // whose address escapes, so that `entry` can stay in registers
    return engine_->fill(copy);
  }
  /// An engine never honours hints: it removes more.
  unsigned invalidate(const arch::Invalidation& what, bool honour_hints) {
    if (engine_ == nullptr) return array_.invalidate(what, honour_hints);
    ++epoch_;  // from the call on: what is filled behind it takes effect behind it
    return engine_->invalidate(what);
  }
  unsigned spared_by_hints(const arch::Invalidation& what) const {
    return engine_ == nullptr ? array_.spared_by_hints(what) : 0;
  }
  /// How many invalidations there were: a fill whose walk began in an earlier epoch is dropped.
  std::uint64_t epoch() const { return engine_ == nullptr ? array_.epoch() : epoch_; }
  unsigned occupancy() const {
    return engine_ == nullptr ? array_.occupancy() : engine_->occupancy();
  }
  void reset() {
    array_.reset();
    epoch_ = 0;
    if (engine_ != nullptr) engine_->reset();
  }

 private:
  TlbArray array_;
  TlbEngine* engine_;
  std::uint64_t epoch_{};  ///< with an engine
};

}  // namespace shootdown::hw

#endif
