#include "sw/arch/arm64/pte_format.h"

#include "sw/arch/arm64/pgtable.h"

namespace shootdown::sw {

using F = Arm64PteFormat;

bool F::pte_valid(Pte pte) const { return (pte.value & arm64::PTE_VALID) != 0; }
bool F::pte_table(Pte pte, int level) const { return arch::vmsa64::is_table(pte.value, level); }
bool F::pte_write(Pte pte) const { return arm64::pte_write(pte); }
bool F::pte_dirty(Pte pte) const { return arm64::pte_dirty(pte); }
bool F::pte_young(Pte pte) const { return arm64::pte_young(pte); }
Pte F::pte_mkwrite(Pte pte) const { return arm64::pte_mkwrite(pte); }
Pte F::pte_mkdirty(Pte pte) const { return arm64::pte_mkdirty(pte); }
Pte F::pte_mkclean(Pte pte) const { return {(pte.value & ~arm64::PTE_DIRTY) | arm64::PTE_RDONLY}; }
Pte F::pte_mkyoung(Pte pte) const { return {pte.value | arm64::PTE_AF}; }
Pte F::pte_mkold(Pte pte) const { return {pte.value & ~arm64::PTE_AF}; }
Pte F::pte_wrprotect(Pte pte) const { return arm64::pte_wrprotect(pte); }

Pte F::mk_pte(arch::PhysAddr page, int level) const {
  // PAGE_READONLY, not executable: write permission is added by pte_mkwrite().
  const std::uint64_t type =
      level == arch::vmsa64::kLastLevel ? arch::vmsa64::kTypeTableOrPage : arch::vmsa64::kTypeBlock;
  return {page.value | type | arm64::PTE_USER | arm64::PTE_RDONLY | arm64::PTE_SHARED |
          arm64::PTE_AF | arm64::PTE_NG | arm64::PTE_PXN | arm64::PTE_UXN};
}

Pte F::mk_table(arch::PhysAddr table) const {
  return {table.value | arch::vmsa64::kTypeTableOrPage};
}

arch::PhysAddr F::pte_address(Pte pte) const { return arch::vmsa64::next_table(pte.value); }

bool F::pte_protnone(Pte pte) const {
  return (pte.value & (arm64::PTE_VALID | arm64::PTE_PROT_NONE)) == arm64::PTE_PROT_NONE;
}
Pte F::pte_mkprotnone(Pte pte) const {
  return {(pte.value & ~arm64::PTE_VALID) | arm64::PTE_PROT_NONE};
}
Pte F::pte_clear_protnone(Pte pte) const {
  return {(pte.value & ~arm64::PTE_PROT_NONE) | arm64::PTE_VALID};
}

// Type in bits 7:3, offset in 57:8, the low bits clear (asm/pgtable.h, __swp_entry()).
Pte F::mk_swap_pte(SwapType type, std::uint64_t offset) const {
  return {static_cast<std::uint64_t>(type) << 3 | offset << 8};
}
std::optional<SwapType> F::pte_swap_type(Pte pte) const {
  if (pte == Pte{} || pte_present(pte)) return std::nullopt;
  return static_cast<SwapType>(pte.value >> 3 & 31);
}
std::uint64_t F::pte_swap_offset(Pte pte) const {
  return pte.value >> 8 & ((std::uint64_t{1} << 50) - 1);
}

}  // namespace shootdown::sw
