// Changing arm64 table entries in place: permission upgrades and ageing, with the flush each owes.
//
// Mirrors arch/arm64/mm/fault.c, asm/pgtable.h and, where the release has it,
// arch/arm64/mm/contpte.c (4602e5757bcc): entries with the Contiguous bit come in aligned blocks
// that hardware may cache as one, so that they change together.
#ifndef SHOOTDOWN_SW_ARCH_ARM64_PTEP_H
#define SHOOTDOWN_SW_ARCH_ARM64_PTEP_H

#include <cstdint>

#include "hw/arch/types.h"
#include "sw/mm/arch_mmu.h"

namespace shootdown::sw::arm64 {

/// The table entries of one mm, by address in memory, and the flushes for them. `va` is what an
/// entry maps.
class PteHost {
 public:
  virtual ~PteHost() = default;
  virtual std::uint64_t load(arch::PhysAddr entry) = 0;
  /// Stores `desired` if the entry equals `expected`. Returns what was there. Atomic.
  virtual std::uint64_t compare_exchange(arch::PhysAddr entry, arch::VirtAddr va,
                                         std::uint64_t expected, std::uint64_t desired) = 0;
  virtual void flush_tlb_page(arch::VirtAddr va) = 0;
  virtual void flush_tlb_page_nosync(arch::VirtAddr va) = 0;
  /// __flush_tlb_range() of last-level entries, page by page; `end` exclusive.
  virtual void flush_tlb_range(arch::VirtAddr start, arch::VirtAddr end) = 0;
  virtual void flush_tlb_range_nosync(arch::VirtAddr start, arch::VirtAddr end) = 0;
};

struct PteContext {
  PteHost& host;
  std::uint64_t page_bytes{arch::kPageSize};
  bool contpte{};  ///< 4602e5757bcc: this kernel knows contiguous blocks
};

/// Makes the entry at least as permissive as `wanted`; flushes if `dirty`. False if it already was.
bool ptep_set_access_flags(PteContext& context, arch::PhysAddr entry, arch::VirtAddr va, Pte wanted,
                           bool dirty);
/// Clears the access flag. Returns whether it was set.
bool ptep_test_and_clear_young(PteContext& context, arch::PhysAddr entry, arch::VirtAddr va);
/// As above, with a flush whose DSB is elided: a stale young entry costs accuracy, nothing else.
bool ptep_clear_flush_young(PteContext& context, arch::PhysAddr entry, arch::VirtAddr va);

}  // namespace shootdown::sw::arm64

#endif
