// Changing the protection of mapped pages. Mirrors mm/mprotect.c.
#ifndef SHOOTDOWN_SW_MM_MPROTECT_H
#define SHOOTDOWN_SW_MM_MPROTECT_H

#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/mm/mm_types.h"
#include "sw/mm/mmu_gather.h"

namespace shootdown::sw {

/// Changes the protection of [start, end): mprotect(2). Areas are split where needed. Multiples of
/// the areas' page size. False if a part of it is not mapped (ENOMEM); the rest is changed all the
/// same.
bool do_mprotect(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end, Protection protection);

/// change_prot_numa(): makes the pages of [start, end) fault, to learn who uses them. mmap_lock is
/// taken for reading.
void change_prot_numa(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end);

/// UFFDIO_WRITEPROTECT: write-protects what is mapped in [start, end), or lifts that again.
void mwriteprotect_range(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end, bool protect);

/// clear_refs_write(CLEAR_REFS_SOFT_DIRTY): write-protects the whole mm, so that the next writes
/// are noticed.
void clear_soft_dirty(Cpu& cpu, Mm& mm);

}  // namespace shootdown::sw

#endif
