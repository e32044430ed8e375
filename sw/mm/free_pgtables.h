// Tables of areas that are gone. Mirrors free_pgtables() and what it calls in mm/memory.c.
#ifndef SHOOTDOWN_SW_MM_FREE_PGTABLES_H
#define SHOOTDOWN_SW_MM_FREE_PGTABLES_H

#include <vector>

#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/mm/mm_types.h"
#include "sw/mm/mmu_gather.h"

namespace shootdown::sw {

/// free_pgtables(): takes the parts of `detached` in [start, end) out of their rmaps, so that no
/// walk finds them from here on, and gives `tlb` the tables that nothing else can be mapped
/// through. The areas are unmapped, and no longer among those of `mm`.
void free_pgtables(Cpu& cpu, Mm& mm, MmuGather& tlb, const std::vector<Vma>& detached,
                   arch::VirtAddr start, arch::VirtAddr end);

}  // namespace shootdown::sw

#endif
