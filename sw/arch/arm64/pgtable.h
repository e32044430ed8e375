// arm64 table entries as Linux lays them out, 4 KiB granule. Bits software owns: 55 PTE_DIRTY,
// 56 PTE_SPECIAL. PTE_WRITE is bit 51 (DBM): an entry with PTE_WRITE and PTE_RDONLY is writable but
// clean, which hardware without dirty-state update treats as read-only.
// Source: arch/arm64/include/asm/pgtable.h, pgtable-hwdef.h, pgtable-prot.h.
#ifndef SHOOTDOWN_SW_ARCH_ARM64_PGTABLE_H
#define SHOOTDOWN_SW_ARCH_ARM64_PGTABLE_H

#include <cstdint>

#include "hw/arch/vmsa64.h"
#include "sw/mm/arch_mmu.h"

namespace shootdown::sw::arm64 {

namespace desc = arch::vmsa64::desc;

inline constexpr std::uint64_t PTE_VALID = desc::Valid::kMask;
inline constexpr std::uint64_t PTE_USER = desc::ApUser::kMask;
inline constexpr std::uint64_t PTE_RDONLY = desc::ApReadOnly::kMask;
inline constexpr std::uint64_t PTE_SHARED = desc::Shareability::of(3);
inline constexpr std::uint64_t PTE_AF = desc::Af::kMask;
inline constexpr std::uint64_t PTE_NG = desc::Ng::kMask;
inline constexpr std::uint64_t PTE_WRITE = desc::Dbm::kMask;
inline constexpr std::uint64_t PTE_CONT = desc::Contiguous::kMask;
inline constexpr std::uint64_t PTE_PXN = desc::Pxn::kMask;
inline constexpr std::uint64_t PTE_UXN = desc::Uxn::kMask;
inline constexpr std::uint64_t PTE_DIRTY = std::uint64_t{1} << 55;
inline constexpr std::uint64_t PTE_PROT_NONE = std::uint64_t{1} << 58;

constexpr bool pte_write(Pte pte) { return (pte.value & PTE_WRITE) != 0; }
constexpr bool pte_hw_dirty(Pte pte) { return pte_write(pte) && (pte.value & PTE_RDONLY) == 0; }
constexpr bool pte_dirty(Pte pte) { return (pte.value & PTE_DIRTY) != 0 || pte_hw_dirty(pte); }
constexpr bool pte_young(Pte pte) { return (pte.value & PTE_AF) != 0; }
constexpr Pte pte_mkdirty(Pte pte) {
  std::uint64_t value = pte.value | PTE_DIRTY;
  if (pte_write(pte)) value &= ~PTE_RDONLY;
  return {value};
}
constexpr Pte pte_mkwrite(Pte pte) { return {(pte.value | PTE_WRITE) & ~PTE_RDONLY}; }
constexpr Pte pte_wrprotect(Pte pte) {
  // A hardware-dirty entry keeps its dirty state in the software bit.
  std::uint64_t value = pte.value;
  if (pte_hw_dirty(pte)) value |= PTE_DIRTY;
  return {(value & ~PTE_WRITE) | PTE_RDONLY};
}

}  // namespace shootdown::sw::arm64

#endif
