#include "sw/mm/kernel_gather.h"

#include <stdexcept>
#include <string>

#include "hw/arch/check.h"
#include "sw/mm/arch_mmu.h"
#include "sw/mm/mmu_notifier.h"
#include "sw/mm/pgtable.h"
#include "sw/mm/rmap.h"
#include "sw/mm/tlb_flush_pending.h"
#include "sw/mm/tlb_sync.h"

namespace shootdown::sw {

KernelGather::KernelGather(Cpu& cpu, Mm& mm, bool fullmm)
    : host_(cpu, mm), tlb(mm.arch.gather_config(), host_, fullmm), cpu_(cpu) {}

KernelGather::KernelGather(Cpu& cpu, Mm& mm, const Vma& vma)
    : host_(cpu, mm), tlb(mm.arch.gather_config(), host_, vma), cpu_(cpu) {}

void KernelGather::finish() {
  const FunctionTrace trace(cpu_, "tlb_finish_mmu");
  tlb.tlb_finish_mmu();
}

std::optional<BatchPage> KernelGather::Host::alloc_batch_page(BatchKind) {
  Page* page = mm_.kernel.pages.alloc_pages(cpu_, 0, PageUse::kKernel);
  if (page == nullptr) return std::nullopt;
  return mm_.kernel.pages.page_address(*page).value;
}

void KernelGather::Host::free_batch_page(BatchPage page) {
  mm_.kernel.pages.put_page(cpu_, mm_.kernel.pages.page({page}));
}

void KernelGather::Host::free_pages_and_swap_cache(std::span<const EncodedPage> slots) {
  // 7cc8f9c7146a: what is passed on are encoded pages.
  const FunctionTrace trace(cpu_, mm_.kernel.behaviour.encoded_pages
                                      ? "free_pages_and_swap_cache(encoded)"
                                      : "free_pages_and_swap_cache");
  for (const EncodedPage slot : slots) {
    SHOOTDOWN_CHECK((slot.flags() & EncodedPage::kNrPagesNext) == 0, "pages are queued one by one");
    if (mm_.kernel.inject.unmasked_page_flag && slot.flags() != 0) {
      cpu_.trace(
          BadPage{.pointer = {slot.raw()}, .reason = "flags in the address of a struct page"});
      continue;
    }
    mm_.kernel.pages.put_page(cpu_, mm_.kernel.pages.page(slot.page()));
  }
}

void KernelGather::Host::inc_tlb_flush_pending() { sw::inc_tlb_flush_pending(cpu_, mm_); }
void KernelGather::Host::dec_tlb_flush_pending() { sw::dec_tlb_flush_pending(cpu_, mm_); }

void KernelGather::Host::vma_hook(const char* hook) { const FunctionTrace trace(cpu_, hook); }

void KernelGather::Host::free_page_and_swap_cache(PageAddress page) {
  mm_.kernel.pages.put_page(cpu_, mm_.kernel.pages.page(page));
}

void KernelGather::Host::remove_rmap(PageAddress page, std::uint64_t pages, const Vma&) {
  SHOOTDOWN_CHECK(pages == 1, "pages are queued one by one");
  page_remove_rmap(cpu_, mm_.kernel.pages.page(page));
}

void KernelGather::Host::table_dtor(PageAddress table) {
  if (mm_.kernel.inject.table_freed_as_page) return;
  pagetable_dtor(cpu_, mm_, mm_.kernel.pages.page(table));
}

void KernelGather::Host::free_table(PageAddress table) {
  Page& page = mm_.kernel.pages.page(table);
  // powerpc and sparc64 run the destructor here.
  if (page.table && !mm_.kernel.inject.table_freed_as_page) pagetable_dtor(cpu_, mm_, page);
  pagetable_free(cpu_, mm_, page);
}

void KernelGather::Host::call_rcu(MmuTableBatch batch) {
  // Address spaces are kept for as long as the run lasts.
  mm_.kernel.rcu.call_rcu(cpu_,
                          [kernel = &mm_.kernel, mm = &mm_, batch = std::move(batch)](Cpu& cpu) {
                            const FunctionTrace trace(cpu, "tlb_remove_table_rcu");
                            for (const PageAddress table : batch.tables) {
                              Page& page = kernel->pages.page(table);
                              if (page.table && !kernel->inject.table_freed_as_page)
                                pagetable_dtor(cpu, *mm, page);
                              pagetable_free(cpu, *mm, page);
                            }
                            kernel->pages.put_page(cpu, kernel->pages.page({batch.page}));
                          });
}

void KernelGather::Host::remove_table_sync_one() { tlb_remove_table_sync_one(cpu_, mm_); }

void KernelGather::Host::begin_flush(const MmuGather& tlb) {
  flush_trace_.emplace(cpu_, "tlb_flush_mmu_tlbonly");
  flush_scope_.emplace(cpu_, mm_, tlb.fullmm ? arch::VirtAddr{} : arch::VirtAddr{tlb.start},
                       arch::VirtAddr{tlb.end}, /*secondary=*/true);
  // Not every tlb_flush() flushes: arm64 does not for an exit, s390 only if tables were freed.
  flush_scope_->only_around();
}

void KernelGather::Host::end_flush() {
  flush_scope_.reset();
  flush_trace_.reset();
}

void KernelGather::Host::tlb_flush(MmuGather& tlb) { mm_.arch.tlb_flush(cpu_, mm_, tlb); }

void KernelGather::Host::mmu_notifier_invalidate_range(arch::VirtAddr start, arch::VirtAddr end) {
  sw::mmu_notifier_invalidate_range(cpu_, mm_, start, end);
}

void KernelGather::Host::vm_bug(const char* function) {
  throw std::logic_error(std::string(function) + ": used against its rules");
}

}  // namespace shootdown::sw
