// Dirty pages and their way to storage, and dropping clean ones. Mirrors mm/page-writeback.c,
// mm/filemap.c and mm/vmscan.c. Storage itself is taken as done when the request is made.
#ifndef SHOOTDOWN_SW_MM_WRITEBACK_H
#define SHOOTDOWN_SW_MM_WRITEBACK_H

#include <cstdint>

#include "sw/kernel/cpu.h"
#include "sw/mm/mm_types.h"

namespace shootdown::sw {

void folio_mark_dirty(Cpu& cpu, Page& page);
/// folio_clear_dirty_for_io(): makes all entries clean, takes the dirty flag. Returns whether it
/// was set: then the contents have to be written.
bool folio_clear_dirty_for_io(Cpu& cpu, Page& page);

/// swap_free(): one entry refers to the slot no more.
void swap_free(Cpu& cpu, KernelState& kernel, std::uint64_t slot);

/// write_cache_pages(): writes back what of [offset, end) of a file is dirty.
void write_cache_pages(Cpu& cpu, KernelState& kernel, File& file, std::uint64_t offset,
                       std::uint64_t end);
/// shrink_folio_list() on the pages of [offset, end) of a file: unmaps, writes back what is dirty,
/// and drops what is then clean and unused.
void shrink_file_pages(Cpu& cpu, KernelState& kernel, File& file, std::uint64_t offset,
                       std::uint64_t end);
/// Likewise for anonymous pages: unmapped with deferred flushes, written to swap, freed.
void shrink_anonymous_pages(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end);

}  // namespace shootdown::sw

#endif
