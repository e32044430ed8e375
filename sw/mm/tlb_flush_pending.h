// mm->tlb_flush_pending: how many have changed entries of an address space and still owe the flush.
#ifndef SHOOTDOWN_SW_MM_TLB_FLUSH_PENDING_H
#define SHOOTDOWN_SW_MM_TLB_FLUSH_PENDING_H

#include "sw/kernel/cpu.h"
#include "sw/mm/mm_types.h"

namespace shootdown::sw {

/// From here on the caller may change entries without a flush. Traced.
void inc_tlb_flush_pending(Cpu& cpu, Mm& mm);
/// The caller has flushed what it changed. Traced.
void dec_tlb_flush_pending(Cpu& cpu, Mm& mm);

}  // namespace shootdown::sw

#endif
