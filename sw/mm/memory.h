// Page faults: from a faulting address to a table entry that permits the access.
// Mirrors mm/memory.c.
#ifndef SHOOTDOWN_SW_MM_MEMORY_H
#define SHOOTDOWN_SW_MM_MEMORY_H

#include <string_view>

#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/mm/arch_mmu.h"
#include "sw/mm/mm_types.h"

namespace shootdown::sw {

enum class VmFault : std::uint8_t {
  kHandled,
  kSigsegv,
  kOom,
  // Only of handle_mm_fault(); fault_in() waits.
  kWaitUserfault,
  kWaitMigration,
};

struct FaultFlags {
  bool write{};   ///< FAULT_FLAG_WRITE
  bool remote{};  ///< FAULT_FLAG_REMOTE: on behalf of a device
};

/// The page of zeroes, of 4 KiB or of 2 MiB, that stands behind untouched anonymous memory, made at
/// its first use. Null: no memory.
Page* get_zero_page(Cpu& cpu, KernelState& kernel, unsigned order);

/// Makes `address` accessible in `vma`. mmap_lock held for reading.
VmFault handle_mm_fault(Cpu& cpu, Mm& mm, Vma& vma, arch::VirtAddr address, FaultFlags flags);

/// Waits for what handle_mm_fault() could not: no lock is held. `migrations`: KernelState's, read
/// before the fault. The access has to be tried again then.
VmFault wait_for_fault(Cpu& cpu, Mm& mm, arch::VirtAddr address, VmFault result,
                       std::uint64_t migrations);

/// do_page_fault() of a CPU, or iommu_sva_handle_mm() of a device: takes mmap_lock, finds the area,
/// checks that it permits the access, and calls handle_mm_fault().
VmFault fault_in(Cpu& cpu, Mm& mm, arch::VirtAddr address, FaultFlags flags);

}  // namespace shootdown::sw

#endif
