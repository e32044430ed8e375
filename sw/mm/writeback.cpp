#include "sw/mm/writeback.h"

#include <vector>

#include "sw/mm/arch_mmu.h"
#include "sw/mm/folio_lock.h"
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

void swap_free(Cpu& cpu, KernelState& kernel, std::uint64_t slot) {
  if (Page* cached = kernel.swap.put(slot)) kernel.pages.put_page(cpu, *cached);
}

namespace {

/// Pages of a part of a file, each with a reference: they may leave the file while others are
/// looked at.
class CachedPages {
 public:
  CachedPages(Cpu& cpu, KernelState& kernel, File& file, std::uint64_t offset, std::uint64_t end)
      : cpu_(cpu), kernel_(kernel), file_(file) {
    for (auto it = file.pages.lower_bound(offset); it != file.pages.end() && it->first < end;
         ++it) {
      kernel.pages.get_page(*it->second);
      pages_.push_back(it->second);
    }
  }
  ~CachedPages() {
    for (Page* page : pages_) kernel_.pages.put_page(cpu_, *page);
  }
  CachedPages(const CachedPages&) = delete;
  CachedPages& operator=(const CachedPages&) = delete;
  const std::vector<Page*>& all() const { return pages_; }
  bool still_cached(const Page& page) const { return file_.find_page(page.index) == &page; }

 private:
  Cpu& cpu_;
  KernelState& kernel_;
  File& file_;
  std::vector<Page*> pages_;
};

void write_out(Cpu& cpu, Page& page) {
  if (!folio_clear_dirty_for_io(cpu, page)) return;
  cpu.trace(FolioWritten{.page = page.address});
}

}  // namespace

void write_cache_pages(Cpu& cpu, KernelState& kernel, File& file, std::uint64_t offset,
                       std::uint64_t end) {
  const FunctionTrace trace(cpu, "write_cache_pages");
  const CachedPages pages(cpu, kernel, file, offset, end);
  for (Page* page : pages.all()) {
    folio_lock(cpu, kernel, *page);
    if (pages.still_cached(*page)) write_out(cpu, *page);
    folio_unlock(cpu, kernel, *page);
  }
}

namespace {

/// One page of the cache, locked.
void shrink_file_page(Cpu& cpu, KernelState& kernel, File& file, Page& page, UnmapBatch& batch) {
  if (page.mapcount != 0) try_to_unmap(cpu, page, &batch, [](Mm&, Pte) { return Pte{}; });
  if (page.dirty) {
    try_to_unmap_flush_dirty(cpu, batch);
    write_out(cpu, page);
  }
  try_to_unmap_flush(cpu, batch);
  // __remove_mapping(): only the page cache and this list refer to it, and nobody has written
  // meanwhile.
  const FunctionTrace remove(cpu, "__remove_mapping");
  if (file.find_page(page.index) != &page || page.refcount != 2 || page.dirty) return;
  file.pages.erase(page.index);
  page.mapping = nullptr;
  cpu.trace(FolioDiscarded{.page = page.address, .order = page.order});
  kernel.pages.put_page(cpu, page);
}

}  // namespace

void shrink_file_pages(Cpu& cpu, KernelState& kernel, File& file, std::uint64_t offset,
                       std::uint64_t end) {
  const FunctionTrace trace(cpu, "shrink_folio_list");
  const CachedPages pages(cpu, kernel, file, offset, end);
  UnmapBatch batch;
  for (Page* page : pages.all()) {
    if (!folio_trylock(*page)) continue;  // somebody writes it back or moves it
    if (pages.still_cached(*page)) shrink_file_page(cpu, kernel, file, *page, batch);
    folio_unlock(cpu, kernel, *page);
  }
}

namespace {

/// A page on its way out, with its slot (0: its contents are given up).
struct Reclaimed {
  Page* page{};
  std::uint64_t slot{};
  bool unmapped{};  ///< here; else whoever unmapped it has thrown its contents away
};

/// pageout() and __remove_mapping() of one page, locked until then.
void finish_swap_out(Cpu& cpu, KernelState& kernel, const Reclaimed& reclaimed) {
  Page& page = *reclaimed.page;
  const std::uint64_t slot = reclaimed.slot;
  // Beside the isolation the swap cache refers to it: nobody has faulted it in again.
  const int alone = slot != 0 ? 2 : 1;
  if (slot != 0 && page.refcount == alone) {
    page.dirty = false;
    kernel.swap.write(cpu, slot, page);
    cpu.trace(FolioWritten{.page = page.address});
  }
  if (page.refcount == alone && !page.dirty) {
    if (slot != 0) {
      kernel.swap.set_cached(slot, nullptr);
      kernel.pages.put_page(cpu, page);
    }
    if (reclaimed.unmapped) {
      cpu.trace(FolioDiscarded{.page = page.address, .order = page.order});
    }
  }
  folio_unlock(cpu, kernel, page);
  kernel.pages.put_page(cpu, page);
  if (slot != 0) swap_free(cpu, kernel, slot);
}

}  // namespace

void shrink_anonymous_pages(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end) {
  const FunctionTrace trace(cpu, "shrink_folio_list");
  // All are unmapped first, so that one flush serves them.
  UnmapBatch batch;
  std::vector<Reclaimed> reclaimed;
  for (Page* page : isolate_mapped_pages(cpu, mm, start, end)) {
    // One that somebody else reclaims has its slot already, and one that is pinned now stays.
    if (page->use != PageUse::kAnonymous || page->mapcount == 0 || page->pins != 0 ||
        !folio_trylock(*page)) {
      mm.kernel.pages.put_page(cpu, *page);
      continue;
    }
    const std::uint64_t swap = page->lazyfree ? 0 : mm.kernel.swap.allocate();
    if (swap != 0) {
      mm.kernel.pages.get_page(*page);
      mm.kernel.swap.set_cached(swap, page);
    }
    Reclaimed& item = reclaimed.emplace_back(Reclaimed{.page = page, .slot = swap});
    try_to_unmap(cpu, *page, &batch, [&](Mm& other, Pte old) {
      // A lazily freed page that was written since is wanted after all.
      if (swap == 0 && other.arch.pte_dirty(old)) page->lazyfree = false;
      if (swap == 0 && !page->lazyfree) return old;
      item.unmapped = true;
      if (swap == 0) return Pte{};
      mm.kernel.swap.get(swap);
      return other.arch.mk_swap_pte(SwapType::kSwap, swap);
    });
  }
  try_to_unmap_flush(cpu, batch);
  for (const Reclaimed& item : reclaimed) finish_swap_out(cpu, mm.kernel, item);
}

}  // namespace shootdown::sw
