#include "sw/mm/migrate.h"

#include <utility>
#include <vector>

#include "sw/mm/arch_mmu.h"
#include "sw/mm/folio_lock.h"
#include "sw/mm/pgtable.h"
#include "sw/mm/rmap.h"
#include "sw/mm/writeback.h"

namespace shootdown::sw {

namespace {

std::uint64_t frame_of(const Page& page) { return page.address.value >> arch::kPageShift; }

/// A migration entry in the place of each entry of the page, with what has to be known to make it
/// again.
void unmap_for_migration(Cpu& cpu, Page& page, UnmapBatch* batch) {
  try_to_migrate(cpu, page, batch, [&](Mm& mm, Pte old) {
    const SwapType type =
        mm.arch.pte_write(old) ? SwapType::kMigrationWrite : SwapType::kMigrationRead;
    return mm.arch.mk_swap_pte(type,
                               frame_of(page) | (mm.arch.pte_dirty(old) ? kMigrationDirty : 0));
  });
}

/// remove_migration_pte(): nothing could have cached a migration entry: no flush.
void remove_migration_pte(Cpu& cpu, Mm& mm, const PteSlot& slot, const Page& from, Page& to) {
  const SpinGuard ptl(pte_lockptr(mm, slot), cpu);
  const Pte entry = ptep_get(cpu, slot);
  const auto type = mm.arch.pte_swap_type(entry);
  if (type != SwapType::kMigrationRead && type != SwapType::kMigrationWrite) return;
  const std::uint64_t offset = mm.arch.pte_swap_offset(entry);
  if ((offset & ~kMigrationDirty) != frame_of(from)) return;
  Pte pte = mm.arch.mk_pte(to.address, slot.level);
  if (type == SwapType::kMigrationWrite) pte = mm.arch.pte_mkwrite(pte);
  if ((offset & kMigrationDirty) != 0) pte = mm.arch.pte_mkdirty(pte);
  mm.kernel.pages.get_page(to);
  page_add_rmap(cpu, to);
  set_pte_at(cpu, mm, slot, pte);
}

/// remove_migration_ptes(): `to` is the new page, or the old one if it could not be moved. Found by
/// the rmap, wherever the entries have been moved or copied to meanwhile.
void remove_migration_ptes(Cpu& cpu, Page& from, Page& to) {
  rmap_walk_unmapped(cpu, from, [&](Mm& mm, arch::VirtAddr start, arch::VirtAddr) {
    const auto slot = pte_offset(cpu, mm, start, kPteLevel);
    if (slot) remove_migration_pte(cpu, mm, *slot, from, to);
  });
}

/// move_to_new_folio(): if only the isolation, and the page cache, refer to the page. Null if not.
Page* move_to_new_folio(Cpu& cpu, KernelState& kernel, Page& from) {
  const bool file = from.use == PageUse::kFile;
  const auto alone = [&] { return from.refcount == (file ? 2 : 1) && from.mapping != nullptr; };
  if (!alone()) return nullptr;
  Page* to = kernel.pages.alloc_pages(cpu, 0, from.use);
  if (to == nullptr) return nullptr;
  cpu.copy_page(to->address, from.address);
  if (!alone()) {  // somebody has found it while it was copied
    kernel.pages.put_page(cpu, *to);
    return nullptr;
  }
  to->mapping = from.mapping;
  to->index = from.index;
  to->lazyfree = from.lazyfree;
  cpu.trace(FolioMoved{.from = from.address, .to = to->address});
  if (std::exchange(from.dirty, false)) folio_mark_dirty(cpu, *to);
  if (file) {
    static_cast<File*>(from.mapping)->pages[from.index] = to;
    kernel.pages.get_page(*to);
    kernel.pages.put_page(cpu, from);
  }
  return to;
}

}  // namespace

void migrate_pages(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end) {
  const FunctionTrace trace(cpu, "migrate_pages");
  std::vector<Page*> pages = isolate_mapped_pages(cpu, mm, start, end);
  // Without waiting: who has one locked now may drop it.
  std::erase_if(pages, [&](Page* page) {
    if (folio_trylock(*page)) return false;
    mm.kernel.pages.put_page(cpu, *page);
    return true;
  });
  UnmapBatch batch;
  const bool batched = mm.kernel.behaviour.batched_migration;
  for (Page* page : pages) unmap_for_migration(cpu, *page, batched ? &batch : nullptr);
  try_to_unmap_flush(cpu, batch);
  for (Page* from : pages) {
    Page* to = move_to_new_folio(cpu, mm.kernel, *from);
    remove_migration_ptes(cpu, *from, to != nullptr ? *to : *from);
    if (to != nullptr) mm.kernel.pages.put_page(cpu, *to);
    folio_unlock(cpu, mm.kernel, *from);
    mm.kernel.pages.put_page(cpu, *from);
  }
  ++mm.kernel.migrations;
  cpu.wake_all(mm.kernel.migration_waiters);
}

}  // namespace shootdown::sw
