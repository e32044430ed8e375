// arm64: table entries and the lowering of TLB flushes to broadcast TLBI.
//
// Mirrors arch/arm64/include/asm/{tlbflush,tlb,pgtable}.h and arch/arm64/mm/fault.c, v5.18 to
// v6.7, and the later changes that KernelBehaviour names. From 6bbd42e2df8f on the flush functions
// also notify (tlbflush.h). Not modelled: contpte.
#ifndef SHOOTDOWN_SW_ARCH_ARM64_ARM64_MMU_H
#define SHOOTDOWN_SW_ARCH_ARM64_ARM64_MMU_H

#include <cstdint>

#include "hw/arch/tlbi.h"
#include "sw/arch/arm64/pte_format.h"
#include "sw/arch/arm64/tlbflush.h"
#include "sw/arch/gather/shapes.h"
#include "sw/mm/arch_mmu.h"

namespace shootdown::sw {

class Arm64Mmu : public Arm64PteFormat {
 public:
  Arm64Mmu(Arm64Features features, const KernelBehaviour& kernel);

  void flush_tlb_page(Cpu& cpu, Mm& mm, arch::VirtAddr address) override;
  void flush_tlb_mm(Cpu& cpu, Mm& mm) override;
  void flush_tlb_range(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end,
                       unsigned stride_shift) override;
  bool should_defer_flush(Cpu&, Mm&) const override { return batched_unmap_; }
  void tlbbatch_add_pending(Cpu& cpu, Mm& mm, arch::VirtAddr address, UnmapBatch& batch) override;
  void tlbbatch_flush(Cpu& cpu, UnmapBatch& batch) override;
  const GatherConfig& gather_config() const override { return gather_.config; }
  void tlb_flush(Cpu& cpu, Mm& mm, const MmuGather& tlb) override;
  bool ptep_set_access_flags(Cpu& cpu, Mm& mm, const PteSlot& slot, Pte entry, bool dirty) override;
  bool ptep_clear_flush_young(Cpu& cpu, Mm& mm, const PteSlot& slot) override;
  /// Nothing: the architecture drops a stale entry that faulted only by invalidation, and the one
  /// who changed the entry has flushed.
  void flush_tlb_fix_spurious_fault(Cpu&, Mm&, arch::VirtAddr) override {}

  /// __flush_tlb_range(): [start, end) is rounded to the stride.
  void arm64_flush_tlb_range(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end,
                             const FlushShape& shape);
  /// Issues the TLBI and notifies; the caller owes the DSB.
  void flush_tlb_page_nosync(Cpu& cpu, Mm& mm, arch::VirtAddr address);

 private:
  int unknown_level() const;

  Arm64TlbFlush flush_;
  GatherShape gather_;
  bool batched_unmap_;
};

}  // namespace shootdown::sw

#endif
