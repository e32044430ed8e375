// Walking, building and tearing down a process's page tables, from software.
#ifndef SHOOTDOWN_SW_MM_PGTABLE_H
#define SHOOTDOWN_SW_MM_PGTABLE_H

#include <optional>

#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/mm/arch_mmu.h"
#include "sw/mm/mm_types.h"

namespace shootdown::sw {

/// The slot of `level` for `va`, if the tables above it exist.
std::optional<PteSlot> pte_offset(Cpu& cpu, Mm& mm, arch::VirtAddr va, int level);
/// The same, building missing tables. Null only if memory is exhausted.
std::optional<PteSlot> pte_alloc(Cpu& cpu, Mm& mm, arch::VirtAddr va, int level);
/// The lock that protects a slot.
SpinLock& pte_lockptr(Mm& mm, const PteSlot& slot);

Pte ptep_get(Cpu& cpu, const PteSlot& slot);
/// Stores over an entry that no hardware walker changes concurrently.
void set_pte_at(Cpu& cpu, Mm& mm, const PteSlot& slot, Pte pte);
/// Atomically reads and clears.
Pte ptep_get_and_clear(Cpu& cpu, Mm& mm, const PteSlot& slot);
/// Clears, then flushes the page on CPUs and, in every release, in secondary TLBs.
Pte ptep_clear_flush_notify(Cpu& cpu, Mm& mm, const PteSlot& slot);

/// A zeroed page for a table whose entries are of `level`, constructed: counted in the mm.
Page* pagetable_alloc(Cpu& cpu, Mm& mm, int level);
/// Whether tables of `level` have a constructor and a destructor: the top level has not, the one
/// below from 55d2a0bd5ead on.
bool pagetable_constructed(const Mm& mm, int level);
/// Takes the table out of the mm's count; its memory is returned later.
void pagetable_dtor(Mm& mm, Page& table);

}  // namespace shootdown::sw

#endif
