// What an architecture gives the memory manager: the format of table entries, and how a flush is
// lowered to the CPU's instructions. One implementation per architecture, under sw/arch/.
#ifndef SHOOTDOWN_SW_MM_ARCH_MMU_H
#define SHOOTDOWN_SW_MM_ARCH_MMU_H

#include <cstdint>

#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/mm/gather_config.h"
#include "sw/mm/mm_types.h"

namespace shootdown::sw {

class MmuGather;

/// A table entry as software sees it. Named as in the kernel; at every level.
struct Pte {
  std::uint64_t value{};
  bool operator==(const Pte&) const = default;
};

/// Where an entry is: its address in memory, the first virtual address it maps, and its level.
struct PteSlot {
  arch::PhysAddr address{};
  arch::VirtAddr va{};
  int level{3};
};

class ArchMmu {
 public:
  virtual ~ArchMmu() = default;

  // Entry format. No memory is touched.
  virtual bool pte_present(Pte pte) const = 0;
  virtual bool pte_table(Pte pte, int level) const = 0;
  virtual bool pte_write(Pte pte) const = 0;
  virtual bool pte_dirty(Pte pte) const = 0;
  virtual bool pte_young(Pte pte) const = 0;
  /// A young, read-only leaf of `level` that maps `page`.
  virtual Pte mk_pte(arch::PhysAddr page, int level) const = 0;
  virtual Pte mk_table(arch::PhysAddr table) const = 0;
  virtual Pte pte_mkwrite(Pte pte) const = 0;
  virtual Pte pte_mkdirty(Pte pte) const = 0;
  virtual Pte pte_mkyoung(Pte pte) const = 0;
  virtual Pte pte_mkold(Pte pte) const = 0;
  virtual Pte pte_wrprotect(Pte pte) const = 0;
  /// The output address of a leaf, or the next table.
  virtual arch::PhysAddr pte_address(Pte pte) const = 0;

  // Flushes. When one returns, CPUs and (from 6bbd42e2df8f on) secondary TLBs are flushed.
  virtual void flush_tlb_page(Cpu& cpu, Mm& mm, arch::VirtAddr address) = 0;
  virtual void flush_tlb_mm(Cpu& cpu, Mm& mm) = 0;
  /// How this architecture gathers (its Kconfig and asm/tlb.h).
  virtual const GatherConfig& gather_config() const = 0;
  /// Lowers what a gather has collected (tlb_flush() of asm/tlb.h).
  virtual void tlb_flush(Cpu& cpu, Mm& mm, const MmuGather& tlb) = 0;

  /// Makes the entry at `slot` at least as permissive as `entry`. Flushes if `dirty`. Returns false
  /// if it already was.
  virtual bool ptep_set_access_flags(Cpu& cpu, Mm& mm, const PteSlot& slot, Pte entry,
                                     bool dirty) = 0;
  /// Clears the accessed bit and flushes it lazily. Returns whether it was set.
  virtual bool ptep_clear_flush_young(Cpu& cpu, Mm& mm, const PteSlot& slot) = 0;
  /// After a fault on an entry that already permits the access.
  virtual void flush_tlb_fix_spurious_fault(Cpu& cpu, Mm& mm, arch::VirtAddr address) = 0;
};

}  // namespace shootdown::sw

#endif
