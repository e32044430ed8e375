// Huge pages made of and broken into small ones. Mirrors mm/huge_memory.c and mm/khugepaged.c.
#ifndef SHOOTDOWN_SW_MM_HUGE_MEMORY_H
#define SHOOTDOWN_SW_MM_HUGE_MEMORY_H

#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/mm/mm_types.h"

namespace shootdown::sw {

/// Frees the table that was kept for a huge entry that is gone (zap_deposited_table()).
void zap_deposited_table(Cpu& cpu, Mm& mm, arch::VirtAddr pmd);

/// __split_huge_pmd(): 512 small entries in the place of a huge one; the page stays whole. Does
/// nothing if there is no huge entry. False: no memory for a table, and the entry stays.
bool split_huge_pmd(Cpu& cpu, Mm& mm, const Vma& vma, arch::VirtAddr pmd);

/// collapse_huge_page() of anonymous memory: copies 512 small pages into a huge one and maps that.
/// Returns false, and changes nothing, unless all of them are there, alone and not pinned.
bool collapse_huge_page(Cpu& cpu, Mm& mm, arch::VirtAddr pmd);

/// collapse_file(): the same in the page cache, for [offset, offset + 2 MiB) of a file; every
/// mapping is taken out, and its tables too (retract_page_tables()).
bool collapse_file(Cpu& cpu, KernelState& kernel, File& file, std::uint64_t offset);

/// khugepaged_scan_mm_slot(): collapses the huge page at `pmd`, of either kind.
bool khugepaged_scan(Cpu& cpu, Mm& mm, arch::VirtAddr pmd);

}  // namespace shootdown::sw

#endif
