// From a page to the entries that map it: reverse mapping, and what goes through it.
// Mirrors mm/rmap.c.
#ifndef SHOOTDOWN_SW_MM_RMAP_H
#define SHOOTDOWN_SW_MM_RMAP_H

#include <functional>
#include <vector>

#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/mm/arch_mmu.h"
#include "sw/mm/mm_types.h"

namespace shootdown::sw {

/// page_add_file_rmap(), page_add_new_anon_rmap(), page_remove_rmap(): one entry more or less.
void page_add_rmap(Cpu& cpu, Page& page);
void page_remove_rmap(Cpu& cpu, Page& page);

/// The area is findable by rmap walks from here on (vma_link()), or no longer (unlink_anon_vmas(),
/// unlink_file_vma()).
void vma_link_rmap(Cpu& cpu, Mm& mm, const Vma& vma);
void unlink_anon_vmas(Cpu& cpu, Mm& mm, const Vma& vma);
void unlink_file_vma(Cpu& cpu, Mm& mm, const Vma& vma);

/// Calls `action` for each area that may map `page`, with the first address the page would have in
/// it. Nothing at all if the page is not mapped: then no lock of a table is taken either. `action`
/// finds the tree's lock held.
void rmap_walk(Cpu& cpu, Page& page,
               const std::function<void(Mm&, arch::VirtAddr start, arch::VirtAddr end)>& action);
/// page_vma_mapped_walk(): the entries of [start, end) that map a part of `page`, each under its
/// page-table lock.
void page_vma_mapped_walk(Cpu& cpu, Mm& mm, Page& page, arch::VirtAddr start, arch::VirtAddr end,
                          const std::function<void(const PteSlot&)>& action);

/// As above, for a page that was unmapped, to find what stands in its place.
void rmap_walk_unmapped(
    Cpu& cpu, Page& page,
    const std::function<void(Mm&, arch::VirtAddr start, arch::VirtAddr end)>& action);

/// folio_mkclean(): makes every entry of a page clean and read-only. Returns how many it changed.
int folio_mkclean(Cpu& cpu, Page& page);

/// Base pages that are mapped in [start, end), known to the rmap and not pinned, each with a
/// reference: isolated from the LRU.
std::vector<Page*> isolate_mapped_pages(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end);

/// What to leave in the place of an entry that is unmapped.
using ReplacementPte = std::function<Pte(Mm&, Pte old)>;
/// try_to_unmap(): removes every entry of a page. `replacement` that returns
/// the old entry keeps it. With `batch` (TTU_BATCH_FLUSH) the caller owes try_to_unmap_flush().
void try_to_unmap(Cpu& cpu, Page& page, UnmapBatch* batch, const ReplacementPte& replacement);
/// As above, to move the page (migrate.cpp).
void try_to_migrate(Cpu& cpu, Page& page, UnmapBatch* batch, const ReplacementPte& replacement);
void try_to_unmap_flush(Cpu& cpu, UnmapBatch& batch);
/// As above, if a dirty entry is among them: before the contents of a page are taken.
void try_to_unmap_flush_dirty(Cpu& cpu, UnmapBatch& batch);
/// Called under a page-table lock by who relies on an empty entry being flushed.
void flush_tlb_batched_pending(Cpu& cpu, Mm& mm);

/// folio_referenced(): makes the entries of [start, end) old, to learn which are in use.
void age_pages(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end);

}  // namespace shootdown::sw

#endif
