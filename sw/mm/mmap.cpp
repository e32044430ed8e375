#include "sw/mm/mmap.h"

#include <algorithm>

#include "hw/arch/check.h"
#include "sw/mm/huge_memory.h"
#include "sw/mm/hugetlb.h"
#include "sw/mm/kernel_gather.h"
#include "sw/mm/mmu_notifier.h"
#include "sw/mm/pgtable.h"
#include "sw/mm/rmap.h"
#include "sw/mm/zap.h"

namespace shootdown::sw {

void inc_tlb_flush_pending(Cpu& cpu, Mm& mm) {
  ++mm.tlb_flush_pending;
  cpu.trace(FlushPending{.mm = mm.id, .count = mm.tlb_flush_pending});
}

void dec_tlb_flush_pending(Cpu& cpu, Mm& mm) {
  --mm.tlb_flush_pending;
  cpu.trace(FlushPending{.mm = mm.id, .count = mm.tlb_flush_pending});
}

std::unique_ptr<Mm> mm_create(Cpu& cpu, KernelState& kernel, ArchMmu& arch, unsigned number,
                              arch::Asid asid) {
  auto mm = std::make_unique<Mm>(kernel, arch, number, asid);
  Page* pgd = pagetable_alloc(cpu, *mm, 0);
  if (pgd == nullptr) return nullptr;
  mm->pgd = pgd->address;
  cpu.trace(MmCreated{.mm = number, .asid = asid, .pgd = mm->pgd, .format = arch.table_format()});
  return mm;
}

namespace {

bool is_free(const Mm& mm, arch::VirtAddr start, arch::VirtAddr end) {
  return std::none_of(mm.vmas.begin(), mm.vmas.end(),
                      [&](const Vma& vma) { return vma.overlaps(start, end); });
}

/// vma_link(): `vma` among its neighbours.
void link_vma(Mm& mm, const Vma& vma) {
  const auto after = std::find_if(mm.vmas.begin(), mm.vmas.end(),
                                  [&](const Vma& other) { return other.start >= vma.start; });
  SHOOTDOWN_CHECK(after == mm.vmas.end() || vma.end <= after->start, "areas overlap");
  SHOOTDOWN_CHECK(after == mm.vmas.begin() || std::prev(after)->end <= vma.start, "areas overlap");
  mm.vmas.insert(after, vma);
}

/// remap_pfn_range(): the driver's frames, mapped with the protection of the area.
void remap_pfn_range(Cpu& cpu, Mm& mm, const Vma& vma) {
  const FunctionTrace trace(cpu, "remap_pfn_range");
  for (arch::VirtAddr va = vma.start; va < vma.end; va = va + arch::kPageSize) {
    const auto slot = pte_alloc(cpu, mm, va, arch::vmsa64::kLastLevel);
    if (!slot) return;
    const auto frame = vma.file->frames.find(vma.file_offset + (va.value - vma.start.value));
    if (frame == vma.file->frames.end()) continue;
    Pte pte = mm.arch.mk_pte(frame->second->address, slot->level);
    if (vma.protection.write) pte = mm.arch.pte_mkwrite(mm.arch.pte_mkdirty(pte));
    const SpinGuard ptl(pte_lockptr(mm, *slot), cpu);
    set_pte_at(cpu, mm, *slot, pte);
  }
}

}  // namespace

bool do_mmap(Cpu& cpu, Mm& mm, Vma vma) {
  const FunctionTrace trace(cpu, "do_mmap");
  const WriteGuard lock(mm.mmap_lock, cpu);
  if (!is_free(mm, vma.start, vma.end)) return false;
  if (vma.file == nullptr) vma.file_offset = vma.start.value;
  const bool own_pages = !vma.shared && !vma.pfnmap;
  if (own_pages && vma.anon_vma == nullptr) vma.anon_vma = &mm.kernel.anon_vmas.emplace_back();
  if (vma.is_hugetlb()) vma.hugetlb_vma_lock = std::make_shared<RwSemaphore>();
  link_vma(mm, vma);
  vma_link_rmap(cpu, mm, vma);
  if (vma.pfnmap) remap_pfn_range(cpu, mm, vma);
  return true;
}

namespace {

/// The areas themselves and where they stand in trees. The file's lock is held.
void split_in_place(Cpu& cpu, Mm& mm, std::vector<Vma>::iterator vma, arch::VirtAddr at) {
  Vma upper = *vma;
  upper.file_offset += at.value - vma->start.value;
  upper.start = at;
  if (upper.is_hugetlb()) upper.hugetlb_vma_lock = std::make_shared<RwSemaphore>();
  vma->end = at;
  if (vma->file != nullptr) vma->file->split(mm, *vma, upper);
  if (vma->anon_vma != nullptr) {
    const WriteGuard lock(vma->anon_vma->lock, cpu);
    vma->anon_vma->split(mm, *vma, upper);
  }
  mm.vmas.insert(vma + 1, upper);
}

}  // namespace

void split_vma(Cpu& cpu, Mm& mm, arch::VirtAddr at) {
  const auto vma = std::find_if(mm.vmas.begin(), mm.vmas.end(), [&](const Vma& candidate) {
    return candidate.start < at && at < candidate.end;
  });
  if (vma == mm.vmas.end()) return;
  if (vma->is_hugetlb()) {
    hugetlb_split(cpu, mm, *vma, at, [&] { split_in_place(cpu, mm, vma, at); });
  } else if (vma->file != nullptr) {
    const WriteGuard i_mmap(vma->file->lock, cpu);
    split_in_place(cpu, mm, vma, at);
  } else {
    split_in_place(cpu, mm, vma, at);
  }
}

// ---- munmap ----------------------------------------------------------------------------------

namespace {

/// free_pgd_range(): frees tables that map nothing any more between `floor` and `ceiling`.
void free_tables_below(Cpu& cpu, Mm& mm, MmuGather& tlb, const PteSlot& parent,
                       arch::VirtAddr start, arch::VirtAddr end, arch::VirtAddr floor,
                       arch::VirtAddr ceiling) {
  const Pte entry = ptep_get(cpu, parent);
  if (!mm.arch.pte_table(entry, parent.level)) return;
  const unsigned span_shift = arch::vmsa64::level_shift(parent.level);
  const arch::PhysAddr table = mm.arch.pte_address(entry);
  const int level = parent.level + 1;
  if (level < arch::vmsa64::kLastLevel) {
    const unsigned shift = arch::vmsa64::level_shift(level);
    arch::VirtAddr va = std::max(start, parent.va);
    for (va = arch::page_of(va, shift); va < end && va < parent.va + arch::page_bytes(span_shift);
         va = va + arch::page_bytes(shift)) {
      free_tables_below(cpu, mm, tlb, slot_in(table, va, level), start, end, floor, ceiling);
    }
  }
  // The table goes only if nothing else can be mapped through it: no area between the neighbours.
  if (parent.va < floor || parent.va + arch::page_bytes(span_shift) > ceiling) return;
  {
    const SpinGuard ptl(pte_lockptr(mm, parent), cpu);
    set_pte_at(cpu, mm, parent, Pte{});
  }
  Page* page = mm.kernel.pages.find(table);
  SHOOTDOWN_CHECK(page != nullptr && page->use == PageUse::kTable, "table is not a table page");
  const TableLevel kind = level == 3   ? TableLevel::kPte
                          : level == 2 ? TableLevel::kPmd
                                       : TableLevel::kPud;
  tlb.table_free_tlb(kind, mm.kernel.pages.page_address(*page), parent.va);
}

/// free_pgtables(): from here on rmap walks do not find the areas, and their tables go.
void free_pgtables(Cpu& cpu, Mm& mm, MmuGather& tlb, const std::vector<Vma>& detached,
                   arch::VirtAddr start, arch::VirtAddr end) {
  const FunctionTrace trace(cpu, "free_pgtables");
  for (const Vma& vma : detached) {
    Vma part = vma;
    part.start = std::max(start, vma.start);
    part.end = std::min(end, vma.end);
    unlink_anon_vmas(cpu, mm, part);
    unlink_file_vma(cpu, mm, part);
  }
  arch::VirtAddr floor{};
  arch::VirtAddr ceiling{std::uint64_t{1} << 48};
  for (const Vma& vma : mm.vmas) {
    if (vma.end <= start) floor = vma.end;
    if (vma.start >= end) {
      ceiling = vma.start;
      break;
    }
  }
  tlb.tlb_change_page_size(arch::kPageSize);
  const unsigned shift = arch::vmsa64::level_shift(0);
  for (arch::VirtAddr va = arch::page_of(start, shift); va < end;
       va = va + arch::page_bytes(shift)) {
    free_tables_below(cpu, mm, tlb, slot_in(mm.pgd, va, 0), start, end, floor, ceiling);
  }
}

}  // namespace

void do_munmap(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end) {
  const FunctionTrace trace(cpu, "do_munmap");
  {
    const WriteGuard lock(mm.mmap_lock, cpu);
    split_vma(cpu, mm, start);
    split_vma(cpu, mm, end);
    std::vector<Vma> detached;
    for (const Vma& vma : mm.vmas) {
      if (vma.overlaps(start, end)) detached.push_back(vma);
    }
    std::erase_if(mm.vmas, [&](const Vma& vma) { return vma.overlaps(start, end); });
    KernelGather gather(cpu, mm);
    const MmuNotifierRange range{.mm = mm, .start = start, .end = end};
    mmu_notifier_invalidate_range_start(cpu, range);
    for (const Vma& vma : detached) unmap_single_vma(cpu, mm, gather.tlb, vma, start, end);
    // The notifier section ends before the last flush and before anything is freed.
    mmu_notifier_invalidate_range_end(cpu, range);
    free_pgtables(cpu, mm, gather.tlb, detached, start, end);
    gather.finish();
  }
  cpu.trace(ProtectionRemoved{.mm = mm.id, .start = start, .end = end, .operation = "munmap"});
}

// ---- mremap ----------------------------------------------------------------------------------

namespace {

/// move_ptes(): the entries of [start, end), in one table, to the table of `to`.
void move_ptes(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end, arch::VirtAddr to) {
  const FunctionTrace trace(cpu, "move_ptes");
  const auto old_slot = pte_offset(cpu, mm, start, 3);
  if (!old_slot) return;
  const auto new_slot = pte_alloc(cpu, mm, to, 3);
  if (!new_slot) return;
  bool force_flush = false;
  {
    const DoublePtl locks(cpu, mm, *old_slot, mm, *new_slot);
    flush_tlb_batched_pending(cpu, mm);
    for (std::uint64_t i = 0; start + i * arch::kPageSize < end; ++i) {
      const std::uint64_t bytes = i * arch::kPageSize;
      const PteSlot from{old_slot->address + i * 8, start + bytes, 3};
      if (ptep_get(cpu, from) == Pte{}) continue;
      const Pte pte = ptep_get_and_clear(cpu, mm, from);
      force_flush |= mm.arch.pte_present(pte);
      set_pte_at(cpu, mm, {new_slot->address + i * 8, to + bytes, 3}, pte);
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

/// The table of `va` ends there.
arch::VirtAddr next_table(arch::VirtAddr va) { return arch::page_of(va, kPmdShift) + kPmdSize; }

/// move_page_tables()
void move_page_tables(Cpu& cpu, Mm& mm, const Vma& old_vma, const Vma& new_vma) {
  const MmuNotifierRange range{.mm = mm, .start = old_vma.start, .end = old_vma.end};
  mmu_notifier_invalidate_range_start(cpu, range);
  for (arch::VirtAddr va = old_vma.start; va < old_vma.end;) {
    const arch::VirtAddr there = new_vma.start + (va.value - old_vma.start.value);
    const auto leaf = pte_leaf(cpu, mm, va);
    if (leaf && leaf->level == 2) split_huge_pmd(cpu, mm, old_vma, leaf->va);
    // Neither the old table nor the new one is left within one step.
    const std::uint64_t step =
        std::min({next_table(va).value - va.value, next_table(there).value - there.value,
                  old_vma.end.value - va.value});
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
    if (!is_free(mm, to, to + (end.value - start.value))) return false;
    Vma moved = *found;
    const Vma old = moved;
    moved.start = to;
    moved.end = to + (end.value - start.value);
    if (moved.is_hugetlb()) moved.hugetlb_vma_lock = std::make_shared<RwSemaphore>();
    link_vma(mm, moved);
    vma_link_rmap(cpu, mm, moved);
    if (old.is_hugetlb()) {
      move_hugetlb_page_tables(cpu, mm, old, moved);
    } else {
      move_page_tables(cpu, mm, old, moved);
    }
    // do_vmi_munmap() of the old place. It is empty by now, but for a table that has come to be
    // shared since.
    std::erase_if(mm.vmas, [&](const Vma& vma) { return vma.start == start; });
    KernelGather gather(cpu, mm);
    if (old.is_hugetlb()) unmap_single_vma(cpu, mm, gather.tlb, old, start, end);
    free_pgtables(cpu, mm, gather.tlb, {old}, start, end);
    gather.finish();
  }
  cpu.trace(ProtectionRemoved{.mm = mm.id, .start = start, .end = end, .operation = "mremap"});
  return true;
}

// ---- fork and exit ---------------------------------------------------------------------------

namespace {

/// copy_nonpresent_pte(): an entry whose page is in swap or on its way, both locks held.
void copy_nonpresent_pte(Cpu& cpu, Mm& parent, Mm& child, const Vma& vma, const PteSlot& from,
                         const PteSlot& to, Pte pte) {
  const ArchMmu& format = parent.arch;
  const auto type = format.pte_swap_type(pte);
  if (!type) return;
  if (type == SwapType::kSwap) {
    parent.kernel.swap.get(format.pte_swap_offset(pte));
  } else if (type == SwapType::kMigrationWrite && !vma.shared) {
    // Neither may write to what both will map.
    pte = format.mk_swap_pte(SwapType::kMigrationRead, format.pte_swap_offset(pte));
    set_pte_at(cpu, parent, from, pte);
  }
  set_pte_at(cpu, child, to, pte);
}

/// copy_present_pte(): one entry, both locks held.
void copy_present_pte(Cpu& cpu, Mm& parent, Mm& child, const Vma& vma, const PteSlot& from,
                      const PteSlot& to) {
  Pte pte = ptep_get(cpu, from);
  const ArchMmu& format = parent.arch;
  if (!format.pte_present(pte)) {
    copy_nonpresent_pte(cpu, parent, child, vma, from, to, pte);
    return;
  }
  if (!vma.shared && format.pte_write(pte)) {
    // Without a flush: one for all follows at the end.
    pte = ptep_set_wrprotect(cpu, parent, from);
  }
  if (vma.shared) pte = format.pte_mkclean(pte);
  if (Page* page = vm_normal_page(parent, vma, pte)) {
    parent.kernel.pages.get_page(*page);
    page_add_rmap(cpu, *page);
  }
  set_pte_at(cpu, child, to, format.pte_mkold(pte));
}

/// A pinned page is not shared: the child gets its copy now (copy_present_page()).
bool copy_pinned_page(Cpu& cpu, Mm& parent, Mm& child, const Vma& vma, const PteSlot& from,
                      const PteSlot& to) {
  const Pte pte = ptep_get(cpu, from);
  if (vma.shared || vma.pfnmap || !parent.arch.pte_present(pte)) return false;
  Page* page = parent.kernel.pages.find(parent.arch.pte_address(pte));
  if (page == nullptr || page->pins == 0 || page->use != PageUse::kAnonymous || page->order != 0) {
    return false;
  }
  Page* copy = parent.kernel.pages.alloc_pages(cpu, 0, PageUse::kAnonymous);
  if (copy == nullptr) return false;
  copy->mapping = page->mapping;
  copy->index = page->index;
  cpu.copy_page(copy->address, page->address);
  page_add_rmap(cpu, *copy);
  Pte entry = child.arch.pte_mkdirty(child.arch.mk_pte(copy->address, to.level));
  if (vma.protection.write) entry = child.arch.pte_mkwrite(entry);
  set_pte_at(cpu, child, to, entry);
  return true;
}

/// copy_page_range()
void copy_page_range(Cpu& cpu, Mm& parent, Mm& child, const Vma& vma) {
  const FunctionTrace trace(cpu, "copy_page_range");
  const bool cow = !vma.shared;
  const MmuNotifierRange range{.mm = parent, .start = vma.start, .end = vma.end};
  if (cow) {
    mmu_notifier_invalidate_range_start(cpu, range);
    ++parent.write_protect_seq;
  }
  for_each_leaf(cpu, parent, vma.start, vma.end, [&](const PteSlot& from) {
    // File pages are found by a fault in the child: vma_needs_copy().
    if (vma.anon_vma == nullptr && !vma.pfnmap) return;
    const auto to = pte_alloc(cpu, child, from.va, from.level);
    if (!to || to->level != from.level) return;
    const DoublePtl locks(cpu, child, *to, parent, from);
    if (copy_pinned_page(cpu, parent, child, vma, from, *to)) return;
    copy_present_pte(cpu, parent, child, vma, from, *to);
  });
  if (cow) {
    ++parent.write_protect_seq;
    mmu_notifier_invalidate_range_end(cpu, range);
  }
}

}  // namespace

void dup_mmap(Cpu& cpu, Mm& parent, Mm& child) {
  const FunctionTrace trace(cpu, "dup_mmap");
  const WriteGuard lock(parent.mmap_lock, cpu);
  const WriteGuard child_lock(child.mmap_lock, cpu);
  for (const Vma& vma : parent.vmas) {
    Vma copy = vma;
    if (copy.is_hugetlb()) copy.hugetlb_vma_lock = std::make_shared<RwSemaphore>();
    child.vmas.push_back(copy);
    vma_link_rmap(cpu, child, copy);
    copy_page_range(cpu, parent, child, vma);
  }
  if (!parent.kernel.inject.skip_fork_flush) parent.arch.flush_tlb_mm(cpu, parent);
  for (const Vma& vma : parent.vmas) {
    if (vma.anon_vma == nullptr) continue;
    cpu.trace(ProtectionRemoved{
        .mm = parent.id, .start = vma.start, .end = vma.end, .operation = "fork"});
  }
}

void exit_mmap(Cpu& cpu, Mm& mm) {
  const FunctionTrace trace(cpu, "exit_mmap");
  // mmu_notifier_release(): no device walks these tables from here on.
  for (MmuNotifier* notifier : mm.notifiers) notifier->release(cpu, mm);
  mm.notifiers.clear();
  cpu.trace(MmExiting{.mm = mm.id});
  {
    const WriteGuard lock(mm.mmap_lock, cpu);
    std::vector<Vma> detached;
    detached.swap(mm.vmas);
    KernelGather gather(cpu, mm, /*fullmm=*/true);
    for (const Vma& vma : detached) {
      unmap_single_vma(cpu, mm, gather.tlb, vma, vma.start, vma.end);
    }
    free_pgtables(cpu, mm, gather.tlb, detached, {}, {std::uint64_t{1} << 48});
    gather.finish();
  }
  // mm_drop(). The ASID is not given away again.
  Page* pgd = mm.kernel.pages.find(mm.pgd);
  SHOOTDOWN_CHECK(pgd != nullptr, "the top table is gone already");
  mm.kernel.pages.put_page(cpu, *pgd);
}

}  // namespace shootdown::sw
