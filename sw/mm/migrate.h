// Moving pages to other frames. Mirrors mm/migrate.c.
#ifndef SHOOTDOWN_SW_MM_MIGRATE_H
#define SHOOTDOWN_SW_MM_MIGRATE_H

#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/mm/mm_types.h"

namespace shootdown::sw {

/// migrate_pages() of the base pages mapped in [start, end): all are unmapped, with one flush for
/// all, copied, and mapped again. Pages that are pinned stay.
void migrate_pages(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end);

}  // namespace shootdown::sw

#endif
