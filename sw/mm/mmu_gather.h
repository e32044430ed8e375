// struct mmu_gather: unhook pages from the tables, invalidate, free, in that order.
//
// Mirrors include/asm-generic/tlb.h and mm/mmu_gather.c in life cycle, range tracking and flush
// rules. Simplified: pages and tables are gathered in one list each without the kernel's batch
// limits, rmap is removed when the page is gathered, tables are freed right after the flush.
#ifndef SHOOTDOWN_SW_MM_MMU_GATHER_H
#define SHOOTDOWN_SW_MM_MMU_GATHER_H

#include <cstdint>
#include <vector>

#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/mm/arch_mmu.h"
#include "sw/mm/mm_types.h"

namespace shootdown::sw {

class MmuGather {
 public:
  /// tlb_gather_mmu()
  MmuGather(Cpu& cpu, Mm& mm);
  MmuGather(const MmuGather&) = delete;
  MmuGather& operator=(const MmuGather&) = delete;

  Mm& mm;
  arch::VirtAddr start{};
  arch::VirtAddr end{};
  bool fullmm{};
  bool freed_tables{};
  bool cleared_ptes{};
  bool cleared_pmds{};
  bool cleared_puds{};
  bool cleared_p4ds{};

  void tlb_start_vma(const Vma& vma);
  void tlb_end_vma(const Vma& vma);
  /// tlb_remove_tlb_entry(), tlb_remove_pmd_tlb_entry(): a leaf of `level` at `va` was changed.
  void tlb_remove_tlb_entry(arch::VirtAddr va, int level);
  /// The page's reference is dropped after the flush.
  void tlb_remove_page(Page& page) { pages_.push_back(&page); }
  /// pte_free_tlb(), pmd_free_tlb(), pud_free_tlb(): a table whose parent entry at `level` was
  /// cleared is freed after the flush.
  void free_table_tlb(Page& table, arch::VirtAddr va, int level);

  void tlb_flush_mmu_tlbonly();
  void tlb_flush_mmu();
  /// tlb_finish_mmu(). Must be the last call.
  void finish();
  /// Smallest level cleared: the stride of the flush.
  unsigned tlb_get_unmap_shift() const;

 private:
  void reset_range();
  void adjust_range(arch::VirtAddr va, std::uint64_t bytes);
  void free_pages();

  Cpu& cpu_;
  std::vector<Page*> pages_;
  std::vector<Page*> tables_;
};

}  // namespace shootdown::sw

#endif
