#include "sw/mm/mremap.h"

#include <algorithm>
#include <memory>

#include "sw/mm/arch_mmu.h"
#include "sw/mm/free_pgtables.h"
#include "sw/mm/huge_memory.h"
#include "sw/mm/hugetlb.h"
#include "sw/mm/kernel_gather.h"
#include "sw/mm/mmap.h"
#include "sw/mm/mmu_notifier.h"
#include "sw/mm/pgtable.h"
#include "sw/mm/rmap.h"
#include "sw/mm/zap.h"

namespace shootdown::sw {

namespace {

/// move_ptes(): the entries of [start, end), in one table, to the table of `to`.
void move_ptes(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end, arch::VirtAddr to) {
  const FunctionTrace trace(cpu, "move_ptes");
  const auto old_slot = pte_offset(cpu, mm, start, kPteLevel);
  if (!old_slot) return;
  const auto new_slot = pte_alloc(cpu, mm, to, kPteLevel);
  if (!new_slot) return;
  bool force_flush = false;
  {
    const DoublePtl locks(cpu, mm, *old_slot, mm, *new_slot);
    flush_tlb_batched_pending(cpu, mm);
    for (std::uint64_t i = 0; start + i * arch::kPageSize < end; ++i) {
      const std::uint64_t bytes = i * arch::kPageSize;
      const PteSlot from{old_slot->address + i * 8, start + bytes, kPteLevel};
      if (ptep_get(cpu, from) == Pte{}) continue;
      const Pte pte = ptep_get_and_clear(cpu, mm, from);
      force_flush |= mm.arch.pte_present(pte);
      set_pte_at(cpu, mm, {new_slot->address + i * 8, to + bytes, kPteLevel}, pte);
    }
    // Before a lock is dropped: from then on the page can be freed at its new address.
    if (force_flush && !mm.kernel.inject.mremap_late_flush) {
      mm.arch.flush_tlb_range(cpu, mm, start, end, arch::kPageShift);
    }
  }
  if (force_flush && mm.kernel.inject.mremap_late_flush) {
    mm.arch.flush_tlb_range(cpu, mm, start, end, arch::kPageShift);
  }
}

/// move_page_tables()
void move_page_tables(Cpu& cpu, Mm& mm, const Vma& old_vma, const Vma& new_vma) {
  const MmuNotifierRange range{.mm = mm, .start = old_vma.start, .end = old_vma.end};
  mmu_notifier_invalidate_range_start(cpu, range);
  for (arch::VirtAddr va = old_vma.start; va < old_vma.end;) {
    const arch::VirtAddr there = new_vma.start + (va.value - old_vma.start.value);
    const auto leaf = pte_leaf(cpu, mm, va);
    if (leaf && leaf->level == kPmdLevel) split_huge_pmd(cpu, mm, old_vma, leaf->va);
    // Neither the old table nor the new one is left within one step.
    const std::uint64_t step =
        std::min({level_end(va, kPmdLevel).value - va.value,
                  level_end(there, kPmdLevel).value - there.value, old_vma.end.value - va.value});
    move_ptes(cpu, mm, va, va + step, there);
    va = va + step;
  }
  mmu_notifier_invalidate_range_end(cpu, range);
}

}  // namespace

bool do_mremap(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end, arch::VirtAddr to) {
  const FunctionTrace trace(cpu, "mremap");
  {
    const WriteGuard lock(mm.mmap_lock, cpu);
    split_vma(cpu, mm, start);
    split_vma(cpu, mm, end);
    const Vma* found = mm.find_vma(start);
    if (found == nullptr || found->start != start || found->end != end) return false;
    if (!range_is_free(mm, to, to + (end.value - start.value))) return false;
    Vma moved = *found;
    const Vma old = moved;
    moved.start = to;
    moved.end = to + (end.value - start.value);
    if (moved.is_hugetlb()) moved.hugetlb_vma_lock = std::make_shared<RwSemaphore>();
    vma_link(cpu, mm, moved);
    if (old.is_hugetlb()) {
      move_hugetlb_page_tables(cpu, mm, old, moved);
    } else {
      move_page_tables(cpu, mm, old, moved);
    }
    // do_vmi_munmap() of the old place. It is empty by now, except for a table that has come to
    // be shared since.
    std::erase_if(mm.vmas, [&](const Vma& vma) { return vma.start == start; });
    KernelGather gather(cpu, mm);
    if (old.is_hugetlb()) unmap_single_vma(cpu, mm, gather.tlb, old, start, end);
    free_pgtables(cpu, mm, gather.tlb, {old}, start, end);
    gather.finish();
  }
  cpu.trace(ProtectionRemoved{.mm = mm.id, .start = start, .end = end, .operation = "mremap"});
  return true;
}

}  // namespace shootdown::sw
