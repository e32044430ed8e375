#include "sw/mm/mmu_gather.h"

#include <algorithm>

#include "hw/arch/vmsa64.h"
#include "sw/mm/flush_scope.h"
#include "sw/mm/mmu_notifier.h"

namespace shootdown::sw {

namespace {
constexpr arch::VirtAddr kTaskSize{std::uint64_t{1} << 48};
}

MmuGather::MmuGather(Cpu& cpu, Mm& gathered) : mm(gathered), cpu_(cpu) {
  reset_range();
  ++mm.tlb_flush_pending;
}

void MmuGather::reset_range() {
  start = fullmm ? kEndOfAddressSpace : kTaskSize;
  end = fullmm ? kEndOfAddressSpace : arch::VirtAddr{};
  freed_tables = false;
  cleared_ptes = cleared_pmds = cleared_puds = cleared_p4ds = false;
}

void MmuGather::adjust_range(arch::VirtAddr va, std::uint64_t bytes) {
  start = std::min(start, va);
  end = std::max(end, va + bytes);
}

void MmuGather::tlb_start_vma(const Vma&) {}

void MmuGather::tlb_end_vma(const Vma&) {
  if (fullmm) return;
  // The architectures here do not select MMU_GATHER_MERGE_VMAS.
  tlb_flush_mmu_tlbonly();
}

void MmuGather::tlb_remove_tlb_entry(arch::VirtAddr va, int level) {
  adjust_range(va, arch::page_bytes(arch::vmsa64::level_shift(level)));
  (level == 3 ? cleared_ptes : level == 2 ? cleared_pmds : cleared_puds) = true;
}

void MmuGather::free_table_tlb(Page& table, arch::VirtAddr va, int level) {
  // One page of range per table: the flush has to drop walk-cache entries behind any address.
  adjust_range(va, arch::kPageSize);
  freed_tables = true;
  (level == 2 ? cleared_pmds : level == 1 ? cleared_puds : cleared_p4ds) = true;
  tables_.push_back(&table);
}

unsigned MmuGather::tlb_get_unmap_shift() const {
  if (cleared_ptes) return arch::vmsa64::level_shift(3);
  if (cleared_pmds) return arch::vmsa64::level_shift(2);
  if (cleared_puds) return arch::vmsa64::level_shift(1);
  if (cleared_p4ds) return arch::vmsa64::level_shift(0);
  return arch::kPageShift;
}

void MmuGather::tlb_flush_mmu_tlbonly() {
  if (!freed_tables && !cleared_ptes && !cleared_pmds && !cleared_puds && !cleared_p4ds) return;
  const FunctionTrace trace(cpu_, "tlb_flush_mmu_tlbonly");
  const FlushScope scope(cpu_, mm, fullmm ? arch::VirtAddr{} : start, end);
  mm.arch.tlb_flush(cpu_, *this);
  mmu_notifier_invalidate_range(cpu_, mm, start, end);
  reset_range();
}

void MmuGather::free_pages() {
  for (Page* table : tables_) {
    --mm.pgtable_pages;
    mm.kernel.pages.put_page(cpu_, *table);
  }
  tables_.clear();
  for (Page* page : pages_) mm.kernel.pages.put_page(cpu_, *page);
  pages_.clear();
}

void MmuGather::tlb_flush_mmu() {
  if (mm.kernel.inject.free_before_flush) {
    free_pages();
    tlb_flush_mmu_tlbonly();
    return;
  }
  tlb_flush_mmu_tlbonly();
  free_pages();
}

void MmuGather::finish() {
  const FunctionTrace trace(cpu_, "tlb_finish_mmu");
  if (mm.tlb_flush_pending > 1) {
    // Another gather may have cleared entries that this one found empty: flush the whole mm.
    fullmm = true;
    reset_range();
    freed_tables = true;
  }
  tlb_flush_mmu();
  --mm.tlb_flush_pending;
}

}  // namespace shootdown::sw
