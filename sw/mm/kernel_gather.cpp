#include "sw/mm/kernel_gather.h"

#include <stdexcept>
#include <string>

#include "hw/arch/check.h"
#include "sw/mm/arch_mmu.h"
#include "sw/mm/mmu_notifier.h"
#include "sw/mm/pgtable.h"

namespace shootdown::sw {

KernelGather::KernelGather(Cpu& cpu, Mm& mm, bool fullmm)
    : host_(cpu, mm), tlb(mm.arch.gather_config(), host_, fullmm), cpu_(cpu) {}

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
  for (const EncodedPage slot : slots) {
    SHOOTDOWN_CHECK((slot.flags() & EncodedPage::kNrPagesNext) == 0, "pages are queued one by one");
    mm_.kernel.pages.put_page(cpu_, mm_.kernel.pages.page(slot.page()));
  }
}

void KernelGather::Host::free_page_and_swap_cache(PageAddress page) {
  mm_.kernel.pages.put_page(cpu_, mm_.kernel.pages.page(page));
}

void KernelGather::Host::remove_rmap(PageAddress page, std::uint64_t pages, const Vma&) {
  SHOOTDOWN_CHECK(pages == 1, "pages are queued one by one");
  --mm_.kernel.pages.page(page).mapcount;
}

void KernelGather::Host::table_dtor(PageAddress table) {
  pagetable_dtor(mm_, mm_.kernel.pages.page(table));
}

void KernelGather::Host::free_table(PageAddress table) {
  mm_.kernel.pages.put_page(cpu_, mm_.kernel.pages.page(table));
}

void KernelGather::Host::call_rcu(MmuTableBatch batch) {
  // No walker of this stack runs without the locks of the tables yet: nobody has to be waited for,
  // and the grace period is over at once.
  for (const PageAddress table : batch.tables) free_table(table);
  free_batch_page(batch.page);
}

void KernelGather::Host::remove_table_sync_one() {
  // See call_rcu(): there is no walker with interrupts off that an IPI would wait for.
  const FunctionTrace trace(cpu_, "tlb_remove_table_sync_one");
}

void KernelGather::Host::begin_flush(const MmuGather& tlb) {
  flush_trace_.emplace(cpu_, "tlb_flush_mmu_tlbonly");
  flush_scope_.emplace(cpu_, mm_, tlb.fullmm ? arch::VirtAddr{} : arch::VirtAddr{tlb.start},
                       arch::VirtAddr{tlb.end});
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
