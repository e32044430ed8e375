// Removing mappings: the unmapping half of mm/memory.c.
#ifndef SHOOTDOWN_SW_MM_ZAP_H
#define SHOOTDOWN_SW_MM_ZAP_H

#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/mm/mm_types.h"
#include "sw/mm/mmu_gather.h"
#include "sw/mm/pte.h"

namespace shootdown::sw {

/// unmap_single_vma(): the part of an area that lies in [start, end), with the hooks around it.
void unmap_single_vma(Cpu& cpu, Mm& mm, MmuGather& tlb, const Vma& vma, arch::VirtAddr start,
                      arch::VirtAddr end);
/// As above, with a gather and a notifier section of its own, of part of one area. mmap_lock held,
/// or the area found through its file.
void zap_page_range_single(Cpu& cpu, Mm& mm, const Vma& vma, arch::VirtAddr start,
                           arch::VirtAddr end);
/// Unmaps [offset, end) of a file wherever it is mapped.
void unmap_mapping_range(Cpu& cpu, File& file, std::uint64_t offset, std::uint64_t end);

/// The page that an entry maps; null for the frames of a driver (vm_normal_page()).
Page* vm_normal_page(Mm& mm, const Vma& vma, Pte pte);

}  // namespace shootdown::sw

#endif
