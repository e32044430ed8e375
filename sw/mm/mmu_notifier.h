// mmu_notifier: tells MMUs other than the CPUs' about changes of a page table they share.
// Mirrors include/linux/mmu_notifier.h, v5.18 to v6.7.
#ifndef SHOOTDOWN_SW_MM_MMU_NOTIFIER_H
#define SHOOTDOWN_SW_MM_MMU_NOTIFIER_H

#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/mm/mm_types.h"

namespace shootdown::sw {

/// "Everything", as an exclusive end.
inline constexpr arch::VirtAddr kEndOfAddressSpace{~std::uint64_t{0}};

class MmuNotifier {
 public:
  virtual ~MmuNotifier() = default;
  /// Drops the translations of [start, end) from non-CPU TLBs that walk the CPU's tables, and
  /// waits until they are gone. May be called with a page-table lock held: must not sleep.
  /// (arch_invalidate_secondary_tlbs from v6.6 on, invalidate_range before.)
  virtual void arch_invalidate_secondary_tlbs(Cpu& cpu, Mm& mm, arch::VirtAddr start,
                                              arch::VirtAddr end) = 0;
  /// exit_mmap() begins: stops using the tables of `mm`, for good.
  virtual void release(Cpu&, Mm&) {}
};

/// Called by the arch flush functions, from 6bbd42e2df8f on.
void mmu_notifier_arch_invalidate_secondary_tlbs(Cpu& cpu, Mm& mm, arch::VirtAddr start,
                                                 arch::VirtAddr end);
/// Called by core mm, before 6bbd42e2df8f. Does nothing after it.
void mmu_notifier_invalidate_range(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end);

struct MmuNotifierRange {
  Mm& mm;
  arch::VirtAddr start{};
  arch::VirtAddr end{};
};
/// Ends a critical section. Before 6bbd42e2df8f this also invalidates the range.
void mmu_notifier_invalidate_range_end(Cpu& cpu, const MmuNotifierRange& range);
/// As above for a caller that has already invalidated under the page-table lock.
void mmu_notifier_invalidate_range_only_end(Cpu& cpu, const MmuNotifierRange& range);
void mmu_notifier_invalidate_range_start(Cpu& cpu, const MmuNotifierRange& range);

/// exit_mmap() begins: every notifier stops using the tables, for good.
void mmu_notifier_release(Cpu& cpu, Mm& mm);

}  // namespace shootdown::sw

#endif
