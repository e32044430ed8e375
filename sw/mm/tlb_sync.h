// Waiting for those who read page tables with interrupts off. Mirrors the second half of
// mm/mmu_gather.c.
#ifndef SHOOTDOWN_SW_MM_TLB_SYNC_H
#define SHOOTDOWN_SW_MM_TLB_SYNC_H

#include "sw/kernel/cpu.h"
#include "sw/mm/mm_types.h"

namespace shootdown::sw {

/// tlb_remove_table_sync_one(): an empty IPI to every other CPU, waited for, so that every section
/// with interrupts off that is open now has ended. Nothing without MMU_GATHER_RCU_TABLE_FREE: there
/// the IPIs of the flush have done it.
void tlb_remove_table_sync_one(Cpu& cpu, Mm& mm);

}  // namespace shootdown::sw

#endif
