// struct mmu_gather: unhook pages from the tables, invalidate, free, in that order.
//
// Mirrors include/asm-generic/tlb.h and mm/mmu_gather.c from v5.18 to v6.7, and what later releases
// changed; GatherConfig says which. Life cycle: construction (tlb_gather_mmu()), for each area
// tlb_start_vma(), range tracking and queueing, tlb_end_vma(), and at last tlb_finish_mmu().
//
// Plain C++. The kernel around it is a GatherHost.
#ifndef SHOOTDOWN_SW_MM_MMU_GATHER_H
#define SHOOTDOWN_SW_MM_MMU_GATHER_H

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "hw/arch/types.h"
#include "sw/mm/encoded_page.h"
#include "sw/mm/gather_config.h"
#include "sw/mm/gather_host.h"

namespace shootdown::sw {

struct Vma;

class MmuGather {
 public:
  /// tlb_gather_mmu(); with `fullmm`, tlb_gather_mmu_fullmm(). `config` and `host` outlive it.
  MmuGather(const GatherConfig& config, GatherHost& host, bool fullmm);
  /// tlb_gather_mmu_vma()
  MmuGather(const GatherConfig& config, GatherHost& host, const Vma& vma);
  MmuGather(const MmuGather&) = delete;
  MmuGather& operator=(const MmuGather&) = delete;

  // State, named as in the kernel.
  std::uint64_t start{};  ///< of the range to flush; empty: TASK_SIZE, 0
  std::uint64_t end{};
  bool fullmm{};
  bool need_flush_all{};
  bool freed_tables{};
  bool delayed_rmap{};
  bool cleared_ptes{};
  bool cleared_pmds{};
  bool cleared_puds{};
  bool cleared_p4ds{};
  bool unshared_tables{};
  bool fully_unshared_tables{};
  // Of the last tlb_start_vma(); the kernel does not initialise them.
  bool vma_exec{};
  bool vma_huge{};
  bool vma_pfn{};
  std::uint64_t page_size{};  ///< MMU_GATHER_PAGE_SIZE; 0: not set yet

  void tlb_start_vma(const Vma& vma);
  void tlb_end_vma(const Vma& vma);

  // Range tracking. Sizes are bytes; the kernel's parameter has 32 bits, and so it is cut here.
  void tlb_flush_pte_range(arch::VirtAddr address, std::uint64_t size);
  void tlb_flush_pmd_range(arch::VirtAddr address, std::uint64_t size);
  void tlb_flush_pud_range(arch::VirtAddr address, std::uint64_t size);
  void tlb_flush_p4d_range(arch::VirtAddr address, std::uint64_t size);
  void tlb_remove_tlb_entry(arch::VirtAddr address);
  void tlb_remove_tlb_entries(arch::VirtAddr address, std::uint64_t pages);
  void tlb_remove_pmd_tlb_entry(arch::VirtAddr address);
  void tlb_remove_pud_tlb_entry(arch::VirtAddr address);
  void tlb_remove_huge_tlb_entry(arch::VirtAddr address, std::uint64_t size);

  // Queueing. The reference is dropped after the flush.
  /// __tlb_remove_page(), __tlb_remove_page_size(). True: full; tlb_flush_mmu() has to be next.
  bool tlb_remove_page_no_flush(PageAddress page, bool delay_rmap, std::uint64_t size);
  /// __tlb_remove_folio_pages(): `pages` of one folio, from `page` on.
  bool tlb_remove_folio_pages(PageAddress page, std::uint64_t pages, bool delay_rmap);
  /// tlb_remove_page(), tlb_remove_page_size(): flushes by itself when full.
  void tlb_remove_page(PageAddress page, std::uint64_t size);

  // Delayed rmap removal (5df397dec7c4).
  /// tlb_delay_rmap(): whether removal may wait for the flush, and remembers that it does.
  bool tlb_delay_rmap();
  void tlb_flush_rmaps(const Vma& vma);

  // Page tables.
  /// pte_free_tlb(), pmd_free_tlb(), pud_free_tlb(), p4d_free_tlb(): a table that holds entries of
  /// `level`, whose parent entry for `address` was cleared.
  void table_free_tlb(TableLevel level, PageAddress table, arch::VirtAddr address);
  void tlb_remove_table(PageAddress table);
  /// tlb_unshare_pmd_ptdesc(): one user less of a shared PMD table. `last`: nobody shares it now.
  void tlb_unshare_pmd(arch::VirtAddr address, bool last);
  void tlb_flush_unshared_tables();

  void tlb_change_page_size(std::uint64_t size);
  void tlb_flush_mmu_tlbonly();
  void tlb_flush_mmu();
  /// The part of tlb_flush_mmu() that frees pages. Alone it frees them too early.
  void tlb_batch_pages_flush();
  /// Must be the last call.
  void tlb_finish_mmu();

  /// Smallest level cleared: the stride of the flush.
  unsigned tlb_get_unmap_shift() const;
  std::uint64_t tlb_get_unmap_size() const { return std::uint64_t{1} << tlb_get_unmap_shift(); }

  const GatherConfig& config() const { return config_; }
  // For those who watch.
  /// Slots used: of the array inside the gather, then of each dynamic batch.
  std::vector<unsigned> batch_sizes() const;
  unsigned active_batch() const { return active_; }
  unsigned active_batch_max() const;
  unsigned batch_count() const { return batch_count_; }
  /// Tables in the current table batch; nothing: there is none.
  std::optional<std::size_t> queued_tables() const;

 private:
  /// struct mmu_gather_batch
  struct Batch {
    BatchPage page{};
    unsigned nr{};
    std::unique_ptr<EncodedPage[]> slots;
  };

  void init();
  void reset_range();
  void adjust_range(arch::VirtAddr address, std::uint64_t size);
  void tlb_update_vma_flags(const Vma& vma);
  void ifdef_tlb_start_vma(const Vma& vma);
  void ifdef_tlb_end_vma();
  void arch_tlb_start_vma(const Vma& vma);
  void arch_tlb_end_vma();
  bool queue(PageAddress page, std::uint64_t pages, bool delay_rmap, std::uint64_t size);
  bool tlb_next_batch();
  bool batch_is_full() const;
  EncodedPage* slots(unsigned batch);
  unsigned& nr(unsigned batch) { return batch == 0 ? local_nr_ : batches_[batch - 1].nr; }
  void flush_rmap_batch(unsigned batch, const Vma& vma);
  void free_batch(unsigned batch);
  void tlb_table_invalidate();
  void tlb_table_flush();

  const GatherConfig& config_;
  GatherHost& host_;
  // Batch 0 is the array inside the gather, batch i + 1 is batches_[i].
  std::array<EncodedPage, GatherConfig::kBundle> local_;
  unsigned local_nr_{};
  std::vector<Batch> batches_;
  unsigned batch_count_{};
  unsigned active_{};
  std::optional<MmuTableBatch> table_batch_;
};

}  // namespace shootdown::sw

#endif
