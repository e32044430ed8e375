// What alloc_io_pgtable_ops() tells the driver of a DMA domain's page table: TCR, TTBR and MAIR of
// stage 1, VTCR and VTTBR of stage 2. The table itself is one empty start table: the domains here
// are there for their configuration and invalidations. Mirrors io-pgtable-arm.c.
#ifndef SHOOTDOWN_SW_SMMU_IO_PGTABLE_H
#define SHOOTDOWN_SW_SMMU_IO_PGTABLE_H

#include <cstdint>

#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/mm/page_alloc.h"
#include "sw/smmu/features.h"

namespace shootdown::sw::smmu {

struct IoPgtable {
  bool stage2{};
  unsigned granule_shift{};
  std::uint64_t pgsize_bitmap{};
  unsigned input_bits{};
  unsigned output_bits{};
  unsigned start_level{};  ///< stage 2: after concatenation
  std::uint64_t mair{};
  Page* table{};

  arch::PhysAddr ttbr() const { return table->address; }
  unsigned leaf_shift() const { return granule_shift; }
};

/// Walks are write-back and inner shareable in both stages.
inline constexpr unsigned kWalkWriteBack = 1;
inline constexpr unsigned kWalkInnerShareable = 3;

/// False: no page size in common, or out of memory.
bool alloc_io_pgtable(Cpu& cpu, PageAllocator& pages, const Features& features,
                      const HostProperties& host, bool stage2, IoPgtable& result);

}  // namespace shootdown::sw::smmu

#endif
