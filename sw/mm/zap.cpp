#include "sw/mm/zap.h"

#include <algorithm>

#include "hw/arch/check.h"
#include "sw/mm/huge_memory.h"
#include "sw/mm/hugetlb.h"
#include "sw/mm/kernel_gather.h"
#include "sw/mm/mmu_notifier.h"
#include "sw/mm/pgtable.h"
#include "sw/mm/rmap.h"
#include "sw/mm/writeback.h"

namespace shootdown::sw {

Page* vm_normal_page(Mm& mm, const Vma& vma, Pte pte) {
  if (vma.pfnmap) return nullptr;
  Page* page = mm.kernel.pages.find(mm.arch.pte_address(pte));
  SHOOTDOWN_CHECK(page != nullptr, "entry maps a page that is not allocated");
  return page;
}

namespace {

/// The zero page is nobody's to queue: it is never freed.
bool drop_zero_page(Cpu& cpu, Mm& mm, Page& page) {
  if (&page != mm.kernel.zero_page && &page != mm.kernel.huge_zero_page) return false;
  page_remove_rmap(cpu, page);
  mm.kernel.pages.put_page(cpu, page);
  return true;
}

/// zap_nonpresent_ptes(): an entry whose page is elsewhere.
void zap_swap_pte(Cpu& cpu, Mm& mm, const PteSlot& slot, Pte pte) {
  set_pte_at(cpu, mm, slot, Pte{});
  if (mm.arch.pte_swap_type(pte) == SwapType::kSwap) {
    swap_free(cpu, mm.kernel, mm.arch.pte_swap_offset(pte));
  }
}

/// zap_present_pte(): clears one entry, lock held. Sets `force_flush` if the flush cannot wait.
/// Returns false if the gather is full.
bool zap_present_pte(Cpu& cpu, Mm& mm, MmuGather& tlb, const Vma& vma, const PteSlot& slot,
                     Pte seen, bool& force_flush) {
  const Pte pte = ptep_get_and_clear(cpu, mm, slot, seen);
  tlb.tlb_remove_tlb_entry(slot.va);
  Page* page = vm_normal_page(mm, vma, pte);
  if (page == nullptr || drop_zero_page(cpu, mm, *page)) return true;
  bool delay_rmap = false;
  if (page->use == PageUse::kFile && mm.arch.pte_dirty(pte)) {
    folio_mark_dirty(cpu, *page);
    // Until the flush a CPU can write through its dirty entry. With its rmap the page shows
    // writeback that somebody still maps it.
    delay_rmap = tlb.tlb_delay_rmap();
    force_flush = true;
  }
  if (!delay_rmap || mm.kernel.inject.double_rmap_removal) page_remove_rmap(cpu, *page);
  return !tlb.tlb_remove_page_no_flush(mm.kernel.pages.page_address(*page), delay_rmap,
                                       arch::kPageSize);
}

/// Within one table of PTEs. Left out of the kernel's: giving way to others in between
/// (need_resched()).
void zap_pte_range(Cpu& cpu, Mm& mm, MmuGather& tlb, const Vma& vma, arch::VirtAddr start,
                   arch::VirtAddr end) {
  const auto first = pte_offset(cpu, mm, start, kPteLevel);
  if (!first) return;
  const FunctionTrace trace(cpu, "zap_pte_range");
  tlb.tlb_change_page_size(arch::kPageSize);
  arch::VirtAddr va = start;
  while (va < end) {
    bool force_flush = false;
    {
      const SpinGuard ptl(pte_lockptr(mm, *first), cpu);
      flush_tlb_batched_pending(cpu, mm);
      for (bool room = true; room && va < end; va = va + arch::kPageSize) {
        const PteSlot slot{
            .address = first->address + ((va.value - start.value) >> arch::kPageShift) * 8,
            .va = va,
            .level = first->level};
        const Pte pte = ptep_get(cpu, slot);
        if (pte == Pte{}) continue;
        if (!mm.arch.pte_present(pte)) {
          zap_swap_pte(cpu, mm, slot, pte);
          continue;
        }
        room = zap_present_pte(cpu, mm, tlb, vma, slot, pte, force_flush);
        if (!room) force_flush = true;
      }
      if (force_flush) {
        tlb.tlb_flush_mmu_tlbonly();
        tlb.tlb_flush_rmaps(vma);
      }
    }
    if (force_flush) tlb.tlb_flush_mmu();
  }
}

/// zap_huge_pmd()
void zap_huge_pmd(Cpu& cpu, Mm& mm, MmuGather& tlb, const Vma& vma, arch::VirtAddr va) {
  const auto slot = pte_offset(cpu, mm, va, kPmdLevel);
  if (!slot) return;
  const FunctionTrace trace(cpu, "zap_huge_pmd");
  tlb.tlb_change_page_size(kPmdSize);
  Page* page = nullptr;
  {
    const SpinGuard ptl(pte_lockptr(mm, *slot), cpu);
    const Pte pmd = ptep_get(cpu, *slot);
    if (pmd == Pte{} || mm.arch.pte_table(pmd, slot->level)) return;
    ptep_get_and_clear(cpu, mm, *slot);
    tlb.tlb_remove_pmd_tlb_entry(slot->va);
    zap_deposited_table(cpu, mm, slot->va);
    page = vm_normal_page(mm, vma, pmd);
    if (page == nullptr || drop_zero_page(cpu, mm, *page)) return;
    if (page->use == PageUse::kFile && mm.arch.pte_dirty(pmd)) folio_mark_dirty(cpu, *page);
    page_remove_rmap(cpu, *page);
  }
  tlb.tlb_remove_page(mm.kernel.pages.page_address(*page), kPmdSize);
}

/// unmap_single_vma() without the hooks around an area.
void unmap_pmds(Cpu& cpu, Mm& mm, MmuGather& tlb, const Vma& vma, arch::VirtAddr start,
                arch::VirtAddr end) {
  for (arch::VirtAddr va = start; va < end;) {
    const arch::VirtAddr next = std::min(end, level_end(va, kPmdLevel));
    const auto pmd = pte_offset(cpu, mm, va, kPmdLevel);
    const Pte entry = pmd ? ptep_get(cpu, *pmd) : Pte{};
    if (entry != Pte{} && !mm.arch.pte_table(entry, kPmdLevel)) {
      if (next.value - va.value == kPmdSize) {
        zap_huge_pmd(cpu, mm, tlb, vma, va);
        va = next;
        continue;
      }
      split_huge_pmd(cpu, mm, vma, pmd->va);
    }
    zap_pte_range(cpu, mm, tlb, vma, va, next);
    va = next;
  }
}

/// What is gone is not protected any more: who waits for it faults again.
void forget_uffd_wp(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end) {
  if (mm.uffd_wp.empty()) return;
  mm.uffd_wp.erase(mm.uffd_wp.lower_bound(start.value), mm.uffd_wp.lower_bound(end.value));
  cpu.wake_all(mm.uffd_waiters);
}

/// unmap_page_range(), between tlb_start_vma() and tlb_end_vma()
void unmap_page_range(Cpu& cpu, Mm& mm, MmuGather& tlb, const Vma& vma, arch::VirtAddr start,
                      arch::VirtAddr end) {
  const FunctionTrace trace(cpu, "unmap_page_range");
  tlb.tlb_start_vma(vma);
  unmap_pmds(cpu, mm, tlb, vma, start, end);
  forget_uffd_wp(cpu, mm, start, end);
  if (mm.kernel.inject.free_before_flush) tlb.tlb_batch_pages_flush();
  tlb.tlb_end_vma(vma);
}

}  // namespace

void unmap_single_vma(Cpu& cpu, Mm& mm, MmuGather& tlb, const Vma& vma, arch::VirtAddr start,
                      arch::VirtAddr end) {
  start = std::max(start, vma.start);
  end = std::min(end, vma.end);
  if (vma.is_hugetlb()) {
    unmap_hugepage_range_final(cpu, mm, tlb, vma, start, end);
  } else {
    unmap_page_range(cpu, mm, tlb, vma, start, end);
  }
}

void zap_page_range_single(Cpu& cpu, Mm& mm, const Vma& vma, arch::VirtAddr start,
                           arch::VirtAddr end) {
  const FunctionTrace trace(cpu, "zap_page_range_single");
  KernelGather gather(cpu, mm);
  MmuNotifierRange range{.mm = mm, .start = start, .end = end};
  adjust_range_if_pmd_sharing_possible(vma, range);
  mmu_notifier_invalidate_range_start(cpu, range);
  unmap_single_vma(cpu, mm, gather.tlb, vma, start, end);
  mmu_notifier_invalidate_range_end(cpu, range);
  gather.finish();
}

void unmap_mapping_range(Cpu& cpu, File& file, std::uint64_t offset, std::uint64_t end) {
  const FunctionTrace trace(cpu, "unmap_mapping_range");
  const ReadGuard lock(file.lock, cpu);
  for (const AddressSpace::Mapping& mapping : file.i_mmap()) {
    const auto part = mapping.part(offset, end);
    if (part.empty()) continue;
    zap_page_range_single(cpu, *mapping.mm, *mapping.vma, part.start, part.end);
    cpu.trace(ProtectionRemoved{.mm = mapping.mm->id,
                                .start = part.start,
                                .end = part.end,
                                .operation = "unmap_mapping_range"});
  }
}

}  // namespace shootdown::sw
