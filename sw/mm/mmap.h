// System calls that make and remove mappings, and the life of an address space.
// Mirrors mm/mmap.c, mm/mremap.c and kernel/fork.c.
#ifndef SHOOTDOWN_SW_MM_MMAP_H
#define SHOOTDOWN_SW_MM_MMAP_H

#include <memory>

#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/mm/mm_types.h"

namespace shootdown::sw {

/// mm_init(): an empty address space with its top table. Null if memory is exhausted.
std::unique_ptr<Mm> mm_create(Cpu& cpu, KernelState& kernel, ArchMmu& arch, unsigned number,
                              arch::Asid asid);

/// Adds an area; false, and nothing is done, if it overlaps another (MAP_FIXED_NOREPLACE). Nothing
/// is mapped until it is touched, but for a driver's frames (remap_pfn_range()).
bool do_mmap(Cpu& cpu, Mm& mm, Vma vma);

/// munmap(2)
void do_munmap(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end);

/// mremap(2) with MREMAP_MAYMOVE | MREMAP_FIXED: moves [start, end), part of one area, to `to`,
/// False, and nothing is done, if something is mapped there, or it is no whole area after
/// splitting.
bool do_mremap(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end, arch::VirtAddr to);

/// dup_mmap(): `child` gets the areas of `parent`; private pages are shared until one writes.
void dup_mmap(Cpu& cpu, Mm& parent, Mm& child);

/// exit_mmap(): everything goes, with one gather for the whole address space. No thread of it runs
/// any more.
void exit_mmap(Cpu& cpu, Mm& mm);

/// split_vma(): afterwards `at` is inside no area. mmap_lock held for writing.
void split_vma(Cpu& cpu, Mm& mm, arch::VirtAddr at);

// mm->tlb_flush_pending, traced.
void inc_tlb_flush_pending(Cpu& cpu, Mm& mm);
void dec_tlb_flush_pending(Cpu& cpu, Mm& mm);

}  // namespace shootdown::sw

#endif
