#include "sw/mm/mprotect.h"

#include <algorithm>
#include <optional>

#include "sw/mm/huge_memory.h"
#include "sw/mm/hugetlb.h"
#include "sw/mm/kernel_gather.h"
#include "sw/mm/mmap.h"
#include "sw/mm/mmu_notifier.h"
#include "sw/mm/pgtable.h"
#include "sw/mm/rmap.h"
#include "sw/mm/tlb_flush_pending.h"

namespace shootdown::sw {

namespace {

/// What change_protection() makes of an entry (MM_CP_*).
enum class Change : std::uint8_t { kProtect, kUnprotect, kNumaHint, kUffdWp, kUffdWpResolve };

/// A new protection ends a NUMA hint.
Pte mapped(const Mm& mm, Pte pte) {
  return mm.arch.pte_protnone(pte) ? mm.arch.pte_clear_protnone(pte) : pte;
}

Pte changed(const Mm& mm, const Vma& vma, Pte old_pte, Change change) {
  switch (change) {
    case Change::kProtect:
      return mm.arch.pte_wrprotect(mapped(mm, old_pte));
    case Change::kUffdWp:
      return mm.arch.pte_wrprotect(old_pte);
    case Change::kUnprotect:
      // Write permission comes back by a fault, so that dirty tracking and copy-on-write see it.
      return mapped(mm, old_pte);
    case Change::kNumaHint:
      return mm.arch.pte_mkprotnone(old_pte);
    case Change::kUffdWpResolve:
      // can_change_pte_writable(): the page is the process's own.
      if (vma.protection.write && vma.anon_vma != nullptr && mm.arch.pte_dirty(old_pte)) {
        const Page* page = mm.kernel.pages.find(mm.arch.pte_address(old_pte));
        if (page != nullptr && page->refcount == 1) return mm.arch.pte_mkwrite(old_pte);
      }
      return old_pte;
  }
  return old_pte;
}

bool flush_is_needed(const Mm& mm, Pte old_pte, Pte new_pte, int level) {
  const SoftwareInjections& inject = mm.kernel.inject;
  if (inject.skip_mprotect_flush) return false;
  // Before c9fe66560bf2 every present entry that was written again was flushed.
  if (!mm.kernel.behaviour.mprotect_needs_flush) return true;
  if (inject.lax_pte_needs_flush)
    return mm.arch.pte_address(old_pte) != mm.arch.pte_address(new_pte);
  return mm.arch.pte_needs_flush(old_pte, new_pte, level);
}

/// An entry that waits for a migration loses write permission too. True: it was one.
bool change_migration_entry(Cpu& cpu, Mm& mm, const PteSlot& slot, Pte seen, Change change) {
  const auto type = mm.arch.pte_swap_type(seen);
  if (type != SwapType::kMigrationRead && type != SwapType::kMigrationWrite) return false;
  if (type == SwapType::kMigrationWrite &&
      (change == Change::kProtect || change == Change::kUffdWp)) {
    set_pte_at(cpu, mm, slot,
               mm.arch.mk_swap_pte(SwapType::kMigrationRead, mm.arch.pte_swap_offset(seen)));
  }
  return true;
}

/// change_pte_range(), change_huge_pmd(): one entry, under its lock.
void change_entry(Cpu& cpu, Mm& mm, MmuGather& tlb, const Vma& vma, const PteSlot& slot,
                  Change change) {
  const SpinGuard ptl(pte_lockptr(mm, slot), cpu);
  flush_tlb_batched_pending(cpu, mm);
  const Pte seen = ptep_get(cpu, slot);
  if (change_migration_entry(cpu, mm, slot, seen, change)) return;
  if (!mm.arch.pte_present(seen) || mm.arch.pte_table(seen, slot.level)) return;
  if (change == Change::kNumaHint &&
      (mm.arch.pte_protnone(seen) || (vma.file != nullptr && vma.shared))) {
    return;
  }
  // ptep_modify_prot_start(): cleared meanwhile, so that hardware cannot set bits that get lost. A
  // huge entry stays one to those who look without the lock (pmdp_invalidate_ad()).
  const bool huge = slot.level != kPteLevel;
  const Pte old_pte = huge ? pmdp_invalidate(cpu, mm, slot) : ptep_get_and_clear(cpu, mm, slot);
  const Pte new_pte = changed(mm, vma, old_pte, change);
  set_pte_at(cpu, mm, slot, new_pte);
  if (change == Change::kUffdWp) {
    for (std::uint64_t i = 0; i < level_bytes(slot.level); i += arch::kPageSize) {
      mm.uffd_wp.insert(slot.va.value + i);
    }
  }
  if (!flush_is_needed(mm, old_pte, new_pte, slot.level)) return;
  tlb.tlb_change_page_size(level_bytes(slot.level));
  if (slot.level == kPteLevel) {
    tlb.tlb_remove_tlb_entry(slot.va);
  } else {
    tlb.tlb_remove_pmd_tlb_entry(slot.va);
  }
}

/// change_protection(): the part of one area in [start, end).
void change_protection(Cpu& cpu, Mm& mm, MmuGather& tlb, const Vma& vma, arch::VirtAddr start,
                       arch::VirtAddr end, Change change) {
  const FunctionTrace trace(cpu, "change_protection");
  // The notifier hears of it from the first populated PUD on, and not at all of an empty area.
  std::optional<MmuNotifierRange> range;
  tlb.tlb_start_vma(vma);
  const auto change_leaf = [&](const PteSlot& slot) {
    if (!range) {
      const arch::VirtAddr pud = level_start(slot.va, kPudLevel);
      range.emplace(MmuNotifierRange{.mm = mm, .start = std::max(start, pud), .end = end});
      mmu_notifier_invalidate_range_start(cpu, *range);
    }
    change_entry(cpu, mm, tlb, vma, slot, change);
  };
  for (arch::VirtAddr va = start; va < end;) {
    const auto slot = pte_leaf(cpu, mm, va);
    const bool huge = slot && slot->level == kPmdLevel;
    if (huge && (slot->va < start || slot->va + kPmdSize > end)) {
      split_huge_pmd(cpu, mm, vma, slot->va);
      continue;
    }
    if (slot) change_leaf(*slot);
    va = level_end(va, slot && !huge ? kPteLevel : kPmdLevel);
  }
  if (range && mm.kernel.inject.skip_mprotect_flush) {
    mmu_notifier_invalidate_range_only_end(cpu, *range);
  } else if (range) {
    mmu_notifier_invalidate_range_end(cpu, *range);
  }
  tlb.tlb_end_vma(vma);
}

/// All areas in [start, end), each with `gather`.
void change_areas(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end, Change change) {
  for (const Vma& vma : mm.vmas) {
    if (!vma.overlaps(start, end)) continue;
    KernelGather gather(cpu, mm);
    change_protection(cpu, mm, gather.tlb, vma, std::max(start, vma.start), std::min(end, vma.end),
                      change);
    gather.finish();
  }
}

}  // namespace

bool do_mprotect(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end,
                 Protection protection) {
  const FunctionTrace trace(cpu, "do_mprotect");
  std::uint64_t mapped = 0;
  {
    const WriteGuard lock(mm.mmap_lock, cpu);
    split_vma(cpu, mm, start);
    split_vma(cpu, mm, end);
    KernelGather gather(cpu, mm);
    for (Vma& vma : mm.vmas) {
      if (!vma.overlaps(start, end)) continue;
      vma.protection = protection;
      mapped += vma.end.value - vma.start.value;
      if (vma.is_hugetlb()) {
        hugetlb_change_protection(cpu, mm, vma);
        continue;
      }
      change_protection(cpu, mm, gather.tlb, vma, vma.start, vma.end,
                        protection.write ? Change::kUnprotect : Change::kProtect);
    }
    gather.finish();
  }
  if (!protection.write) {
    cpu.trace(ProtectionRemoved{.mm = mm.id, .start = start, .end = end, .operation = "mprotect"});
  }
  return mapped == end.value - start.value;
}

void change_prot_numa(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end) {
  const FunctionTrace trace(cpu, "change_prot_numa");
  const ReadGuard lock(mm.mmap_lock, cpu);
  change_areas(cpu, mm, start, end, Change::kNumaHint);
}

void mwriteprotect_range(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end, bool protect) {
  const FunctionTrace trace(cpu, "mwriteprotect_range");
  {
    const ReadGuard lock(mm.mmap_lock, cpu);
    mm.uffd_registered = true;
    // Also of pages that are in swap or gone by now.
    if (!protect) {
      mm.uffd_wp.erase(mm.uffd_wp.lower_bound(start.value), mm.uffd_wp.lower_bound(end.value));
    }
    change_areas(cpu, mm, start, end, protect ? Change::kUffdWp : Change::kUffdWpResolve);
  }
  if (protect) {
    cpu.trace(ProtectionRemoved{
        .mm = mm.id, .start = start, .end = end, .operation = "ioctl(UFFDIO_WRITEPROTECT)"});
  } else {
    cpu.wake_all(mm.uffd_waiters);
  }
}

void clear_soft_dirty(Cpu& cpu, Mm& mm) {
  const FunctionTrace trace(cpu, "clear_refs_write");
  const WriteGuard lock(mm.mmap_lock, cpu);
  inc_tlb_flush_pending(cpu, mm);
  const MmuNotifierRange range{.mm = mm, .start = {}, .end = kEndOfAddressSpace};
  mmu_notifier_invalidate_range_start(cpu, range);
  for (const Vma& vma : mm.vmas) {
    if (vma.is_hugetlb()) continue;  // clear_refs has no function for their entries
    for_each_leaf(cpu, mm, vma.start, vma.end, [&](const PteSlot& slot) {
      const SpinGuard ptl(pte_lockptr(mm, slot), cpu);
      if (!mm.arch.pte_present(ptep_get(cpu, slot))) return;
      ptep_set_wrprotect(cpu, mm, slot);
    });
  }
  mmu_notifier_invalidate_range_end(cpu, range);
  mm.arch.flush_tlb_mm(cpu, mm);
  dec_tlb_flush_pending(cpu, mm);
}

}  // namespace shootdown::sw
