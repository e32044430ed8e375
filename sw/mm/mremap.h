// Moving mappings. Mirrors mm/mremap.c.
#ifndef SHOOTDOWN_SW_MM_MREMAP_H
#define SHOOTDOWN_SW_MM_MREMAP_H

#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/mm/mm_types.h"

namespace shootdown::sw {

/// mremap(2) with MREMAP_MAYMOVE | MREMAP_FIXED: moves [start, end), part of one area, to `to`.
/// False, and nothing is done, if something is mapped there, or it is no whole area after
/// splitting.
bool do_mremap(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end, arch::VirtAddr to);

}  // namespace shootdown::sw

#endif
