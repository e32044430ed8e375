// Table entries in the format of arm64: asm/pgtable.h, 4 KiB pages. The generic architecture uses
// it too.
#ifndef SHOOTDOWN_SW_ARCH_ARM64_PTE_FORMAT_H
#define SHOOTDOWN_SW_ARCH_ARM64_PTE_FORMAT_H

#include "sw/mm/arch_mmu.h"

namespace shootdown::sw {

class Arm64PteFormat : public ArchMmu {
 public:
  arch::TableFormat table_format() const override { return arch::TableFormat::kVmsa64; }
  bool pte_valid(Pte pte) const override;
  bool pte_table(Pte pte, int level) const override;
  bool pte_write(Pte pte) const override;
  bool pte_dirty(Pte pte) const override;
  bool pte_young(Pte pte) const override;
  Pte mk_pte(arch::PhysAddr page, int level) const override;
  Pte mk_table(arch::PhysAddr table) const override;
  Pte pte_mkwrite(Pte pte) const override;
  Pte pte_mkdirty(Pte pte) const override;
  Pte pte_mkclean(Pte pte) const override;
  Pte pte_mkyoung(Pte pte) const override;
  Pte pte_mkold(Pte pte) const override;
  Pte pte_wrprotect(Pte pte) const override;
  arch::PhysAddr pte_address(Pte pte) const override;
  bool pte_protnone(Pte pte) const override;
  Pte pte_mkprotnone(Pte pte) const override;
  Pte pte_clear_protnone(Pte pte) const override;
  Pte mk_swap_pte(SwapType type, std::uint64_t offset) const override;
  std::optional<SwapType> pte_swap_type(Pte pte) const override;
  std::uint64_t pte_swap_offset(Pte pte) const override;
};

}  // namespace shootdown::sw

#endif
