// Areas of frames that belong to a driver and have no page of their own (VM_PFNMAP).
#ifndef SHOOTDOWN_SW_MM_PFNMAP_H
#define SHOOTDOWN_SW_MM_PFNMAP_H

#include "sw/kernel/cpu.h"
#include "sw/mm/mm_types.h"

namespace shootdown::sw {

/// remap_pfn_range(): maps the frames of the driver's file in the whole of `vma`, with its
/// protection, except where the file has none. Stops early if memory is exhausted.
void remap_pfn_range(Cpu& cpu, Mm& mm, const Vma& vma);

}  // namespace shootdown::sw

#endif
