#include "sw/mm/mmap.h"

#include <algorithm>
#include <optional>

#include "hw/arch/check.h"
#include "hw/arch/vmsa64.h"
#include "sw/mm/kernel_gather.h"
#include "sw/mm/mmu_notifier.h"
#include "sw/mm/pgtable.h"

namespace shootdown::sw {

std::unique_ptr<Mm> mm_create(Cpu& cpu, KernelState& kernel, ArchMmu& arch, unsigned number,
                              arch::Asid asid) {
  auto mm = std::make_unique<Mm>(kernel, arch, number, asid);
  Page* pgd = pagetable_alloc(cpu, *mm, 0);
  if (pgd == nullptr) return nullptr;
  mm->pgd = pgd->address;
  cpu.trace(MmCreated{.mm = number, .asid = asid, .pgd = mm->pgd});
  return mm;
}

void do_mmap(Cpu& cpu, Mm& mm, const Vma& vma) {
  const FunctionTrace trace(cpu, "do_mmap");
  const WriteGuard lock(mm.mmap_lock, cpu);
  const auto after = std::find_if(mm.vmas.begin(), mm.vmas.end(),
                                  [&](const Vma& other) { return other.start >= vma.start; });
  SHOOTDOWN_CHECK(after == mm.vmas.end() || vma.end <= after->start, "areas overlap");
  SHOOTDOWN_CHECK(after == mm.vmas.begin() || std::prev(after)->end <= vma.start, "areas overlap");
  mm.vmas.insert(after, vma);
}

namespace {

/// split_vma() at both ends, so that [start, end) consists of whole areas.
void split_at(Mm& mm, arch::VirtAddr at) {
  for (std::size_t i = 0; i < mm.vmas.size(); ++i) {
    Vma& vma = mm.vmas[i];
    if (at <= vma.start || at >= vma.end) continue;
    Vma upper = vma;
    upper.file_offset += at.value - vma.start.value;
    upper.start = at;
    vma.end = at;
    mm.vmas.insert(mm.vmas.begin() + static_cast<std::ptrdiff_t>(i) + 1, upper);
    return;
  }
}

bool overlaps(const Vma& vma, arch::VirtAddr start, arch::VirtAddr end) {
  return vma.start < end && start < vma.end;
}

/// change_pte_range(): one entry, under its lock.
void change_pte(Cpu& cpu, Mm& mm, MmuGather& tlb, const PteSlot& slot, Protection protection) {
  const SpinGuard ptl(pte_lockptr(mm, slot), cpu);
  const Pte old_pte = ptep_get(cpu, slot);
  if (!mm.arch.pte_present(old_pte)) return;
  // ptep_modify_prot_start(): cleared meanwhile, so that hardware cannot set bits that get lost.
  ptep_get_and_clear(cpu, mm, slot);
  // Write permission comes back by a fault, so that dirty tracking and copy-on-write see it.
  const Pte new_pte = protection.write ? old_pte : mm.arch.pte_wrprotect(old_pte);
  set_pte_at(cpu, mm, slot, new_pte);
  if (mm.kernel.inject.skip_mprotect_flush) return;
  if (slot.level == arch::vmsa64::kLastLevel) {
    tlb.tlb_remove_tlb_entry(slot.va);
  } else {
    tlb.tlb_remove_pmd_tlb_entry(slot.va);
  }
}

template <class Action>
void for_each_leaf_slot(Cpu& cpu, Mm& mm, const Vma& vma, arch::VirtAddr start, arch::VirtAddr end,
                        Action&& action) {
  const std::uint64_t step = arch::page_bytes(vma.page_shift);
  for (arch::VirtAddr va = std::max(start, vma.start); va < std::min(end, vma.end);
       va = va + step) {
    if (const auto slot = pte_offset(cpu, mm, va, vma.leaf_level())) action(*slot);
  }
}

Page& page_of_leaf(Mm& mm, Pte pte) {
  Page* page = mm.kernel.pages.find(mm.arch.pte_address(pte));
  SHOOTDOWN_CHECK(page != nullptr, "entry maps a page that is not allocated");
  return *page;
}

/// The zero page is nobody's to queue (vm_normal_page() is null): it is never freed.
bool drop_zero_page(Cpu& cpu, Mm& mm, Page& page) {
  if (&page != mm.kernel.zero_page && &page != mm.kernel.huge_zero_page) return false;
  --page.mapcount;
  mm.kernel.pages.put_page(cpu, page);
  return true;
}

/// zap_present_pte(): clears one entry, lock held. Sets `force_flush` if the flush cannot wait.
/// Returns false if the gather is full.
bool zap_present_pte(Cpu& cpu, Mm& mm, MmuGather& tlb, const PteSlot& slot, bool& force_flush) {
  const Pte pte = ptep_get_and_clear(cpu, mm, slot);
  tlb.tlb_remove_tlb_entry(slot.va);
  Page& page = page_of_leaf(mm, pte);
  if (drop_zero_page(cpu, mm, page)) return true;
  bool delay_rmap = false;
  if (page.use == PageUse::kFile && mm.arch.pte_dirty(pte)) {
    page.dirty = true;
    // Until the flush a CPU can write through its dirty entry. With its rmap the page shows
    // writeback that somebody still maps it.
    delay_rmap = tlb.tlb_delay_rmap();
    force_flush = true;
  }
  if (!delay_rmap) --page.mapcount;
  return !tlb.tlb_remove_page_no_flush(mm.kernel.pages.page_address(page), delay_rmap,
                                       arch::kPageSize);
}

/// Within one table of PTEs. Left out of the kernel's: giving way to others in between
/// (need_resched()), deferred flushes of reclaim (flush_tlb_batched_pending()), and
/// tlb_change_page_size(), which no architecture here looks at.
void zap_pte_range(Cpu& cpu, Mm& mm, MmuGather& tlb, const Vma& vma, arch::VirtAddr start,
                   arch::VirtAddr end) {
  const auto first = pte_offset(cpu, mm, start, arch::vmsa64::kLastLevel);
  if (!first) return;
  arch::VirtAddr va = start;
  while (va < end) {
    bool force_flush = false;
    {
      const SpinGuard ptl(pte_lockptr(mm, *first), cpu);
      for (bool room = true; room && va < end; va = va + arch::kPageSize) {
        const PteSlot slot{
            .address = first->address + ((va.value - start.value) >> arch::kPageShift) * 8,
            .va = va,
            .level = first->level};
        if (ptep_get(cpu, slot) == Pte{}) continue;
        room = zap_present_pte(cpu, mm, tlb, slot, force_flush);
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
void zap_huge_pmd(Cpu& cpu, Mm& mm, MmuGather& tlb, arch::VirtAddr va) {
  const auto slot = pte_offset(cpu, mm, va, 2);
  if (!slot) return;
  Page* page = nullptr;
  {
    const SpinGuard ptl(pte_lockptr(mm, *slot), cpu);
    if (ptep_get(cpu, *slot) == Pte{}) return;
    const Pte pmd = ptep_get_and_clear(cpu, mm, *slot);
    tlb.tlb_remove_pmd_tlb_entry(slot->va);
    page = &page_of_leaf(mm, pmd);
    if (drop_zero_page(cpu, mm, *page)) return;
    if (page->use == PageUse::kFile && mm.arch.pte_dirty(pmd)) page->dirty = true;
    --page->mapcount;
  }
  tlb.tlb_remove_page(mm.kernel.pages.page_address(*page),
                      arch::page_bytes(arch::vmsa64::level_shift(2)));
}

/// unmap_page_range(): one area, or the part of it in [start, end).
void unmap_page_range(Cpu& cpu, Mm& mm, MmuGather& tlb, const Vma& vma, arch::VirtAddr start,
                      arch::VirtAddr end) {
  const FunctionTrace trace(cpu, "unmap_page_range");
  constexpr unsigned kPmdShift = arch::vmsa64::level_shift(2);
  tlb.tlb_start_vma(vma);
  start = std::max(start, vma.start);
  end = std::min(end, vma.end);
  for (arch::VirtAddr va = start; va < end;) {
    const arch::VirtAddr next =
        std::min(end, arch::page_of(va, kPmdShift) + arch::page_bytes(kPmdShift));
    if (vma.leaf_level() == 2) {
      zap_huge_pmd(cpu, mm, tlb, va);
    } else {
      zap_pte_range(cpu, mm, tlb, vma, va, next);
    }
    va = next;
  }
  if (mm.kernel.inject.free_before_flush) tlb.tlb_batch_pages_flush();
  tlb.tlb_end_vma(vma);
}

/// free_pgtables(): frees tables that map nothing any more between `floor` and `ceiling`.
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
      const PteSlot child{
          .address = table + std::uint64_t{arch::vmsa64::table_index(va.value, level)} * 8,
          .va = va,
          .level = level};
      free_tables_below(cpu, mm, tlb, child, start, end, floor, ceiling);
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

void free_pgtables(Cpu& cpu, Mm& mm, MmuGather& tlb, arch::VirtAddr start, arch::VirtAddr end) {
  const FunctionTrace trace(cpu, "free_pgtables");
  arch::VirtAddr floor{};
  arch::VirtAddr ceiling{std::uint64_t{1} << 48};
  for (const Vma& vma : mm.vmas) {
    if (vma.end <= start) floor = vma.end;
    if (vma.start >= end) {
      ceiling = vma.start;
      break;
    }
  }
  const unsigned shift = arch::vmsa64::level_shift(0);
  for (arch::VirtAddr va = arch::page_of(start, shift); va < end;
       va = va + arch::page_bytes(shift)) {
    const PteSlot top{.address = mm.pgd + std::uint64_t{arch::vmsa64::table_index(va.value, 0)} * 8,
                      .va = va,
                      .level = 0};
    free_tables_below(cpu, mm, tlb, top, start, end, floor, ceiling);
  }
}

}  // namespace

void do_mprotect(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end,
                 Protection protection) {
  const FunctionTrace trace(cpu, "do_mprotect");
  {
    const WriteGuard lock(mm.mmap_lock, cpu);
    split_at(mm, start);
    split_at(mm, end);
    KernelGather gather(cpu, mm);
    for (Vma& vma : mm.vmas) {
      if (!overlaps(vma, start, end)) continue;
      const FunctionTrace change(cpu, "change_protection");
      vma.protection = protection;
      // The notifier hears of it from the first populated PUD on, and not at all of an empty area.
      std::optional<MmuNotifierRange> range;
      gather.tlb.tlb_start_vma(vma);
      for_each_leaf_slot(cpu, mm, vma, start, end, [&](const PteSlot& slot) {
        if (!range) {
          const arch::VirtAddr pud = arch::page_of(slot.va, arch::vmsa64::level_shift(1));
          range.emplace(
              MmuNotifierRange{.mm = mm, .start = std::max(vma.start, pud), .end = vma.end});
          mmu_notifier_invalidate_range_start(cpu, *range);
        }
        change_pte(cpu, mm, gather.tlb, slot, protection);
      });
      if (range && mm.kernel.inject.skip_mprotect_flush) {
        mmu_notifier_invalidate_range_only_end(cpu, *range);
      } else if (range) {
        mmu_notifier_invalidate_range_end(cpu, *range);
      }
      gather.tlb.tlb_end_vma(vma);
    }
    gather.finish();
  }
  if (!protection.write) {
    cpu.trace(ProtectionRemoved{.mm = mm.id, .start = start, .end = end, .operation = "mprotect"});
  }
}

void do_munmap(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end) {
  const FunctionTrace trace(cpu, "do_munmap");
  {
    const WriteGuard lock(mm.mmap_lock, cpu);
    split_at(mm, start);
    split_at(mm, end);
    std::vector<Vma> detached;
    for (const Vma& vma : mm.vmas) {
      if (overlaps(vma, start, end)) detached.push_back(vma);
    }
    std::erase_if(mm.vmas, [&](const Vma& vma) { return overlaps(vma, start, end); });
    KernelGather gather(cpu, mm);
    const MmuNotifierRange range{.mm = mm, .start = start, .end = end};
    mmu_notifier_invalidate_range_start(cpu, range);
    for (const Vma& vma : detached) unmap_page_range(cpu, mm, gather.tlb, vma, start, end);
    // The notifier section ends before the last flush and before anything is freed.
    mmu_notifier_invalidate_range_end(cpu, range);
    free_pgtables(cpu, mm, gather.tlb, start, end);
    gather.finish();
  }
  cpu.trace(ProtectionRemoved{.mm = mm.id, .start = start, .end = end, .operation = "munmap"});
}

void age_pages(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end) {
  const FunctionTrace trace(cpu, "folio_referenced");
  const ReadGuard lock(mm.mmap_lock, cpu);
  for (const Vma& vma : mm.vmas) {
    if (!overlaps(vma, start, end)) continue;
    for_each_leaf_slot(cpu, mm, vma, start, end, [&](const PteSlot& slot) {
      const SpinGuard ptl(pte_lockptr(mm, slot), cpu);
      if (mm.arch.pte_present(ptep_get(cpu, slot))) {
        mm.arch.ptep_clear_flush_young(cpu, mm, slot);
      }
    });
  }
}

}  // namespace shootdown::sw
