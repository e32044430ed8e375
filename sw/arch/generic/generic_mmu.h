// The generic architecture: asm-generic's flushes by IPI, with the knobs of struct mmu_gather free,
// and the tables of arm64.
//
// It is also what the shapes of other architectures run on (sw/arch/gather/shapes.h): their knobs
// and their tlb_flush() rule, lowered to the same hardware. What their flush functions do below
// that, as tlbie or rfence, is not modelled.
#ifndef SHOOTDOWN_SW_ARCH_GENERIC_GENERIC_MMU_H
#define SHOOTDOWN_SW_ARCH_GENERIC_GENERIC_MMU_H

#include "sw/arch/arm64/pte_format.h"
#include "sw/arch/gather/shapes.h"
#include "sw/arch/gather/tlb_flush.h"

namespace shootdown::sw {

/// How other CPUs' TLBs are reached.
enum class ShootdownBy : std::uint8_t {
  kIpi,        ///< an interrupt to each CPU that may hold translations
  kBroadcast,  ///< an instruction that all CPUs take part in (TLBI ...IS)
};

class GenericMmu : public Arm64PteFormat {
 public:
  GenericMmu(GatherShape shape, ShootdownBy shootdown, const KernelBehaviour& kernel);

  void flush_tlb_page(Cpu& cpu, Mm& mm, arch::VirtAddr address) override;
  void flush_tlb_mm(Cpu& cpu, Mm& mm) override;
  void flush_tlb_range(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end,
                       unsigned stride_shift) override;
  const GatherConfig& gather_config() const override { return shape_.config; }
  void tlb_flush(Cpu& cpu, Mm& mm, const MmuGather& tlb) override;
  bool pte_needs_flush(Pte old_pte, Pte new_pte, int level) const override;
  void pte_cleared(Cpu& cpu, Mm& mm, const PteSlot& slot, Pte old_pte) override;
  bool ptep_set_access_flags(Cpu& cpu, Mm& mm, const PteSlot& slot, Pte entry, bool dirty) override;
  bool ptep_clear_flush_young(Cpu& cpu, Mm& mm, const PteSlot& slot) override;
  void flush_tlb_fix_spurious_fault(Cpu& cpu, Mm& mm, arch::VirtAddr address) override;
  void switch_mm(Cpu& cpu, Mm& next) override;
  bool tracks_cpus() const override { return shootdown_ == ShootdownBy::kIpi; }

 private:
  void flush(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end, std::uint64_t stride_bytes,
             const char* function);

  GatherShape shape_;
  ShootdownBy shootdown_;
  bool notifies_;
};

}  // namespace shootdown::sw

#endif
