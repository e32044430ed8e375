#include "sw/mm/writeback.h"

#include <vector>

#include "sw/mm/arch_mmu.h"
#include "sw/mm/pgtable.h"
#include "sw/mm/rmap.h"
#include "sw/mm/swap.h"

namespace shootdown::sw {

void folio_mark_dirty(Cpu& cpu, Page& page) {
  if (page.dirty) return;
  page.dirty = true;
  cpu.trace(FolioDirtied{.page = page.address});
}

bool folio_clear_dirty_for_io(Cpu& cpu, Page& page) {
  const FunctionTrace trace(cpu, "folio_clear_dirty_for_io");
  // What only entries know becomes known to the folio before the flag is taken.
  if (folio_mkclean(cpu, page) != 0) folio_mark_dirty(cpu, page);
  const bool dirty = page.dirty;
  page.dirty = false;
  return dirty;
}

namespace {

std::vector<Page*> cached_pages(const File& file, std::uint64_t offset, std::uint64_t end) {
  std::vector<Page*> pages;
  for (auto it = file.pages.lower_bound(offset); it != file.pages.end() && it->first < end; ++it) {
    if (it->second != nullptr) pages.push_back(it->second);
  }
  return pages;
}

void write_out(Cpu& cpu, Page& page) {
  if (!folio_clear_dirty_for_io(cpu, page)) return;
  cpu.trace(FolioWritten{.page = page.address});
}

}  // namespace

void write_cache_pages(Cpu& cpu, File& file, std::uint64_t offset, std::uint64_t end) {
  const FunctionTrace trace(cpu, "write_cache_pages");
  for (Page* page : cached_pages(file, offset, end)) write_out(cpu, *page);
}

void shrink_file_pages(Cpu& cpu, KernelState& kernel, File& file, std::uint64_t offset,
                       std::uint64_t end) {
  const FunctionTrace trace(cpu, "shrink_folio_list");
  UnmapBatch batch;
  for (Page* page : cached_pages(file, offset, end)) {
    if (page->mapcount != 0) {
      try_to_unmap(cpu, *page, &batch, [](Mm&, Pte) { return Pte{}; });
    }
    // A dirty entry may have been in use up to the flush: before the contents are taken.
    if (page->dirty) {
      try_to_unmap_flush(cpu, batch);
      write_out(cpu, *page);
    }
    try_to_unmap_flush(cpu, batch);
    // __remove_mapping(): only the page cache refers to it, and nobody has written meanwhile.
    const FunctionTrace remove(cpu, "__remove_mapping");
    if (page->refcount != 1 || page->dirty) continue;
    file.pages.erase(page->index);
    cpu.trace(FolioDiscarded{.page = page->address, .order = page->order});
    kernel.pages.put_page(cpu, *page);
  }
}

void shrink_anonymous_pages(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end) {
  const FunctionTrace trace(cpu, "shrink_folio_list");
  std::vector<Page*> pages;
  {
    const ReadGuard lock(mm.mmap_lock, cpu);
    for_each_leaf(cpu, mm, start, end, [&](const PteSlot& slot) {
      const Pte pte = ptep_get(cpu, slot);
      Page* page =
          mm.arch.pte_present(pte) ? mm.kernel.pages.find(mm.arch.pte_address(pte)) : nullptr;
      if (page == nullptr || page->use != PageUse::kAnonymous || page->order != 0) return;
      mm.kernel.pages.get_page(*page);  // isolated from the LRU
      pages.push_back(page);
    });
  }
  // All are unmapped first, so that one flush serves them.
  UnmapBatch batch;
  std::vector<std::uint64_t> slots;
  for (Page* page : pages) {
    const std::uint64_t swap = page->lazyfree ? 0 : mm.kernel.swap.allocate();
    slots.push_back(swap);
    if (swap != 0) mm.kernel.swap.set_cached(swap, page);
    try_to_unmap(cpu, *page, &batch, [&](Mm& other, Pte old) {
      // A lazily freed page that was written since is wanted after all.
      if (swap == 0 && other.arch.pte_dirty(old)) page->lazyfree = false;
      if (swap == 0) return page->lazyfree ? Pte{} : old;
      mm.kernel.swap.get(swap);
      return other.arch.mk_swap_pte(SwapType::kSwap, swap);
    });
  }
  try_to_unmap_flush(cpu, batch);
  for (std::size_t i = 0; i < pages.size(); ++i) {
    Page& page = *pages[i];
    // Only the isolation refers to it: nobody has faulted it in again, nor pinned it before.
    const bool unused = page.refcount == 1;
    if (slots[i] != 0 && unused) {
      mm.kernel.swap.write(cpu, slots[i], page);
      page.dirty = false;
      cpu.trace(FolioWritten{.page = page.address});
    }
    if (slots[i] != 0 && page.refcount == 1) mm.kernel.swap.set_cached(slots[i], nullptr);
    if (page.refcount == 1) cpu.trace(FolioDiscarded{.page = page.address, .order = page.order});
    mm.kernel.pages.put_page(cpu, page);
    if (slots[i] != 0) mm.kernel.swap.put(slots[i]);
  }
}

}  // namespace shootdown::sw
