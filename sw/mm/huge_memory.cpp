#include "sw/mm/huge_memory.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "hw/arch/check.h"
#include "sw/mm/memory.h"
#include "sw/mm/mmu_notifier.h"
#include "sw/mm/pgtable.h"
#include "sw/mm/rmap.h"
#include "sw/mm/tlb_sync.h"
#include "sw/mm/writeback.h"
#include "sw/mm/zap.h"

namespace shootdown::sw {

namespace {

constexpr unsigned kPmdOrder = kPmdShift - arch::kPageShift;
constexpr unsigned kPtesPerPmd = 1U << kPmdOrder;

Page* table_page(Mm& mm, Pte pmd) {
  Page* page = mm.kernel.pages.find(mm.arch.pte_address(pmd));
  SHOOTDOWN_CHECK(page != nullptr && page->use == PageUse::kTable, "table is not a table page");
  return page;
}

/// pmdp_collapse_flush(): the whole table goes out of sight of hardware walkers. PMD lock held.
Pte pmdp_collapse_flush(Cpu& cpu, Mm& mm, const PteSlot& pmd) {
  const FunctionTrace trace(cpu, "pmdp_collapse_flush");
  const Pte old = ptep_get_and_clear(cpu, mm, pmd);
  mm.arch.flush_tlb_range(cpu, mm, pmd.va, pmd.va + kPmdSize, arch::kPageShift);
  return old;
}

/// pgtable_trans_huge_deposit(): a table kept with its huge entry, for a later split.
void deposit(Mm& mm, arch::VirtAddr pmd, Page& table) { mm.deposited_tables[pmd.value] = &table; }

Page* withdraw(Mm& mm, arch::VirtAddr pmd) {
  const auto found = mm.deposited_tables.find(pmd.value);
  if (found == mm.deposited_tables.end()) return nullptr;
  Page* table = found->second;
  mm.deposited_tables.erase(found);
  return table;
}

void copy_huge(Cpu& cpu, const Page& to, unsigned index, const Page& from) {
  cpu.copy_page(to.address + index * arch::kPageSize, from.address);
}

}  // namespace

void zap_deposited_table(Cpu& cpu, Mm& mm, arch::VirtAddr pmd) {
  // Nothing leads to it any more: it is freed at once.
  if (Page* table = withdraw(mm, pmd)) pte_free(cpu, mm, *table);
}

namespace {

/// A page of a file is only unmapped: faults bring it back in parts (pmdp_huge_clear_flush()).
/// PMD lock held.
void unmap_file_pmd(Cpu& cpu, Mm& mm, const PteSlot& pmd, Page& page) {
  const Pte huge = ptep_get_and_clear(cpu, mm, pmd);
  mm.arch.flush_tlb_range(cpu, mm, pmd.va, pmd.va + kPmdSize, kPmdShift);
  mmu_notifier_invalidate_range(cpu, mm, pmd.va, pmd.va + kPmdSize);
  if (mm.arch.pte_dirty(huge)) folio_mark_dirty(cpu, page);
  page_remove_rmap(cpu, page);
  mm.kernel.pages.put_page(cpu, page);
}

/// Fills `table` with small entries that map what `huge` maps, and permit the same.
void fill_with_parts(Cpu& cpu, Mm& mm, const Page& table, arch::VirtAddr start, Pte huge) {
  const arch::PhysAddr frame = mm.arch.pte_address(huge);
  for (unsigned i = 0; i < kPtesPerPmd; ++i) {
    Pte pte = mm.arch.mk_pte(frame + i * arch::kPageSize, kPteLevel);
    if (mm.arch.pte_write(huge)) pte = mm.arch.pte_mkwrite(pte);
    if (mm.arch.pte_dirty(huge)) pte = mm.arch.pte_mkdirty(pte);
    if (!mm.arch.pte_young(huge)) pte = mm.arch.pte_mkold(pte);
    set_pte_at(cpu, mm, slot_in(table.address, start + i * arch::kPageSize, kPteLevel), pte);
  }
}

/// __split_huge_zero_page_pmd(): 512 entries of the small zero page. PMD lock held.
void split_huge_zero_pmd(Cpu& cpu, Mm& mm, const PteSlot& pmd, const Page& table) {
  const FunctionTrace trace(cpu, "pmdp_huge_clear_flush");
  ptep_get_and_clear(cpu, mm, pmd);
  mm.arch.flush_tlb_range(cpu, mm, pmd.va, pmd.va + kPmdSize, kPmdShift);
  mmu_notifier_invalidate_range(cpu, mm, pmd.va, pmd.va + kPmdSize);
  Page& zero = *mm.kernel.zero_page;
  for (unsigned i = 0; i < kPtesPerPmd; ++i) {
    mm.kernel.pages.get_page(zero);
    page_add_rmap(cpu, zero);
    set_pte_at(cpu, mm, slot_in(table.address, pmd.va + i * arch::kPageSize, kPteLevel),
               mm.arch.mk_pte(zero.address, kPteLevel));
  }
  page_remove_rmap(cpu, *mm.kernel.huge_zero_page);
  mm.kernel.pages.put_page(cpu, *mm.kernel.huge_zero_page);
  cpu.dsb(Barrier::kIshst);
  set_pte_at(cpu, mm, pmd, mm.arch.mk_table(table.address));
}

/// __split_huge_pmd_locked(): PMD lock held. Takes the table that was kept with the huge entry, or
/// else `spare`, which is null afterwards.
void split_huge_pmd_locked(Cpu& cpu, Mm& mm, const Vma& vma, const PteSlot& pmd, Page*& spare) {
  const Pte old = ptep_get(cpu, pmd);
  Page* table = withdraw(mm, pmd.va);
  if (table == nullptr) table = std::exchange(spare, nullptr);
  if (!mm.arch.pte_present(old) || mm.arch.pte_table(old, kPmdLevel) || table == nullptr) {
    if (table != nullptr) pte_free(cpu, mm, *table);
    return;
  }
  Page* page = vm_normal_page(mm, vma, old);
  if (page != nullptr && page == mm.kernel.huge_zero_page) {
    split_huge_zero_pmd(cpu, mm, pmd, *table);
    return;
  }
  if (page != nullptr && page->use == PageUse::kFile) {
    unmap_file_pmd(cpu, mm, pmd, *page);
    pte_free(cpu, mm, *table);
    return;
  }
  // Never are small and huge entries there at the same time.
  const Pte huge = pmdp_invalidate_flush(cpu, mm, pmd);
  fill_with_parts(cpu, mm, *table, pmd.va, huge);
  // The page is mapped by 512 entries now, each with a reference.
  if (page != nullptr) {
    for (unsigned i = 1; i < kPtesPerPmd; ++i) {
      mm.kernel.pages.get_page(*page);
      page_add_rmap(cpu, *page);
    }
  }
  cpu.dsb(Barrier::kIshst);
  set_pte_at(cpu, mm, pmd, mm.arch.mk_table(table->address));
}

}  // namespace

bool split_huge_pmd(Cpu& cpu, Mm& mm, const Vma& vma, arch::VirtAddr pmd_va) {
  const FunctionTrace trace(cpu, "__split_huge_pmd");
  const auto pmd = pte_offset(cpu, mm, pmd_va, kPmdLevel);
  if (!pmd) return true;
  // The entry may come to be the huge zero page before the lock is held.
  if (vma.anon_vma != nullptr && get_zero_page(cpu, mm.kernel, 0) == nullptr) return false;
  const MmuNotifierRange range{.mm = mm, .start = pmd->va, .end = pmd->va + kPmdSize};
  mmu_notifier_invalidate_range_start(cpu, range);
  // A table of its own, unless one was kept: memory may have to be waited for, so before the lock.
  const bool kept = mm.deposited_tables.contains(pmd->va.value);
  Page* spare = kept ? nullptr : pagetable_alloc(cpu, mm, kPteLevel);
  const bool enough = kept || spare != nullptr;
  {
    const SpinGuard ptl(pte_lockptr(mm, *pmd), cpu);
    split_huge_pmd_locked(cpu, mm, vma, *pmd, spare);
  }
  if (spare != nullptr) pte_free(cpu, mm, *spare);
  // What had to be invalidated was, under the lock.
  mmu_notifier_invalidate_range_only_end(cpu, range);
  return enough;
}

// ---- Collapse of anonymous memory ------------------------------------------------------------

namespace {

/// __collapse_huge_page_isolate(): all small pages there, each the process's own.
bool collapse_huge_page_isolate(Cpu& cpu, Mm& mm, arch::PhysAddr table, arch::VirtAddr start,
                                std::vector<Page*>& pages) {
  for (unsigned i = 0; i < kPtesPerPmd; ++i) {
    const Pte pte = ptep_get(cpu, slot_in(table, start + i * arch::kPageSize, kPteLevel));
    Page* page =
        mm.arch.pte_present(pte) ? mm.kernel.pages.find(mm.arch.pte_address(pte)) : nullptr;
    const bool good = page != nullptr && page->use == PageUse::kAnonymous && page->order == 0 &&
                      page->refcount == 1 && page->mapcount == 1 && mm.arch.pte_write(pte);
    if (!good) return false;
    pages.push_back(page);
  }
  return true;
}

}  // namespace

bool collapse_huge_page(Cpu& cpu, Mm& mm, arch::VirtAddr start) {
  const FunctionTrace trace(cpu, "collapse_huge_page");
  const WriteGuard lock(mm.mmap_lock, cpu);
  Vma* vma = mm.find_vma(start);
  if (vma == nullptr || vma->anon_vma == nullptr || vma->file != nullptr || vma->start > start ||
      vma->end < start + kPmdSize || vma->leaf_level() != kPteLevel) {
    return false;
  }
  const auto pmd = pte_offset(cpu, mm, start, kPmdLevel);
  if (!pmd || !mm.arch.pte_table(ptep_get(cpu, *pmd), kPmdLevel)) return false;
  Page* huge = mm.kernel.pages.alloc_pages(cpu, kPmdOrder, PageUse::kAnonymous);
  if (huge == nullptr) return false;
  huge->mapping = vma->anon_vma;
  huge->index = vma->file_offset + (start.value - vma->start.value);
  const WriteGuard anon_lock(vma->anon_vma->lock, cpu);
  const MmuNotifierRange range{.mm = mm, .start = start, .end = start + kPmdSize};
  mmu_notifier_invalidate_range_start(cpu, range);
  Pte old_pmd;
  {
    const SpinGuard ptl(pte_lockptr(mm, *pmd), cpu);
    old_pmd = pmdp_collapse_flush(cpu, mm, *pmd);
  }
  mmu_notifier_invalidate_range_end(cpu, range);
  // From here on no hardware walker and, after this, no GUP-fast reaches the small pages.
  if (mm.kernel.behaviour.khugepaged_sync) tlb_remove_table_sync_one(cpu, mm);
  Page* table = table_page(mm, old_pmd);
  std::vector<Page*> pages;
  if (!collapse_huge_page_isolate(cpu, mm, table->address, start, pages)) {
    set_pte_at(cpu, mm, *pmd, old_pmd);
    mm.kernel.pages.put_page(cpu, *huge);
    return false;
  }
  // __collapse_huge_page_copy(): the walkers cannot reach the entries: no flush.
  for (unsigned i = 0; i < kPtesPerPmd; ++i) {
    copy_huge(cpu, *huge, i, *pages[i]);
    set_pte_at(cpu, mm, slot_in(table->address, start + i * arch::kPageSize, kPteLevel), Pte{});
    page_remove_rmap(cpu, *pages[i]);
    mm.kernel.pages.put_page(cpu, *pages[i]);
  }
  page_add_rmap(cpu, *huge);
  const SpinGuard ptl(pte_lockptr(mm, *pmd), cpu);
  deposit(mm, start, *table);
  set_pte_at(cpu, mm, *pmd,
             mm.arch.pte_mkwrite(mm.arch.pte_mkdirty(mm.arch.mk_pte(huge->address, kPmdLevel))));
  return true;
}

// ---- Collapse of a file ----------------------------------------------------------------------

namespace {

/// pte_free_defer(): freed when those who read tables without a lock are gone.
void pte_free_defer(Cpu& cpu, Mm& mm, Page& table) {
  const FunctionTrace trace(cpu, "pte_free_defer");
  mm.kernel.rcu.call_rcu(
      cpu, [mm = &mm, table = &table](Cpu& rcu_cpu) { pte_free(rcu_cpu, *mm, *table); });
}

/// collapse_and_free_pmd(): takes one table, whose entries are all gone, out of its mapping.
void collapse_and_free_pmd(Cpu& cpu, Mm& mm, arch::VirtAddr start) {
  const auto pmd = pte_offset(cpu, mm, start, kPmdLevel);
  if (!pmd || !mm.arch.pte_table(ptep_get(cpu, *pmd), kPmdLevel)) return;
  const MmuNotifierRange range{.mm = mm, .start = start, .end = start + kPmdSize};
  mmu_notifier_invalidate_range_start(cpu, range);
  Pte old;
  {
    const SpinGuard ptl(pte_lockptr(mm, *pmd), cpu);
    old = pmdp_collapse_flush(cpu, mm, *pmd);
  }
  const bool by_rcu = mm.kernel.behaviour.retract_by_rcu;
  // 2ba99c5e0881: whoever read the entry with interrupts off is gone after this.
  if (mm.kernel.behaviour.khugepaged_sync && !by_rcu) tlb_remove_table_sync_one(cpu, mm);
  mmu_notifier_invalidate_range_end(cpu, range);
  Page* table = table_page(mm, old);
  if (by_rcu) return pte_free_defer(cpu, mm, *table);
  pte_free(cpu, mm, *table);
}

/// retract_page_tables(): the next fault of each mapping maps the huge page.
void retract_page_tables(Cpu& cpu, File& file, std::uint64_t offset) {
  const FunctionTrace trace(cpu, "retract_page_tables");
  // Held throughout: no area can go, and no rmap walk meets a table that does.
  const WriteGuard lock(file.lock, cpu);
  for (const AddressSpace::Mapping& mapping : file.i_mmap()) {
    if (mapping.vma->anon_vma != nullptr) continue;  // its table holds pages of the process's own
    if (offset < mapping.offset) continue;
    const arch::VirtAddr start = mapping.start + (offset - mapping.offset);
    if (level_start(start, kPmdLevel) != start || start + kPmdSize > mapping.end) continue;
    Mm& mm = *mapping.mm;
    // Whoever faults or zaps there keeps its table, until khugepaged comes again.
    if (!mm.mmap_lock.try_write_lock()) continue;
    collapse_and_free_pmd(cpu, mm, start);
    mm.mmap_lock.write_unlock(cpu);
  }
}

/// The small pages of [offset, offset + 2 MiB), each with a reference; holes are left out
/// (max_ptes_none). Nothing if one of them is used otherwise than by the cache and by entries.
std::vector<Page*> isolate_file_pages(KernelState& kernel, const File& file, std::uint64_t offset) {
  std::vector<Page*> pages;
  for (auto it = file.pages.lower_bound(offset);
       it != file.pages.end() && it->first < offset + kPmdSize; ++it) {
    const Page* page = it->second;
    if (page->order != 0 || page->refcount != 1 + page->mapcount) return {};
    pages.push_back(it->second);
  }
  for (Page* page : pages) kernel.pages.get_page(*page);
  return pages;
}

/// Fills `huge` with the small pages, unmapped for that, and with zeroes. False if somebody took a
/// reference to one of them meanwhile.
bool copy_file_pages(Cpu& cpu, const File& file, std::uint64_t offset, Page& huge,
                     const std::vector<Page*>& pages) {
  for (unsigned i = 0; i < kPtesPerPmd; ++i) {
    if (!file.pages.contains(offset + i * arch::kPageSize)) {
      cpu.clear_page(huge.address + i * arch::kPageSize);
    }
  }
  for (Page* page : pages) {
    try_to_unmap(cpu, *page, nullptr, [](Mm&, Pte) { return Pte{}; });
    copy_huge(cpu, huge, static_cast<unsigned>((page->index - offset) >> arch::kPageShift), *page);
  }
  return std::all_of(pages.begin(), pages.end(), [&](const Page* page) {
    return page->refcount == 2 && page->mapcount == 0 && file.find_page(page->index) == page;
  });
}

}  // namespace

bool collapse_file(Cpu& cpu, KernelState& kernel, File& file, std::uint64_t offset) {
  const FunctionTrace trace(cpu, "collapse_file");
  if (file.locked) return false;
  const std::vector<Page*> pages = isolate_file_pages(kernel, file, offset);
  if (pages.empty()) return false;
  file.locked = offset;
  Page* huge = kernel.pages.alloc_pages(cpu, kPmdOrder, PageUse::kFile);
  const bool good = huge != nullptr && copy_file_pages(cpu, file, offset, *huge, pages);
  if (good) {
    huge->mapping = &file;
    huge->index = offset;
    bool dirty = false;
    for (Page* page : pages) {
      cpu.trace(FolioMoved{.from = page->address, .to = huge->address + (page->index - offset)});
      dirty |= std::exchange(page->dirty, false);
      file.pages.erase(page->index);
      page->mapping = nullptr;
      kernel.pages.put_page(cpu, *page);
    }
    file.pages[offset] = huge;  // takes the reference over
    if (dirty) folio_mark_dirty(cpu, *huge);
    retract_page_tables(cpu, file, offset);
  } else if (huge != nullptr) {
    kernel.pages.put_page(cpu, *huge);
  }
  for (Page* page : pages) kernel.pages.put_page(cpu, *page);
  file.locked.reset();
  ++kernel.migrations;
  cpu.wake_all(kernel.migration_waiters);
  return good;
}

bool khugepaged_scan(Cpu& cpu, Mm& mm, arch::VirtAddr start) {
  const FunctionTrace trace(cpu, "khugepaged");
  Vma* vma = mm.find_vma(start);
  if (vma == nullptr) return false;
  if (vma->file == nullptr) return collapse_huge_page(cpu, mm, start);
  const std::uint64_t offset = vma->file_offset + (start.value - vma->start.value);
  return collapse_file(cpu, mm.kernel, *vma->file, offset);
}

}  // namespace shootdown::sw
