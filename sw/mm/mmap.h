// System calls that make and remove mappings, and the end of an address space.
// Mirrors mm/mmap.c.
#ifndef SHOOTDOWN_SW_MM_MMAP_H
#define SHOOTDOWN_SW_MM_MMAP_H

#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/mm/mm_types.h"

namespace shootdown::sw {

/// Adds an area; false, and nothing is done, if it overlaps another (MAP_FIXED_NOREPLACE). Nothing
/// is mapped until it is touched, except for a driver's frames (remap_pfn_range()).
bool do_mmap(Cpu& cpu, Mm& mm, Vma vma);

/// munmap(2)
void do_munmap(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end);

/// exit_mmap(): everything goes, with one gather for the whole address space. No thread of it runs
/// any more.
void exit_mmap(Cpu& cpu, Mm& mm);

/// Whether no area has a part in [start, end). mmap_lock held.
bool range_is_free(const Mm& mm, arch::VirtAddr start, arch::VirtAddr end);
/// vma_link(): puts `vma`, which overlaps no other, among its neighbours and into its rmaps.
/// mmap_lock held for writing.
void vma_link(Cpu& cpu, Mm& mm, const Vma& vma);
/// split_vma(): afterwards `at` is inside no area. mmap_lock held for writing.
void split_vma(Cpu& cpu, Mm& mm, arch::VirtAddr at);

}  // namespace shootdown::sw

#endif
