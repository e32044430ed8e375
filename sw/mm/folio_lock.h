// PG_locked: who writes a page back, moves it or takes it out of its file does so alone.
// Mirrors mm/filemap.c.
#ifndef SHOOTDOWN_SW_MM_FOLIO_LOCK_H
#define SHOOTDOWN_SW_MM_FOLIO_LOCK_H

#include "sw/kernel/cpu.h"
#include "sw/mm/mm_types.h"

namespace shootdown::sw {

/// False: somebody else has it. The caller holds a reference, here and below.
bool folio_trylock(Page& page);
/// Sleeps until it has it.
void folio_lock(Cpu& cpu, KernelState& kernel, Page& page);
void folio_unlock(Cpu& cpu, KernelState& kernel, Page& page);

}  // namespace shootdown::sw

#endif
