// TLB shootdown by interprocessor interrupts: what the architectures without broadcast share.
#ifndef SHOOTDOWN_SW_ARCH_SHOOTDOWN_H
#define SHOOTDOWN_SW_ARCH_SHOOTDOWN_H

#include <cstdint>

#include "hw/arch/tlbi.h"
#include "sw/kernel/cpu.h"
#include "sw/mm/mm_types.h"

namespace shootdown::sw {

/// What a CPU drops: pages of one address space, or all of it.
struct LocalFlush {
  arch::Asid asid{};
  arch::VirtAddr start{};
  arch::VirtAddr end{};  ///< exclusive; ~0: the whole address space
  std::uint64_t stride_bytes{arch::kPageSize};
  bool leaf_only{};

  bool whole() const { return end.value == ~std::uint64_t{0}; }
};

/// Executes it on this CPU: one instruction a page, or one for the address space. Planted defects
/// of the software act here.
void flush_local(Cpu& cpu, const Mm& mm, const LocalFlush& flush);

}  // namespace shootdown::sw

#endif
