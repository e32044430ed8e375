// What struct mmu_gather needs of the kernel around it. The memory manager implements it on its
// pages and CPUs (kernel_gather.h); a replay of recorded cases implements it by writing down.
#ifndef SHOOTDOWN_SW_MM_GATHER_HOST_H
#define SHOOTDOWN_SW_MM_GATHER_HOST_H

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "hw/arch/types.h"
#include "sw/mm/encoded_page.h"

namespace shootdown::sw {

class MmuGather;
struct Vma;

enum class BatchKind : std::uint8_t { kPages, kTables };
/// A page that holds a batch; numbered by the host.
using BatchPage = std::uint64_t;

/// struct mmu_table_batch: tables, and the page that holds their list.
struct MmuTableBatch {
  BatchPage page{};
  std::vector<PageAddress> tables;
};

class GatherHost {
 public:
  virtual ~GatherHost() = default;

  // The mm.
  virtual void inc_tlb_flush_pending() = 0;
  virtual void dec_tlb_flush_pending() = 0;
  virtual bool mm_tlb_flush_nested() const = 0;
  /// s390: what pte_free_tlb() and its siblings leave behind for the lazy flush.
  virtual void mark_mm_for_flush() = 0;

  // Memory for the batches.
  /// __get_free_page(GFP_NOWAIT | __GFP_NOWARN): may find nothing.
  virtual std::optional<BatchPage> alloc_batch_page(BatchKind kind) = 0;
  virtual void free_batch_page(BatchPage page) = 0;

  // Pages.
  /// free_pages_and_swap_cache(): drops the references. A slot with kNrPagesNext takes the next.
  virtual void free_pages_and_swap_cache(std::span<const EncodedPage> slots) = 0;
  /// Frees one page at once (MMU_GATHER_NO_GATHER).
  virtual void free_page_and_swap_cache(PageAddress page) = 0;
  /// folio_remove_rmap_ptes()
  virtual void remove_rmap(PageAddress page, std::uint64_t pages, const Vma& vma) = 0;
  virtual void cond_resched() = 0;

  // Page tables.
  /// pagetable_*_dtor()
  virtual void table_dtor(PageAddress table) = 0;
  /// __tlb_remove_table(): returns the memory.
  virtual void free_table(PageAddress table) = 0;
  /// Hands a batch to RCU, which frees its tables and its page after a grace period.
  virtual void call_rcu(MmuTableBatch batch) = 0;
  /// tlb_remove_table_sync_one(): an IPI to every other CPU, waited for.
  virtual void remove_table_sync_one() = 0;

  // Flushes.
  virtual void flush_cache_range(const Vma& vma) = 0;
  /// tlb_flush() of asm/tlb.h, or the generic one.
  virtual void tlb_flush(MmuGather& tlb) = 0;
  virtual void mmu_notifier_invalidate_range(arch::VirtAddr start, arch::VirtAddr end) = 0;
  /// Around the two above: between them is what the gather counts as one flush.
  virtual void begin_flush(const MmuGather&) {}
  virtual void end_flush() {}

  /// Which implementation of tlb_start_vma() or tlb_end_vma() runs, for the trace.
  virtual void vma_hook(const char* /*hook*/) {}

  // Debug checks: the kernel goes on after each.
  /// VM_BUG_ON() without CONFIG_DEBUG_VM
  virtual void vm_bug(const char* function) = 0;
  virtual void vm_warn(const char* function) = 0;
};

}  // namespace shootdown::sw

#endif
