// madvise(2). Mirrors mm/madvise.c.
#ifndef SHOOTDOWN_SW_MM_MADVISE_H
#define SHOOTDOWN_SW_MM_MADVISE_H

#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/mm/mm_types.h"

namespace shootdown::sw {

/// MADV_DONTNEED: the pages of [start, end) go, the areas stay.
void madvise_dontneed(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end);
/// MADV_FREE: reclaim may drop the anonymous pages of [start, end) until they are written again.
void madvise_free(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end);

}  // namespace shootdown::sw

#endif
