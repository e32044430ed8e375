// Time as the permitted-outcomes search counts it: the number of state changes (memory, registers,
// commands) so far. State t is what holds after change t and before change t+1.
#ifndef SHOOTDOWN_CONFORM_REFERENCE_TIME_INTERVAL_H
#define SHOOTDOWN_CONFORM_REFERENCE_TIME_INTERVAL_H

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

namespace shootdown::conform::reference {

using Time = std::uint64_t;
inline constexpr Time kForever = std::numeric_limits<Time>::max();

/// Both ends belong to it. Empty when first > last.
struct Interval {
  Time first{0};
  Time last{kForever};

  bool empty() const { return first > last; }
  bool contains(Time time) const { return first <= time && time <= last; }
  bool operator==(const Interval&) const = default;
};

inline Interval intersection(const Interval& a, const Interval& b) {
  return {std::max(a.first, b.first), std::min(a.last, b.last)};
}

inline Interval hull(const Interval& a, const Interval& b) {
  return {std::min(a.first, b.first), std::max(a.last, b.last)};
}

/// Sorts, and joins what overlaps or touches.
inline void normalize(std::vector<Interval>& intervals) {
  std::sort(intervals.begin(), intervals.end(),
            [](const Interval& a, const Interval& b) { return a.first < b.first; });
  std::vector<Interval> joined;
  for (const Interval& next : intervals) {
    if (next.empty()) continue;
    if (!joined.empty() && (joined.back().last == kForever || next.first <= joined.back().last + 1))
      joined.back().last = std::max(joined.back().last, next.last);
    else
      joined.push_back(next);
  }
  intervals = std::move(joined);
}

}  // namespace shootdown::conform::reference

#endif
