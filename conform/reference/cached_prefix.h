// How far a walk has come, in caches: when the first steps of it can have been made, and for how
// long what they gave could be used.
//
// A cache at any level holds the result of a walk's first steps: an STE, a CD, a table pointer, a
// whole translation. Each step was made at some time with a result that was still cached, or just
// read, at that time. So one chooses a value for every read, and asks whether there are times
// t1 <= t2 <= ... <= now such that each value was in memory at its time, and nothing between ti and
// t(i+1) had to remove what was known after step i. All such times of a step form an interval, if
// those of the step before do, so that one can go forward step by step.
//
// Source: Arm IHI 0070, sections 3.17, 3.21 and 4.7.
#ifndef SHOOTDOWN_CONFORM_REFERENCE_CACHED_PREFIX_H
#define SHOOTDOWN_CONFORM_REFERENCE_CACHED_PREFIX_H

#include <vector>

#include "conform/reference/invalidations.h"
#include "conform/reference/register_history.h"
#include "conform/reference/versioned_memory.h"

namespace shootdown::conform::reference {

/// All that has happened.
struct History {
  Identification id;
  VersionedMemory memory;
  RegisterHistory registers;
  InvalidationLog invalidations;
  Time now{0};
};

class CachedPrefix {
 public:
  CachedPrefix() = default;
  explicit CachedPrefix(const Interval& usable) : usable_(usable) {}

  /// When the next step can be made.
  const Interval& usable() const { return usable_; }
  const std::vector<CachedPart>& parts() const { return parts_; }

  /// When a value that was in memory during `current` can have been read as the next step.
  Interval read_times(const History& history, const Interval& current) const {
    const Interval times = intersection(usable_, current);
    return times.empty() ? times : history.registers.enabled_part(times);
  }

  /// Until when the result of a next step, made in `times` and cached as `what`, can be used.
  Interval usable_after(const History& history, const Cached& what, const Interval& times) const {
    const Time gone = history.invalidations.gone_at(what, times.last, parts_);
    return {times.first, gone == kForever ? kForever : gone - 1};
  }

  /// Makes that step.
  void advance(const Cached& what, const Interval& times, const Interval& usable) {
    parts_.push_back({what, times.last});
    usable_ = usable;
  }

  /// The result of a stage 2 walk becomes a part of this walk: cached together as `what`.
  void combine(const History& history, const CachedPrefix& stage2, const Cached& what) {
    const Interval times = history.registers.enabled_part(intersection(usable_, stage2.usable()));
    parts_.insert(parts_.end(), stage2.parts().begin(), stage2.parts().end());
    if (times.empty()) {
      usable_ = times;
      return;
    }
    usable_ = usable_after(history, what, times);
    parts_.push_back({what, times.last});
  }

 private:
  Interval usable_{};
  std::vector<CachedPart> parts_;
};

}  // namespace shootdown::conform::reference

#endif
