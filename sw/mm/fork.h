// How an address space comes to be: empty, or as a copy of another one. Mirrors the part of
// kernel/fork.c that deals with memory, and copy_page_range() of mm/memory.c.
#ifndef SHOOTDOWN_SW_MM_FORK_H
#define SHOOTDOWN_SW_MM_FORK_H

#include <memory>

#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/mm/mm_types.h"

namespace shootdown::sw {

/// mm_init(): an empty address space with its top table. Null if memory is exhausted.
std::unique_ptr<Mm> mm_create(Cpu& cpu, KernelState& kernel, ArchMmu& arch, arch::MmId number,
                              arch::Asid asid);

/// dup_mmap(): `child` gets the areas of `parent`; private pages are shared until one writes.
void dup_mmap(Cpu& cpu, Mm& parent, Mm& child);

}  // namespace shootdown::sw

#endif
