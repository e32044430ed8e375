// A gather in this kernel: struct mmu_gather on a CPU and an mm.
#ifndef SHOOTDOWN_SW_MM_KERNEL_GATHER_H
#define SHOOTDOWN_SW_MM_KERNEL_GATHER_H

#include <optional>

#include "sw/kernel/cpu.h"
#include "sw/mm/flush_scope.h"
#include "sw/mm/gather_host.h"
#include "sw/mm/mm_types.h"
#include "sw/mm/mmu_gather.h"

namespace shootdown::sw {

class KernelGather {
  /// What the gather asks of the kernel, on this CPU.
  class Host : public GatherHost {
   public:
    Host(Cpu& cpu, Mm& mm) : cpu_(cpu), mm_(mm) {}
    void inc_tlb_flush_pending() override;
    void dec_tlb_flush_pending() override;
    bool mm_tlb_flush_nested() const override { return mm_.tlb_flush_pending > 1; }
    void mark_mm_for_flush() override { mm_.s390_flush_mm = true; }
    std::optional<BatchPage> alloc_batch_page(BatchKind kind) override;
    void free_batch_page(BatchPage page) override;
    void free_pages_and_swap_cache(std::span<const EncodedPage> slots) override;
    void free_page_and_swap_cache(PageAddress page) override;
    void remove_rmap(PageAddress page, std::uint64_t pages, const Vma& vma) override;
    void cond_resched() override {}
    void table_dtor(PageAddress table) override;
    void free_table(PageAddress table) override;
    void call_rcu(MmuTableBatch batch) override;
    void remove_table_sync_one() override;
    void flush_cache_range(const Vma&) override {}  // physically tagged caches
    void tlb_flush(MmuGather& tlb) override;
    void mmu_notifier_invalidate_range(arch::VirtAddr start, arch::VirtAddr end) override;
    void begin_flush(const MmuGather& tlb) override;
    void end_flush() override;
    void vma_hook(const char* hook) override;
    void vm_bug(const char* function) override;
    void vm_warn(const char* function) override { vm_bug(function); }

   private:
    Cpu& cpu_;
    Mm& mm_;
    std::optional<FunctionTrace> flush_trace_;
    std::optional<FlushScope> flush_scope_;
  };
  Host host_;

 public:
  /// tlb_gather_mmu(), or with `fullmm` tlb_gather_mmu_fullmm(). Both arguments outlive it.
  KernelGather(Cpu& cpu, Mm& mm, bool fullmm = false);
  /// tlb_gather_mmu_vma(): of one area of one page size.
  KernelGather(Cpu& cpu, Mm& mm, const Vma& vma);
  /// tlb_finish_mmu(). Must be the last call.
  void finish();
  MmuGather tlb;

 private:
  Cpu& cpu_;
};

}  // namespace shootdown::sw

#endif
