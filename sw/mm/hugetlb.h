// Pages of hugetlbfs, 2 MiB each, and the PMD tables that their mappings share.
// Mirrors mm/hugetlb.c and fs/hugetlbfs/inode.c, as far as shared mappings (MAP_SHARED) go.
//
// A table is shared where an area maps all of a 1 GiB range (PUD_SIZE) and another area maps the
// same part of the file at the same offset in such a range, with the same protection. The reference
// count of the table's page counts the entries above it (59d9094df3d7, v6.13, gave it a count of
// its own). Two locks keep tables where they are, in every release here: hugetlb_vma_lock of the
// area, then the i_mmap lock (before v6.1 the kernel had only the latter). Faults hold the first
// for reading. Who unshares a table clears its entry above, under the i_mmap lock for writing; then
// others may change the table or free it, so that the flush has to come before the lock is dropped
// (a4a118f2eead, before v5.18).
#ifndef SHOOTDOWN_SW_MM_HUGETLB_H
#define SHOOTDOWN_SW_MM_HUGETLB_H

#include <functional>
#include <string_view>

#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/mm/memory.h"
#include "sw/mm/mm_types.h"
#include "sw/mm/mmu_gather.h"
#include "sw/mm/mmu_notifier.h"

namespace shootdown::sw {

/// hugetlb_fault(). mmap_lock held for reading. `how` says, for the tracepoint, what was done.
VmFault hugetlb_fault(Cpu& cpu, Mm& mm, const Vma& vma, arch::VirtAddr address, bool write,
                      std::string_view& how);

/// Splits an area at `at` by calling `split`, with the i_mmap lock held; it may move the area.
/// Unshares the table around that address, which neither part can share: before, as
/// hugetlb_vm_op_split() (b30c14cd6102), or under the same locks as the split, as hugetlb_split()
/// (081056dc00a2). mmap_lock held for writing.
void hugetlb_split(Cpu& cpu, Mm& mm, const Vma& vma, arch::VirtAddr at,
                   const std::function<void()>& split);

/// adjust_range_if_pmd_sharing_possible(): unsharing changes whole tables, so that notifiers are
/// told of all that a table maps.
void adjust_range_if_pmd_sharing_possible(const Vma& vma, MmuNotifierRange& range);

/// __unmap_hugepage_range_final(): the part of an area in [start, end), with the hooks around it.
/// Takes and drops the locks; the kernel holds them until the gather is finished since 2820b0f09be9
/// (v6.7).
void unmap_hugepage_range_final(Cpu& cpu, Mm& mm, MmuGather& tlb, const Vma& vma,
                                arch::VirtAddr start, arch::VirtAddr end);

/// hugetlb_change_protection() of a whole area to what it says by now. Flushes by itself.
void hugetlb_change_protection(Cpu& cpu, Mm& mm, const Vma& vma);

/// move_hugetlb_page_tables(): `old_vma` to `new_vma`, of the same size. What was mapped through a
/// shared table is left to faults.
void move_hugetlb_page_tables(Cpu& cpu, Mm& mm, const Vma& old_vma, const Vma& new_vma);

/// fallocate(2) with FALLOC_FL_PUNCH_HOLE of [offset, end) of a file: nobody maps its pages any
/// more, and they are free.
void hugetlbfs_punch_hole(Cpu& cpu, KernelState& kernel, File& file, std::uint64_t offset,
                          std::uint64_t end);

}  // namespace shootdown::sw

#endif
