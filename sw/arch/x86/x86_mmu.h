// x86: shootdown by IPI, with lazy TLB mode and generations.
//
// Mirrors arch/x86/mm/tlb.c and asm/{tlb,tlbflush,pgtable}.h, v5.18 to v6.7. Each mm has a PCID of
// its own: recycling of the six dynamic ones is not modelled, nor page-table isolation.
#ifndef SHOOTDOWN_SW_ARCH_X86_X86_MMU_H
#define SHOOTDOWN_SW_ARCH_X86_X86_MMU_H

#include <array>
#include <cstdint>
#include <map>

#include "sw/arch/gather/shapes.h"
#include "sw/arch/x86/pte_format.h"

namespace shootdown::sw {

class X86Mmu : public X86PteFormat {
 public:
  /// `shape`: one of x86_native, x86_pv, x86_nfc.
  X86Mmu(GatherShape shape, const KernelBehaviour& kernel);

  /// tlb_single_page_flush_ceiling
  static constexpr std::uint64_t kSinglePageFlushCeiling = 33;

  /// start = 0 and end = ~0: everything. `freed_tables`: lazy CPUs are interrupted too.
  void flush_tlb_mm_range(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end,
                          unsigned stride_shift, bool freed_tables);
  void flush_tlb_page(Cpu& cpu, Mm& mm, arch::VirtAddr address) override;
  void flush_tlb_mm(Cpu& cpu, Mm& mm) override;
  void flush_tlb_range(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end,
                       unsigned stride_shift) override;
  const GatherConfig& gather_config() const override { return shape_.config; }
  void tlb_flush(Cpu& cpu, Mm& mm, const MmuGather& tlb) override;
  bool pte_needs_flush(Pte old_pte, Pte new_pte, int level) const override;
  bool flushes_invalid_pmd() const override { return false; }
  bool should_defer_flush(Cpu& cpu, Mm& mm) const override;
  void tlbbatch_add_pending(Cpu& cpu, Mm& mm, arch::VirtAddr address, UnmapBatch& batch) override;
  void tlbbatch_flush(Cpu& cpu, UnmapBatch& batch) override;
  bool ptep_set_access_flags(Cpu& cpu, Mm& mm, const PteSlot& slot, Pte entry, bool dirty) override;
  bool ptep_clear_flush_young(Cpu& cpu, Mm& mm, const PteSlot& slot) override;
  /// Nothing: hardware walks again before it reports a permission fault.
  void flush_tlb_fix_spurious_fault(Cpu&, Mm&, arch::VirtAddr) override {}
  void switch_mm(Cpu& cpu, Mm& next) override;
  void enter_lazy_tlb(Cpu& cpu, Mm& mm) override;
  bool tracks_cpus() const override { return true; }

 private:
  /// struct tlb_state
  struct CpuTlbState {
    Mm* loaded_mm{};  ///< null: init_mm
    bool is_lazy{};
    std::map<arch::MmId, std::uint64_t> tlb_gen;  ///< by mm: what this CPU has caught up with
  };
  /// struct flush_tlb_info
  struct FlushInfo {
    const Mm* mm{};  ///< null: whatever the CPU has loaded
    arch::VirtAddr start{};
    arch::VirtAddr end{};
    unsigned stride_shift{arch::kPageShift};
    std::uint64_t new_tlb_gen{};
  };
  void flush_tlb_func(Cpu& cpu, const FlushInfo& info);
  void leave_mm(Cpu& cpu);
  CpuTlbState& state(const Cpu& cpu) { return states_[cpu.id()]; }
  CpuMask lazy_cpus() const;

  GatherShape shape_;
  bool notifies_;
  std::array<CpuTlbState, kMaxCpus> states_;
};

}  // namespace shootdown::sw

#endif
