// What an architecture gives the memory manager: the format of table entries, and how a flush is
// lowered to the CPU's instructions. One implementation per architecture, under sw/arch/.
#ifndef SHOOTDOWN_SW_MM_ARCH_MMU_H
#define SHOOTDOWN_SW_MM_ARCH_MMU_H

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "hw/arch/types.h"
#include "hw/arch/x86_64.h"
#include "sw/kernel/cpu.h"
#include "sw/mm/gather_config.h"
#include "sw/mm/mm_types.h"
#include "sw/mm/pte.h"
#include "sw/mm/swap.h"

namespace shootdown::sw {

class MmuGather;

/// struct tlbflush_unmap_batch: flushes that unmapping has left pending, of one thread.
struct UnmapBatch {
  std::vector<std::pair<Mm*, arch::VirtAddr>> pages;  ///< unmapped since the last flush
  std::vector<std::uint64_t> flushes;                 ///< begun for them, by number
  CpuMask cpumask{};                                  ///< to be interrupted (x86)
  bool writable{};  ///< an entry was dirty: flush before the contents are written
};

/// The flush of a page of a batch begins when the page is unmapped, and ends with those of all
/// others: what changes in between, by others, is not its concern.
void begin_batched_flush(Cpu& cpu, Mm& mm, arch::VirtAddr address, UnmapBatch& batch);
void end_batched_flushes(Cpu& cpu, const UnmapBatch& batch);

/// The format of table entries. No memory is touched.
class PteFormat {
 public:
  virtual ~PteFormat() = default;
  virtual arch::TableFormat table_format() const = 0;
  /// Hardware can use the entry.
  virtual bool pte_valid(Pte pte) const = 0;
  /// A page is mapped: also true of pte_protnone(), which hardware cannot use.
  bool pte_present(Pte pte) const { return pte_valid(pte) || pte_protnone(pte); }
  virtual bool pte_table(Pte pte, int level) const = 0;
  virtual bool pte_write(Pte pte) const = 0;
  virtual bool pte_dirty(Pte pte) const = 0;
  virtual bool pte_young(Pte pte) const = 0;
  /// A young, read-only leaf of `level` that maps `page`.
  virtual Pte mk_pte(arch::PhysAddr page, int level) const = 0;
  virtual Pte mk_table(arch::PhysAddr table) const = 0;
  virtual Pte pte_mkwrite(Pte pte) const = 0;
  virtual Pte pte_mkdirty(Pte pte) const = 0;
  virtual Pte pte_mkclean(Pte pte) const = 0;
  virtual Pte pte_mkyoung(Pte pte) const = 0;
  virtual Pte pte_mkold(Pte pte) const = 0;
  virtual Pte pte_wrprotect(Pte pte) const = 0;
  /// The output address of a leaf, or the next table.
  virtual arch::PhysAddr pte_address(Pte pte) const = 0;
  /// NUMA hinting: to hardware invalid, to software a mapped page.
  virtual bool pte_protnone(Pte pte) const = 0;
  virtual Pte pte_mkprotnone(Pte pte) const = 0;
  virtual Pte pte_clear_protnone(Pte pte) const = 0;
  /// A page that is elsewhere. `offset` has at most 40 bits.
  virtual Pte mk_swap_pte(SwapType type, std::uint64_t offset) const = 0;
  /// Nothing for an entry that is none, present or protnone.
  virtual std::optional<SwapType> pte_swap_type(Pte pte) const = 0;
  virtual std::uint64_t pte_swap_offset(Pte pte) const = 0;
};

class ArchMmu : public PteFormat {
 public:
  // Flushes. When one returns, CPUs and (from 6bbd42e2df8f on) secondary TLBs are flushed.
  virtual void flush_tlb_page(Cpu& cpu, Mm& mm, arch::VirtAddr address) = 0;
  virtual void flush_tlb_mm(Cpu& cpu, Mm& mm) = 0;
  /// Leaves and tables of [start, end), in steps of 2^stride_shift bytes.
  virtual void flush_tlb_range(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end,
                               unsigned stride_shift) = 0;
  /// How this architecture gathers (its Kconfig and asm/tlb.h).
  virtual const GatherConfig& gather_config() const = 0;
  /// Lowers what a gather has collected (tlb_flush() of asm/tlb.h).
  virtual void tlb_flush(Cpu& cpu, Mm& mm, const MmuGather& tlb) = 0;
  /// Whether mprotect() owes a flush for this change (pte_needs_flush(), huge_pmd_needs_flush()).
  virtual bool pte_needs_flush(Pte /*old_pte*/, Pte /*new_pte*/, int /*level*/) const {
    return true;
  }
  /// Whether pmdp_invalidate_ad() flushes.
  virtual bool flushes_invalid_pmd() const { return true; }
  /// An entry was cleared, its lock held: what architectures do that flush at once, or queue.
  virtual void pte_cleared(Cpu&, Mm&, const PteSlot&, Pte /*old_pte*/) {}

  // Deferred flushes of reclaim: add_pending for each page, one flush for all.
  virtual bool should_defer_flush(Cpu&, Mm&) const { return false; }
  virtual void tlbbatch_add_pending(Cpu&, Mm&, arch::VirtAddr, UnmapBatch&) {}
  virtual void tlbbatch_flush(Cpu&, UnmapBatch&) {}

  /// Makes the entry at `slot` at least as permissive as `entry`. Flushes if `dirty`. Returns false
  /// if it already was.
  virtual bool ptep_set_access_flags(Cpu& cpu, Mm& mm, const PteSlot& slot, Pte entry,
                                     bool dirty) = 0;
  /// Clears the accessed bit and flushes it lazily. Returns whether it was set.
  virtual bool ptep_clear_flush_young(Cpu& cpu, Mm& mm, const PteSlot& slot) = 0;
  /// After a fault on an entry that already permits the access.
  virtual void flush_tlb_fix_spurious_fault(Cpu& cpu, Mm& mm, arch::VirtAddr address) = 0;

  /// Loads the address space of a thread that gets the CPU (switch_mm()).
  virtual void switch_mm(Cpu& cpu, Mm& next);
  /// The CPU turns to threads without one, and keeps what it has loaded (enter_lazy_tlb()).
  virtual void enter_lazy_tlb(Cpu&, Mm&) {}
  /// Whether switches have to be told: whether CPUs keep books on what they have loaded.
  virtual bool tracks_cpus() const { return false; }
};

}  // namespace shootdown::sw

#endif
