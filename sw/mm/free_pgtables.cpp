#include "sw/mm/free_pgtables.h"

#include <algorithm>

#include "hw/arch/check.h"
#include "sw/mm/arch_mmu.h"
#include "sw/mm/pgtable.h"
#include "sw/mm/rmap.h"

namespace shootdown::sw {

namespace {

/// free_pgd_range(): frees tables that map nothing any more between `floor` and `ceiling`.
void free_tables_below(Cpu& cpu, Mm& mm, MmuGather& tlb, const PteSlot& parent,
                       arch::VirtAddr start, arch::VirtAddr end, arch::VirtAddr floor,
                       arch::VirtAddr ceiling) {
  const Pte entry = ptep_get(cpu, parent);
  if (!mm.arch.pte_table(entry, parent.level)) return;
  const arch::PhysAddr table = mm.arch.pte_address(entry);
  const int level = parent.level + 1;
  if (level < kPteLevel) {
    for (arch::VirtAddr va = level_start(std::max(start, parent.va), level);
         va < end && va < parent.va + level_bytes(parent.level); va = va + level_bytes(level)) {
      free_tables_below(cpu, mm, tlb, slot_in(table, va, level), start, end, floor, ceiling);
    }
  }
  // The table goes only if nothing else can be mapped through it: no area between the neighbours.
  if (parent.va < floor || parent.va + level_bytes(parent.level) > ceiling) return;
  {
    const SpinGuard ptl(pte_lockptr(mm, parent), cpu);
    set_pte_at(cpu, mm, parent, Pte{});
  }
  Page* page = mm.kernel.pages.find(table);
  SHOOTDOWN_CHECK(page != nullptr && page->use == PageUse::kTable, "table is not a table page");
  const TableLevel kind = level == kPteLevel   ? TableLevel::kPte
                          : level == kPmdLevel ? TableLevel::kPmd
                                               : TableLevel::kPud;
  tlb.table_free_tlb(kind, mm.kernel.pages.page_address(*page), parent.va);
}

}  // namespace

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
  for (arch::VirtAddr va = level_start(start, kPgdLevel); va < end;
       va = va + level_bytes(kPgdLevel)) {
    free_tables_below(cpu, mm, tlb, slot_in(mm.pgd, va, kPgdLevel), start, end, floor, ceiling);
  }
}

}  // namespace shootdown::sw
