// System calls that change mappings: create an address space, map, protect, unmap, age.
// Mirrors mm/mmap.c, mm/mprotect.c and the ageing of mm/rmap.c.
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

/// Adds an area that overlaps no other. Nothing is mapped until it is touched.
void do_mmap(Cpu& cpu, Mm& mm, const Vma& vma);

/// Changes the protection of [start, end): mprotect(2). Areas are split where needed. Multiples of
/// the areas' page size.
void do_mprotect(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end, Protection protection);

/// munmap(2)
void do_munmap(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end);

/// Makes the pages of [start, end) old, as reclaim does to learn which are in use
/// (folio_referenced_one()).
void age_pages(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end);

}  // namespace shootdown::sw

#endif
