#include "sw/mm/pgtable.h"

#include "hw/arch/check.h"
#include "sw/mm/flush_scope.h"
#include "sw/mm/mmu_notifier.h"

namespace shootdown::sw {

PteSlot slot_in(arch::PhysAddr table, arch::VirtAddr va, int level) {
  return {.address = table + std::uint64_t{table_index(va, level)} * 8,
          .va = level_start(va, level),
          .level = level};
}

namespace {

void trace_store(Cpu& cpu, const Mm& mm, const PteSlot& slot, std::uint64_t before, Pte after) {
  cpu.trace(PteStore{.mm = mm.id,
                     .va = slot.va,
                     .level = slot.level,
                     .entry = slot.address,
                     .before = {before},
                     .after = {after.value},
                     .protnone = mm.arch.pte_protnone(after)});
}

}  // namespace

bool pagetable_constructed(const Mm& mm, int level) {
  return level >= kPmdLevel || (level == kPudLevel && mm.kernel.behaviour.pud_table_dtor);
}

Page* pagetable_alloc(Cpu& cpu, Mm& mm, int level) {
  Page* page = mm.kernel.pages.alloc_pages(cpu, 0, PageUse::kTable);
  if (page == nullptr) return nullptr;
  cpu.clear_page(page->address);
  if (!pagetable_constructed(mm, level)) return page;
  page->table = true;
  page->index = static_cast<std::uint64_t>(level);
  ++mm.kernel.nr_page_table;
  cpu.trace(TableAccounted{.mm = mm.id,
                           .page = page->address,
                           .level = level,
                           .constructed = true,
                           .tables = mm.kernel.nr_page_table});
  return page;
}

void pagetable_dtor(Cpu& cpu, Mm& mm, Page& table) {
  SHOOTDOWN_CHECK(table.use == PageUse::kTable, "the destructor of a table on another page");
  table.table = false;
  --mm.kernel.nr_page_table;
  cpu.trace(TableAccounted{.mm = mm.id,
                           .page = table.address,
                           .level = static_cast<int>(table.index),
                           .constructed = false,
                           .tables = mm.kernel.nr_page_table});
}

void pagetable_free(Cpu& cpu, Mm& mm, Page& table) {
  const FunctionTrace trace(cpu, mm.kernel.behaviour.ptdesc ? "pagetable_free" : "__free_page");
  mm.kernel.pages.put_page(cpu, table);
}

void pte_free(Cpu& cpu, Mm& mm, Page& table) {
  const FunctionTrace trace(cpu, "pte_free");
  if (table.table) pagetable_dtor(cpu, mm, table);
  pagetable_free(cpu, mm, table);
}

std::optional<PteSlot> pte_offset(Cpu& cpu, Mm& mm, arch::VirtAddr va, int level) {
  PteSlot slot = slot_in(mm.pgd, va, kPgdLevel);
  while (slot.level < level) {
    const Pte entry = ptep_get(cpu, slot);
    if (!mm.arch.pte_table(entry, slot.level)) return std::nullopt;
    slot = slot_in(mm.arch.pte_address(entry), va, slot.level + 1);
  }
  return slot;
}

std::optional<PteSlot> pte_alloc(Cpu& cpu, Mm& mm, arch::VirtAddr va, int level) {
  PteSlot slot = slot_in(mm.pgd, va, kPgdLevel);
  while (slot.level < level) {
    Pte entry = ptep_get(cpu, slot);
    if (mm.arch.pte_present(entry) && !mm.arch.pte_table(entry, slot.level)) return slot;
    if (!mm.arch.pte_table(entry, slot.level)) {
      Page* table = pagetable_alloc(cpu, mm, slot.level + 1);
      if (table == nullptr) return std::nullopt;
      const SpinGuard guard(pte_lockptr(mm, slot), cpu);
      entry = ptep_get(cpu, slot);
      if (mm.arch.pte_table(entry, slot.level)) {
        // Another CPU was first.
        pte_free(cpu, mm, *table);
      } else if (mm.arch.pte_present(entry)) {
        pte_free(cpu, mm, *table);
        return slot;
      } else {
        // The table is filled (zeroed) before it is linked: rule 5 of the architecture.
        cpu.dsb(Barrier::kIshst);
        entry = mm.arch.mk_table(table->address);
        set_pte_at(cpu, mm, slot, entry);
      }
    }
    slot = slot_in(mm.arch.pte_address(entry), va, slot.level + 1);
  }
  return slot;
}

std::optional<PteSlot> pte_leaf(Cpu& cpu, Mm& mm, arch::VirtAddr va) {
  PteSlot slot = slot_in(mm.pgd, va, kPgdLevel);
  while (slot.level < kPteLevel) {
    const Pte entry = ptep_get(cpu, slot);
    if (!mm.arch.pte_table(entry, slot.level)) {
      // Also a huge entry that is swapped for a marker: whoever looks finds out.
      return entry == Pte{} ? std::nullopt : std::optional(slot);
    }
    slot = slot_in(mm.arch.pte_address(entry), va, slot.level + 1);
  }
  return slot;
}

SpinLock& pte_lockptr(Mm& mm, const PteSlot& slot) {
  return mm.kernel.ptl(arch::page_of(slot.address));
}

Pte ptep_get(Cpu& cpu, const PteSlot& slot) { return {cpu.load(slot.address)}; }

// An implementation of Cpu lets no time pass between a store and the trace that follows it.
void set_pte_at(Cpu& cpu, Mm& mm, const PteSlot& slot, Pte pte) {
  const std::uint64_t before = cpu.load(slot.address);
  cpu.store(slot.address, pte.value);
  trace_store(cpu, mm, slot, before, pte);
}

Pte ptep_get_and_clear(Cpu& cpu, Mm& mm, const PteSlot& slot) {
  return ptep_get_and_clear(cpu, mm, slot, ptep_get(cpu, slot));
}

Pte ptep_get_and_clear(Cpu& cpu, Mm& mm, const PteSlot& slot, Pte seen) {
  for (;;) {
    const Pte found{cpu.compare_exchange(slot.address, seen.value, 0)};
    if (found == seen) break;
    seen = found;
  }
  trace_store(cpu, mm, slot, seen.value, {});
  mm.arch.pte_cleared(cpu, mm, slot, seen);
  return seen;
}

Pte pmdp_invalidate(Cpu& cpu, Mm& mm, const PteSlot& slot) {
  const FunctionTrace trace(cpu, "pmdp_invalidate");
  Pte seen = ptep_get(cpu, slot);
  for (;;) {
    const Pte after = mm.arch.pte_mkprotnone(seen);
    const Pte found{cpu.compare_exchange(slot.address, seen.value, after.value)};
    if (found == seen) {
      trace_store(cpu, mm, slot, seen.value, after);
      break;
    }
    seen = found;
  }
  const arch::VirtAddr end = slot.va + level_bytes(slot.level);
  if (mm.arch.flushes_invalid_pmd()) {
    mm.arch.flush_tlb_range(cpu, mm, slot.va, end, level_shift(slot.level));
    mmu_notifier_invalidate_range(cpu, mm, slot.va, end);
  }
  return seen;
}

Pte pmdp_invalidate_flush(Cpu& cpu, Mm& mm, const PteSlot& slot) {
  const Pte old = pmdp_invalidate(cpu, mm, slot);
  if (mm.arch.flushes_invalid_pmd()) return old;
  const arch::VirtAddr end = slot.va + level_bytes(slot.level);
  mm.arch.flush_tlb_range(cpu, mm, slot.va, end, level_shift(slot.level));
  mmu_notifier_invalidate_range(cpu, mm, slot.va, end);
  return old;
}

Pte ptep_set_wrprotect(Cpu& cpu, Mm& mm, const PteSlot& slot) {
  Pte seen = ptep_get(cpu, slot);
  for (;;) {
    const Pte after = mm.arch.pte_wrprotect(seen);
    const Pte found{cpu.compare_exchange(slot.address, seen.value, after.value)};
    if (found == seen) {
      trace_store(cpu, mm, slot, seen.value, after);
      return after;
    }
    seen = found;
  }
}

Pte ptep_clear_flush(Cpu& cpu, Mm& mm, const PteSlot& slot) {
  const FunctionTrace trace(cpu, "ptep_clear_flush");
  const Pte pte = ptep_get_and_clear(cpu, mm, slot);
  // pte_accessible(): what no walker can have read needs no flush.
  if (mm.arch.pte_valid(pte) || mm.tlb_flush_pending > 0) {
    mm.arch.flush_tlb_page(cpu, mm, slot.va);
  }
  return pte;
}

Pte ptep_clear_flush_notify(Cpu& cpu, Mm& mm, const PteSlot& slot) {
  const FunctionTrace trace(cpu, "ptep_clear_flush");
  const arch::VirtAddr end = slot.va + level_bytes(slot.level);
  const Pte pte = ptep_get_and_clear(cpu, mm, slot);
  // One flush point: before 6bbd42e2df8f the secondary TLBs follow right after the CPUs.
  const FlushScope scope(cpu, mm, slot.va, end, /*secondary=*/true);
  if (mm.arch.pte_valid(pte) || mm.tlb_flush_pending > 0) {
    mm.arch.flush_tlb_page(cpu, mm, slot.va);
  }
  mmu_notifier_invalidate_range(cpu, mm, slot.va, end);
  return pte;
}

}  // namespace shootdown::sw
