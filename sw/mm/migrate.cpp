#include "sw/mm/migrate.h"

#include <algorithm>
#include <vector>

#include "sw/mm/arch_mmu.h"
#include "sw/mm/pgtable.h"
#include "sw/mm/rmap.h"
#include "sw/mm/writeback.h"

namespace shootdown::sw {

namespace {

/// One entry that stood for a page before it moved.
struct MigrationEntry {
  Mm* mm{};
  PteSlot slot;
  Pte old;
};

struct Migration {
  Page* from{};
  Page* to{};
  std::vector<MigrationEntry> entries;
};

/// Pages of the range that only entries (and the page cache) refer to, isolated: one reference
/// more.
std::vector<Page*> isolate(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end) {
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

/// try_to_migrate(): migration entries in the place of the page's.
void unmap_for_migration(Cpu& cpu, Migration& migration, UnmapBatch& batch) {
  try_to_unmap(cpu, *migration.from, &batch, [&](Mm& mm, Pte) {
    return mm.arch.mk_swap_pte(SwapType::kMigration,
                               migration.from->address.value >> arch::kPageShift);
  });
}

/// remove_migration_ptes(): entries of `target`, the old page or the new one. Nothing could have
/// cached the migration entries: no flush.
void remap(Cpu& cpu, const Migration& migration, Page& target) {
  for (const MigrationEntry& entry : migration.entries) {
    Mm& mm = *entry.mm;
    const SpinGuard ptl(pte_lockptr(mm, entry.slot), cpu);
    const Pte now = ptep_get(cpu, entry.slot);
    if (mm.arch.pte_swap_type(now) != SwapType::kMigration) continue;  // unmapped meanwhile
    Pte pte = mm.arch.mk_pte(target.address, entry.slot.level);
    if (mm.arch.pte_write(entry.old)) pte = mm.arch.pte_mkwrite(pte);
    if (mm.arch.pte_dirty(entry.old)) pte = mm.arch.pte_mkdirty(pte);
    mm.kernel.pages.get_page(target);
    page_add_rmap(cpu, target);
    set_pte_at(cpu, mm, entry.slot, pte);
  }
}

/// Where the page is mapped, before it is unmapped.
void note_entries(Cpu& cpu, Migration& migration) {
  rmap_walk(cpu, *migration.from, [&](Mm& mm, arch::VirtAddr start, arch::VirtAddr end) {
    page_vma_mapped_walk(cpu, mm, *migration.from, start, end, [&](const PteSlot& slot) {
      migration.entries.push_back({.mm = &mm, .slot = slot, .old = ptep_get(cpu, slot)});
    });
  });
}

/// move_to_new_folio(): if only the isolation (and the page cache) is left.
bool move_to_new_folio(Cpu& cpu, KernelState& kernel, Migration& migration) {
  Page& from = *migration.from;
  const bool cached = from.use == PageUse::kFile;
  if (from.refcount != 1 + (cached ? 1 : 0)) return false;
  Page* to = kernel.pages.alloc_pages(cpu, 0, from.use);
  if (to == nullptr) return false;
  cpu.copy_page(to->address, from.address);
  to->mapping = from.mapping;
  to->index = from.index;
  if (from.dirty) folio_mark_dirty(cpu, *to);
  cpu.trace(FolioWritten{.page = from.address});  // its contents live on in the new frame
  from.dirty = false;
  if (cached) {
    static_cast<File*>(from.mapping)->pages[from.index] = to;
    kernel.pages.put_page(cpu, from);
    kernel.pages.get_page(*to);
  }
  migration.to = to;
  return true;
}

}  // namespace

void migrate_pages(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end) {
  const FunctionTrace trace(cpu, "migrate_pages");
  std::vector<Migration> migrations;
  UnmapBatch batch;
  for (Page* page : isolate(cpu, mm, start, end)) {
    Migration& migration = migrations.emplace_back();
    migration.from = page;
    note_entries(cpu, migration);
    unmap_for_migration(cpu, migration, batch);
  }
  try_to_unmap_flush(cpu, batch);
  for (Migration& migration : migrations) {
    const bool moved = move_to_new_folio(cpu, mm.kernel, migration);
    remap(cpu, migration, moved ? *migration.to : *migration.from);
    if (moved) mm.kernel.pages.put_page(cpu, *migration.to);
    mm.kernel.pages.put_page(cpu, *migration.from);
  }
  ++mm.kernel.migrations;
  cpu.wake_all(mm.kernel.migration_waiters);
}

}  // namespace shootdown::sw
