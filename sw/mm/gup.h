// Pinning the pages of a process. Mirrors mm/gup.c.
#ifndef SHOOTDOWN_SW_MM_GUP_H
#define SHOOTDOWN_SW_MM_GUP_H

#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/mm/mm_types.h"

namespace shootdown::sw {

/// pin_user_pages_fast() of one page: the lockless walk, and where that fails the one with locks.
/// Null if the area does not permit the access.
Page* pin_user_pages_fast(Cpu& cpu, Mm& mm, arch::VirtAddr address, bool write);
void unpin_user_page(Cpu& cpu, Mm& mm, Page& page);

}  // namespace shootdown::sw

#endif
