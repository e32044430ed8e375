// A table entry and where it stands.
#ifndef SHOOTDOWN_SW_MM_PTE_H
#define SHOOTDOWN_SW_MM_PTE_H

#include <cstdint>

#include "hw/arch/types.h"
#include "sw/mm/levels.h"

namespace shootdown::sw {

/// A table entry as software sees it. Named as in the kernel; at every level.
struct Pte {
  std::uint64_t value{};
  bool operator==(const Pte&) const = default;
};

/// Where an entry is: its address in memory, the first virtual address it maps, and its level.
struct PteSlot {
  arch::PhysAddr address{};
  arch::VirtAddr va{};
  int level{kPteLevel};
};

}  // namespace shootdown::sw

#endif
