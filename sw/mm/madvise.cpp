#include "sw/mm/madvise.h"

#include <algorithm>
#include <vector>

#include "sw/mm/huge_memory.h"
#include "sw/mm/kernel_gather.h"
#include "sw/mm/mmu_notifier.h"
#include "sw/mm/pgtable.h"
#include "sw/mm/rmap.h"
#include "sw/mm/writeback.h"
#include "sw/mm/zap.h"

namespace shootdown::sw {

void madvise_dontneed(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end) {
  const FunctionTrace trace(cpu, "madvise_dontneed_single_vma");
  {
    const ReadGuard lock(mm.mmap_lock, cpu);
    for (const Vma& vma : mm.vmas) {
      if (!vma.overlaps(start, end)) continue;
      zap_page_range_single(cpu, mm, vma, std::max(start, vma.start), std::min(end, vma.end));
    }
  }
  cpu.trace(ProtectionRemoved{
      .mm = mm.id, .start = start, .end = end, .operation = "madvise(MADV_DONTNEED)"});
}

namespace {

/// madvise_free_pte_range(): one entry, lock held. Pages whose contents are given up are added to
/// `pages`, each with a reference.
void free_pte(Cpu& cpu, Mm& mm, MmuGather& tlb, const PteSlot& slot, std::vector<Page*>& pages) {
  const Pte pte = ptep_get(cpu, slot);
  if (mm.arch.pte_swap_type(pte) == SwapType::kSwap) {
    set_pte_at(cpu, mm, slot, Pte{});
    swap_free(cpu, mm.kernel, mm.arch.pte_swap_offset(pte));
    return;
  }
  if (!mm.arch.pte_present(pte)) return;
  Page* page = mm.kernel.pages.find(mm.arch.pte_address(pte));
  if (page == nullptr || page->use != PageUse::kAnonymous || page->mapcount != 1) return;
  page->dirty = false;
  if (mm.arch.pte_young(pte) || mm.arch.pte_dirty(pte)) {
    const Pte old = ptep_get_and_clear(cpu, mm, slot);
    set_pte_at(cpu, mm, slot, mm.arch.pte_mkold(mm.arch.pte_mkclean(old)));
    if (!mm.kernel.inject.skip_madvise_free_flush) tlb.tlb_remove_tlb_entry(slot.va);
  }
  page->lazyfree = true;
  mm.kernel.pages.get_page(*page);
  pages.push_back(page);
}

}  // namespace

void madvise_free(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end) {
  const FunctionTrace trace(cpu, "madvise_free_single_vma");
  const ReadGuard lock(mm.mmap_lock, cpu);
  for (const Vma& vma : mm.vmas) {
    if (!vma.overlaps(start, end) || vma.anon_vma == nullptr || vma.file != nullptr) continue;
    const arch::VirtAddr from = std::max(start, vma.start);
    const arch::VirtAddr to = std::min(end, vma.end);
    std::vector<Page*> pages;
    KernelGather gather(cpu, mm);
    const MmuNotifierRange range{.mm = mm, .start = from, .end = to};
    mmu_notifier_invalidate_range_start(cpu, range);
    gather.tlb.tlb_start_vma(vma);
    gather.tlb.tlb_change_page_size(arch::kPageSize);
    for_each_leaf(cpu, mm, from, to, [&](const PteSlot& slot) {
      // Huge pages are passed over here: they are written as a whole.
      if (slot.level != kPteLevel) return;
      const SpinGuard ptl(pte_lockptr(mm, slot), cpu);
      flush_tlb_batched_pending(cpu, mm);
      free_pte(cpu, mm, gather.tlb, slot, pages);
    });
    gather.tlb.tlb_end_vma(vma);
    mmu_notifier_invalidate_range_end(cpu, range);
    gather.finish();
    // Up to the flush what is written may be lost, from here on it is not.
    for (Page* page : pages) {
      cpu.trace(FolioGivenUp{.page = page->address});
      mm.kernel.pages.put_page(cpu, *page);
    }
  }
}

}  // namespace shootdown::sw
