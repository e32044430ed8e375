// Marks a flush function in the trace: when it ends, nothing stale may be left in any TLB.
#ifndef SHOOTDOWN_SW_MM_FLUSH_SCOPE_H
#define SHOOTDOWN_SW_MM_FLUSH_SCOPE_H

#include "sw/kernel/cpu.h"
#include "sw/mm/mm_types.h"

namespace shootdown::sw {

/// Flush functions call one another; the outermost one is the flush point.
class FlushScope {
 public:
  /// `secondary`: secondary TLBs are flushed too when it ends. Before 6bbd42e2df8f that is so only
  /// where core mm calls the notifier inside.
  FlushScope(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end, bool secondary)
      : cpu_(cpu) {
    if (cpu_.flush_depth++ != 0) {
      ++cpu_.inner_flushes;
      return;
    }
    cpu_.inner_flushes = 0;
    number_ = ++mm.kernel.flushes;
    cpu_.trace(FlushBegin{
        .flush = number_, .mm = mm.id, .start = start, .end = end, .secondary = secondary});
  }
  /// Of an arch flush function.
  FlushScope(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end)
      : FlushScope(cpu, mm, start, end, mm.kernel.behaviour.notify_in_tlb_flush) {}
  ~FlushScope() {
    if (--cpu_.flush_depth != 0) return;
    cpu_.trace(FlushEnd{.flush = number_, .done = !only_around_ || cpu_.inner_flushes != 0});
  }
  /// This is no flush by itself: only what is flushed within counts.
  void only_around() { only_around_ = true; }
  FlushScope(const FlushScope&) = delete;
  FlushScope& operator=(const FlushScope&) = delete;

 private:
  Cpu& cpu_;
  std::uint64_t number_{};  // of the outermost
  bool only_around_{};
};

}  // namespace shootdown::sw

#endif
