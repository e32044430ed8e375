#include "sw/mm/rmap.h"

#include <algorithm>

#include "sw/mm/mmu_notifier.h"
#include "sw/mm/pgtable.h"
#include "sw/mm/writeback.h"

namespace shootdown::sw {

void page_add_rmap(Cpu& cpu, Page& page) {
  ++page.mapcount;
  cpu.trace(MapcountChanged{.page = page.address, .mapcount = page.mapcount});
}

void page_remove_rmap(Cpu& cpu, Page& page) {
  --page.mapcount;
  cpu.trace(MapcountChanged{.page = page.address, .mapcount = page.mapcount});
}

// ---- Areas -----------------------------------------------------------------------------------

void vma_link_rmap(Cpu& cpu, Mm& mm, const Vma& vma) {
  const AddressSpace::Mapping mapping{.mm = &mm,
                                      .start = vma.start,
                                      .end = vma.end,
                                      .offset = vma.file_offset,
                                      .vma = std::make_shared<const Vma>(vma)};
  if (vma.file != nullptr) {
    const WriteGuard lock(vma.file->lock, cpu);
    vma.file->insert(mapping);
  }
  if (vma.anon_vma != nullptr) {
    const WriteGuard lock(vma.anon_vma->lock, cpu);
    vma.anon_vma->insert(mapping);
  }
}

void unlink_anon_vmas(Cpu& cpu, Mm& mm, const Vma& vma) {
  if (vma.anon_vma == nullptr) return;
  const FunctionTrace trace(cpu, "unlink_anon_vmas");
  const WriteGuard lock(vma.anon_vma->lock, cpu);
  vma.anon_vma->remove(mm, vma.start, vma.end);
}

void unlink_file_vma(Cpu& cpu, Mm& mm, const Vma& vma) {
  if (vma.file == nullptr) return;
  const FunctionTrace trace(cpu, "unlink_file_vma");
  const WriteGuard lock(vma.file->lock, cpu);
  vma.file->remove(mm, vma.start, vma.end);
}

// ---- Walks -----------------------------------------------------------------------------------

void rmap_walk(Cpu& cpu, Page& page,
               const std::function<void(Mm&, arch::VirtAddr, arch::VirtAddr)>& action) {
  if (page.mapcount != 0) rmap_walk_unmapped(cpu, page, action);
}

void rmap_walk_unmapped(Cpu& cpu, Page& page,
                        const std::function<void(Mm&, arch::VirtAddr, arch::VirtAddr)>& action) {
  if (page.mapping == nullptr) return;
  const ReadGuard lock(page.mapping->lock, cpu);
  const std::uint64_t bytes = arch::kPageSize << page.order;
  for (const AddressSpace::Mapping& mapping : page.mapping->i_mmap()) {
    const auto part = mapping.part(page.index, page.index + bytes);
    if (!part.empty()) action(*mapping.mm, part.start, part.end);
  }
}

void page_vma_mapped_walk(Cpu& cpu, Mm& mm, Page& page, arch::VirtAddr start, arch::VirtAddr end,
                          const std::function<void(const PteSlot&)>& action) {
  const std::uint64_t bytes = arch::kPageSize << page.order;
  for (arch::VirtAddr va = start; va < end;) {
    const auto slot = pte_leaf(cpu, mm, va);
    if (!slot) {
      va = level_end(va, kPmdLevel);
      continue;
    }
    {
      const SpinGuard ptl(pte_lockptr(mm, *slot), cpu);
      const Pte pte = ptep_get(cpu, *slot);
      const arch::PhysAddr output = mm.arch.pte_address(pte);
      if (mm.arch.pte_present(pte) && !mm.arch.pte_table(pte, slot->level) &&
          output >= page.address && output < page.address + bytes) {
        action(*slot);
      }
    }
    va = slot->va + level_bytes(slot->level);
  }
}

// ---- Writeback -------------------------------------------------------------------------------

namespace {

/// page_mkclean_one()
bool page_mkclean_one(Cpu& cpu, Mm& mm, const PteSlot& slot) {
  const Pte pte = ptep_get(cpu, slot);
  if (!mm.arch.pte_dirty(pte) && !mm.arch.pte_write(pte)) return false;
  // A huge entry stays one to those who look without the lock, and would else pass it by.
  const Pte old = slot.level == kPmdLevel ? pmdp_invalidate_flush(cpu, mm, slot)
                                          : ptep_clear_flush(cpu, mm, slot);
  set_pte_at(cpu, mm, slot, mm.arch.pte_mkclean(mm.arch.pte_wrprotect(old)));
  return true;
}

MmuNotifierRange range_of(Mm& mm, arch::VirtAddr start, arch::VirtAddr end) {
  return {.mm = mm, .start = start, .end = end};
}

}  // namespace

int folio_mkclean(Cpu& cpu, Page& page) {
  const FunctionTrace trace(cpu, "folio_mkclean");
  int cleaned = 0;
  rmap_walk(cpu, page, [&](Mm& mm, arch::VirtAddr start, arch::VirtAddr end) {
    const MmuNotifierRange range = range_of(mm, start, end);
    mmu_notifier_invalidate_range_start(cpu, range);
    page_vma_mapped_walk(cpu, mm, page, start, end, [&](const PteSlot& slot) {
      cleaned += page_mkclean_one(cpu, mm, slot) ? 1 : 0;
    });
    mmu_notifier_invalidate_range_end(cpu, range);
  });
  return cleaned;
}

// ---- Isolation -------------------------------------------------------------------------------

std::vector<Page*> isolate_mapped_pages(Cpu& cpu, Mm& mm, arch::VirtAddr start,
                                        arch::VirtAddr end) {
  std::vector<Page*> pages;
  const ReadGuard lock(mm.mmap_lock, cpu);
  for_each_leaf(cpu, mm, start, end, [&](const PteSlot& slot) {
    const SpinGuard ptl(pte_lockptr(mm, slot), cpu);
    const Pte pte = ptep_get(cpu, slot);
    Page* page =
        mm.arch.pte_present(pte) ? mm.kernel.pages.find(mm.arch.pte_address(pte)) : nullptr;
    if (page == nullptr || page->order != 0 || page->mapping == nullptr || page->pins != 0) return;
    if (std::find(pages.begin(), pages.end(), page) != pages.end()) return;
    mm.kernel.pages.get_page(*page);
    pages.push_back(page);
  });
  return pages;
}

// ---- Unmapping -------------------------------------------------------------------------------

namespace {

/// `function_one`: what the kernel calls the part that is done for each area.
void unmap_everywhere(Cpu& cpu, Page& page, UnmapBatch* batch, const ReplacementPte& replacement,
                      const char* function_one) {
  rmap_walk(cpu, page, [&](Mm& mm, arch::VirtAddr start, arch::VirtAddr end) {
    const FunctionTrace one(cpu, function_one);
    const MmuNotifierRange range = range_of(mm, start, end);
    mmu_notifier_invalidate_range_start(cpu, range);
    page_vma_mapped_walk(cpu, mm, page, start, end, [&](const PteSlot& slot) {
      Pte old;
      if (batch != nullptr && mm.arch.should_defer_flush(cpu, mm)) {
        old = ptep_get_and_clear(cpu, mm, slot);
        // set_tlb_ubc_flush_pending()
        mm.arch.tlbbatch_add_pending(cpu, mm, slot.va, *batch);
        ++mm.tlb_flush_batched_pending;
        batch->pages.emplace_back(&mm, slot.va);
        batch->writable |= mm.arch.pte_dirty(old);
        // Before 6bbd42e2df8f core mm tells the secondary TLBs, batched or not.
        mmu_notifier_invalidate_range(cpu, mm, slot.va, slot.va + level_bytes(slot.level));
      } else {
        old = ptep_clear_flush_notify(cpu, mm, slot);
      }
      const Pte left = replacement(mm, old);
      if (left != Pte{}) set_pte_at(cpu, mm, slot, left);
      if (left == old) return;
      if (mm.arch.pte_dirty(old)) folio_mark_dirty(cpu, page);
      page_remove_rmap(cpu, page);
      mm.kernel.pages.put_page(cpu, page);
    });
    mmu_notifier_invalidate_range_end(cpu, range);
  });
}

}  // namespace

void try_to_unmap(Cpu& cpu, Page& page, UnmapBatch* batch, const ReplacementPte& replacement) {
  const FunctionTrace trace(cpu, "try_to_unmap");
  unmap_everywhere(cpu, page, batch, replacement, "try_to_unmap_one");
}

void try_to_migrate(Cpu& cpu, Page& page, UnmapBatch* batch, const ReplacementPte& replacement) {
  const FunctionTrace trace(cpu, "try_to_migrate");
  unmap_everywhere(cpu, page, batch, replacement, "try_to_migrate_one");
}

void try_to_unmap_flush(Cpu& cpu, UnmapBatch& batch) {
  if (batch.pages.empty()) return;
  const FunctionTrace trace(cpu, "try_to_unmap_flush");
  batch.pages.front().first->arch.tlbbatch_flush(cpu, batch);
  batch = {};
}

void try_to_unmap_flush_dirty(Cpu& cpu, UnmapBatch& batch) {
  if (batch.writable) try_to_unmap_flush(cpu, batch);
}

void flush_tlb_batched_pending(Cpu& cpu, Mm& mm) {
  if (mm.tlb_flush_batched_pending == mm.tlb_flush_batched_flushed) return;
  const FunctionTrace trace(cpu, "flush_tlb_batched_pending");
  const std::uint64_t pending = mm.tlb_flush_batched_pending;
  mm.arch.flush_tlb_mm(cpu, mm);
  mm.tlb_flush_batched_flushed = pending;
}

void age_pages(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end) {
  const FunctionTrace trace(cpu, "folio_referenced");
  const ReadGuard lock(mm.mmap_lock, cpu);
  for (const Vma& vma : mm.vmas) {
    if (!vma.overlaps(start, end)) continue;
    for_each_leaf(cpu, mm, std::max(start, vma.start), std::min(end, vma.end),
                  [&](const PteSlot& slot) {
                    const SpinGuard ptl(pte_lockptr(mm, slot), cpu);
                    if (mm.arch.pte_present(ptep_get(cpu, slot))) {
                      mm.arch.ptep_clear_flush_young(cpu, mm, slot);
                    }
                  });
  }
}

}  // namespace shootdown::sw
