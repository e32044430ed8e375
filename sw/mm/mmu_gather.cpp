#include "sw/mm/mmu_gather.h"

#include <algorithm>
#include <utility>

#include "hw/arch/check.h"
#include "sw/mm/mm_types.h"

namespace shootdown::sw {

namespace {
constexpr std::uint64_t kAllOnes = ~std::uint64_t{0};
}

// ---- Life cycle ------------------------------------------------------------------------------

MmuGather::MmuGather(const GatherConfig& config, GatherHost& host, bool whole_mm)
    : fullmm(whole_mm), config_(config), host_(host) {
  init();
}

MmuGather::MmuGather(const GatherConfig& config, GatherHost& host, const Vma& vma)
    : config_(config), host_(host) {
  init();
  tlb_update_vma_flags(vma);
  if (vma.hugetlb_page_size != 0) tlb_change_page_size(vma.hugetlb_page_size);
}

void MmuGather::init() {
  reset_range();
  host_.inc_tlb_flush_pending();
}

void MmuGather::tlb_finish_mmu() {
  if (fully_unshared_tables) host_.vm_warn("tlb_finish_mmu");
  if (host_.mm_tlb_flush_nested()) {
    // Another gather may have cleared entries that this one found empty: flush the whole mm. The
    // tables count as freed, because an architecture may skip a fullmm flush without them.
    fullmm = true;
    reset_range();
    freed_tables = true;
  }
  tlb_flush_mmu();
  for (const Batch& batch : batches_) host_.free_batch_page(batch.page);
  batches_.clear();
  host_.dec_tlb_flush_pending();
}

void MmuGather::tlb_update_vma_flags(const Vma& vma) {
  // Until 7fb5e5083190 an empty function stood here without range flushes.
  if (config_.knobs.no_range && !config_.no_range_vma_flags) return;
  vma_huge = vma.hugetlb_page_size != 0;
  vma_exec = vma.exec;
  vma_pfn = vma.pfnmap || vma.mixedmap;
}

// ---- Around an area --------------------------------------------------------------------------

void MmuGather::tlb_start_vma(const Vma& vma) {
  if (!config_.vma_hooks_by_knob) return arch_tlb_start_vma(vma);
  if (!config_.vma_hooks_single) return ifdef_tlb_start_vma(vma);
  host_.vma_hook("tlb_start_vma");
  if (fullmm) return;
  tlb_update_vma_flags(vma);
  if (!config_.knobs.no_flush_cache) host_.flush_cache_range(vma);
}

void MmuGather::tlb_end_vma(const Vma&) {
  if (!config_.vma_hooks_by_knob) return arch_tlb_end_vma();
  if (!config_.vma_hooks_single) return ifdef_tlb_end_vma();
  host_.vma_hook("tlb_end_vma");
  if (fullmm) return;
  // A PFN mapping has no reference that would keep its frame: once the area is gone from its file,
  // whoever revokes the frame finds nobody to wait for.
  const bool pfn = vma_pfn && config_.force_flush_pfnmap;
  if (pfn || !config_.knobs.merge_vmas) tlb_flush_mmu_tlbonly();
}

// Before 18ba064e42df: one copy for each combination of knobs.

void MmuGather::ifdef_tlb_start_vma(const Vma& vma) {
  const GatherKnobs& knobs = config_.knobs;
  if (knobs.no_range) {
    host_.vma_hook("tlb_start_vma(CONFIG_MMU_GATHER_NO_RANGE)");
    if (!fullmm) host_.flush_cache_range(vma);
    return;
  }
  if (knobs.no_flush_cache) {
    host_.vma_hook("tlb_start_vma(CONFIG_MMU_GATHER_NO_FLUSH_CACHE)");
    if (!fullmm) tlb_update_vma_flags(vma);
    return;
  }
  host_.vma_hook("tlb_start_vma(default)");
  if (fullmm) return;
  tlb_update_vma_flags(vma);
  host_.flush_cache_range(vma);
}

void MmuGather::ifdef_tlb_end_vma() {
  if (config_.knobs.merge_vmas) {
    host_.vma_hook("tlb_end_vma(CONFIG_MMU_GATHER_MERGE_VMAS)");
    if (!fullmm && vma_pfn && config_.force_flush_pfnmap) tlb_flush_mmu_tlbonly();
    return;
  }
  host_.vma_hook("tlb_end_vma(default)");
  if (!fullmm) tlb_flush_mmu_tlbonly();
}

// Before 1e9fdf21a433: functions of each architecture, in three shapes.

void MmuGather::arch_tlb_start_vma(const Vma& vma) {
  if (config_.knobs.merge_vmas && config_.knobs.no_flush_cache) {
    host_.vma_hook("tlb_start_vma(arch: empty)");
    if (!fullmm) tlb_update_vma_flags(vma);
    return;
  }
  host_.vma_hook(config_.knobs.merge_vmas ? "tlb_start_vma(arch: flush_cache_range)"
                                          : "tlb_start_vma(generic)");
  if (fullmm) return;
  tlb_update_vma_flags(vma);
  if (!config_.knobs.no_flush_cache) host_.flush_cache_range(vma);
}

void MmuGather::arch_tlb_end_vma() {
  if (config_.knobs.merge_vmas) {
    host_.vma_hook("tlb_end_vma(arch: empty)");
    // b67fbebd4cf9 applied by itself: what it adds.
    if (!fullmm && vma_pfn && config_.force_flush_pfnmap) tlb_flush_mmu_tlbonly();
    return;
  }
  host_.vma_hook("tlb_end_vma(generic)");
  if (!fullmm) tlb_flush_mmu_tlbonly();
}

// ---- Range -----------------------------------------------------------------------------------

void MmuGather::reset_range() {
  start = fullmm ? kAllOnes : config_.task_size;
  end = fullmm ? kAllOnes : 0;
  freed_tables = false;
  cleared_ptes = cleared_pmds = cleared_puds = cleared_p4ds = false;
  unshared_tables = false;
}

void MmuGather::adjust_range(arch::VirtAddr address, std::uint64_t size) {
  start = std::min(start, address.value);
  end = std::max(end, address.value + static_cast<std::uint32_t>(size));
}

void MmuGather::tlb_flush_pte_range(arch::VirtAddr address, std::uint64_t size) {
  adjust_range(address, size);
  cleared_ptes = true;
}
void MmuGather::tlb_flush_pmd_range(arch::VirtAddr address, std::uint64_t size) {
  adjust_range(address, size);
  cleared_pmds = true;
}
void MmuGather::tlb_flush_pud_range(arch::VirtAddr address, std::uint64_t size) {
  adjust_range(address, size);
  cleared_puds = true;
}
void MmuGather::tlb_flush_p4d_range(arch::VirtAddr address, std::uint64_t size) {
  adjust_range(address, size);
  cleared_p4ds = true;
}

void MmuGather::tlb_remove_tlb_entry(arch::VirtAddr address) {
  tlb_flush_pte_range(address, config_.page_bytes());
}
void MmuGather::tlb_remove_tlb_entries(arch::VirtAddr address, std::uint64_t pages) {
  tlb_flush_pte_range(address, pages << config_.page_shift);
}
void MmuGather::tlb_remove_pmd_tlb_entry(arch::VirtAddr address) {
  tlb_flush_pmd_range(address, std::uint64_t{1} << config_.pmd_shift);
}
void MmuGather::tlb_remove_pud_tlb_entry(arch::VirtAddr address) {
  tlb_flush_pud_range(address, std::uint64_t{1} << config_.pud_shift);
}

void MmuGather::tlb_remove_huge_tlb_entry(arch::VirtAddr address, std::uint64_t size) {
  if (size >> config_.p4d_shift != 0) {
    tlb_flush_p4d_range(address, size);
  } else if (size >> config_.pud_shift != 0) {
    tlb_flush_pud_range(address, size);
  } else if (size >> config_.pmd_shift != 0) {
    tlb_flush_pmd_range(address, size);
  } else {
    tlb_flush_pte_range(address, size);
  }
}

unsigned MmuGather::tlb_get_unmap_shift() const {
  if (cleared_ptes) return config_.page_shift;
  if (cleared_pmds) return config_.pmd_shift;
  if (cleared_puds) return config_.pud_shift;
  if (cleared_p4ds) return config_.p4d_shift;
  return config_.page_shift;
}

void MmuGather::tlb_change_page_size(std::uint64_t size) {
  if (!config_.knobs.page_size) return;
  if (page_size != 0 && page_size != size && !fullmm && !need_flush_all) tlb_flush_mmu();
  page_size = size;
}

// ---- Pages -----------------------------------------------------------------------------------

EncodedPage* MmuGather::slots(unsigned batch) {
  return batch == 0 ? local_.data() : batches_[batch - 1].slots.get();
}

unsigned MmuGather::active_batch_max() const {
  return active_ == 0 ? GatherConfig::kBundle : config_.max_gather_batch();
}

bool MmuGather::batch_is_full() const {
  const unsigned used = active_ == 0 ? local_nr_ : batches_[active_ - 1].nr;
  // With numbers in slots of their own there has to be room for a pair.
  return used >= active_batch_max() - (config_.folio_entries ? 1 : 0);
}

bool MmuGather::tlb_next_batch() {
  // Those that wait for the flush with their rmap are looked for in two batches only.
  if (delayed_rmap && active_ != 0) return false;
  if (active_ < batches_.size()) {
    ++active_;
    return true;
  }
  if (batch_count_ == config_.max_gather_batch_count()) return false;
  const auto page = host_.alloc_batch_page(BatchKind::kPages);
  if (!page) return false;
  ++batch_count_;
  batches_.push_back({.page = *page,
                      .nr = 0,
                      .slots = std::make_unique<EncodedPage[]>(config_.max_gather_batch())});
  ++active_;
  return true;
}

bool MmuGather::queue(PageAddress page, std::uint64_t pages, bool delay, std::uint64_t size) {
  const char* function =
      config_.folio_entries ? "__tlb_remove_folio_pages_size" : "__tlb_remove_page_size";
  if (end == 0) host_.vm_bug(function);
  if (config_.knobs.page_size && page_size != size) host_.vm_warn(function);
  SHOOTDOWN_CHECK(!delay || config_.encoded_pages, "a flag in a slot that has no room for it");
  EncodedPage* batch = slots(active_);
  unsigned& used = nr(active_);
  const std::uint64_t flags = delay ? EncodedPage::kDelayRmap : 0;
  if (pages == 1) {
    batch[used++] = {page, flags};
  } else {
    batch[used++] = {page, flags | EncodedPage::kNrPagesNext};
    batch[used++] = EncodedPage::of_number(pages);
  }
  // The one that fills a batch asks for the next one at once.
  return batch_is_full() && !tlb_next_batch();
}

bool MmuGather::tlb_remove_page_no_flush(PageAddress page, bool delay, std::uint64_t size) {
  if (config_.knobs.no_gather) {
    host_.free_page_and_swap_cache(page);
    return false;
  }
  return queue(page, 1, delay, size);
}

bool MmuGather::tlb_remove_folio_pages(PageAddress page, std::uint64_t pages, bool delay) {
  SHOOTDOWN_CHECK(config_.folio_entries, "this kernel queues single pages only");
  if (config_.knobs.no_gather) {
    const std::array<EncodedPage, 2> slots{EncodedPage{page, EncodedPage::kNrPagesNext},
                                           EncodedPage::of_number(pages)};
    host_.free_pages_and_swap_cache(slots);
    return false;
  }
  return queue(page, pages, delay, config_.page_bytes());
}

void MmuGather::tlb_remove_page(PageAddress page, std::uint64_t size) {
  if (tlb_remove_page_no_flush(page, /*delay=*/false, size)) tlb_flush_mmu();
}

bool MmuGather::tlb_delay_rmap() {
  if (!config_.delay_rmap || !config_.smp || config_.knobs.no_gather) return false;
  delayed_rmap = true;
  return true;
}

void MmuGather::flush_rmap_batch(unsigned batch, const Vma& vma) {
  const EncodedPage* slot = slots(batch);
  for (unsigned i = 0; i < nr(batch); ++i) {
    const EncodedPage entry = slot[i];
    std::uint64_t pages = 1;
    if ((entry.flags() & EncodedPage::kNrPagesNext) != 0) pages = slot[++i].number();
    if ((entry.flags() & EncodedPage::kDelayRmap) != 0) {
      host_.remove_rmap(entry.page(), pages, vma);
    }
  }
}

void MmuGather::tlb_flush_rmaps(const Vma& vma) {
  if (!delayed_rmap) return;
  flush_rmap_batch(0, vma);
  if (active_ != 0) flush_rmap_batch(active_, vma);
  delayed_rmap = false;
}

void MmuGather::free_batch(unsigned batch) {
  const EncodedPage* slot = slots(batch);
  unsigned left = std::exchange(nr(batch), 0);
  while (left != 0) {
    unsigned take = 0;
    if (config_.expensive_free_by_pages && config_.init_on_free) {
      for (std::uint64_t pages = 0; take < left && pages < GatherConfig::kMaxFoliosPerFree;
           ++take) {
        const bool pair = (slot[take].flags() & EncodedPage::kNrPagesNext) != 0;
        pages += pair ? slot[++take].number() : 1;
      }
    } else {
      take = std::min(GatherConfig::kMaxFoliosPerFree, left);
      // A page and its number stay together.
      if ((slot[take - 1].flags() & EncodedPage::kNrPagesNext) != 0) ++take;
    }
    host_.free_pages_and_swap_cache({slot, take});
    slot += take;
    left -= take;
    host_.cond_resched();
  }
}

void MmuGather::tlb_batch_pages_flush() {
  for (unsigned batch = 0; batch <= batches_.size() && nr(batch) != 0; ++batch) free_batch(batch);
  active_ = 0;
}

// ---- Page tables -----------------------------------------------------------------------------

void MmuGather::table_free_tlb(TableLevel level, PageAddress table, arch::VirtAddr address) {
  const TableRule& rule = config_.table(level);
  if (rule.route == TableRoute::kFolded) return;
  // One page of range for a table: the flush has to drop walk-cache entries behind any address.
  if (rule.adjust_range) adjust_range(address, config_.page_bytes());
  if (config_.table_marks_mm) host_.mark_mm_for_flush();
  freed_tables = true;
  // Its parent is one level up: that is where an entry was cleared.
  if (level == TableLevel::kPte) cleared_pmds = true;
  if (level == TableLevel::kPmd) cleared_puds = true;
  if (level == TableLevel::kPud) cleared_p4ds = true;
  if (rule.need_flush_all) need_flush_all = true;
  if (rule.route == TableRoute::kUnused) return;
  if (rule.dtor) host_.table_dtor(table);
  switch (rule.route) {
    case TableRoute::kTable:
      tlb_remove_table(table);
      break;
    case TableRoute::kPage:
      tlb_remove_page(table, config_.page_bytes());
      break;
    case TableRoute::kAtOnce:
      host_.free_table(table);
      break;
    case TableRoute::kFolded:
    case TableRoute::kUnused:
      break;
  }
}

void MmuGather::tlb_table_invalidate() {
  if (config_.needs_table_invalidate) tlb_flush_mmu_tlbonly();
}

void MmuGather::tlb_table_flush() {
  if (!table_batch_) return;
  tlb_table_invalidate();
  MmuTableBatch batch = std::move(*table_batch_);
  table_batch_.reset();
  if (config_.knobs.rcu_table_free) {
    host_.call_rcu(std::move(batch));
    return;
  }
  for (const PageAddress table : batch.tables) host_.free_table(table);
  host_.free_batch_page(batch.page);
}

void MmuGather::tlb_remove_table(PageAddress table) {
  if (!table_batch_) {
    const auto page = host_.alloc_batch_page(BatchKind::kTables);
    if (!page) {
      // tlb_remove_table_one()
      tlb_table_invalidate();
      if (config_.knobs.rcu_table_free) host_.remove_table_sync_one();
      host_.free_table(table);
      return;
    }
    table_batch_ = MmuTableBatch{.page = *page, .tables = {}};
  }
  table_batch_->tables.push_back(table);
  if (table_batch_->tables.size() == config_.max_table_batch()) tlb_table_flush();
}

void MmuGather::tlb_unshare_pmd(arch::VirtAddr address, bool last) {
  const std::uint64_t span = std::uint64_t{1} << config_.pud_shift;
  tlb_flush_pmd_range({address.value & ~(span - 1)}, span);
  unshared_tables = true;
  if (last) fully_unshared_tables = true;
}

void MmuGather::tlb_flush_unshared_tables() {
  // Once the caller drops its locks, others may change the table: nobody may walk it here then.
  if (unshared_tables) tlb_flush_mmu_tlbonly();
  if (!fully_unshared_tables) return;
  if (config_.knobs.rcu_table_free) host_.remove_table_sync_one();
  fully_unshared_tables = false;
}

// ---- Flush -----------------------------------------------------------------------------------

void MmuGather::tlb_flush_mmu_tlbonly() {
  if (!freed_tables && !cleared_ptes && !cleared_pmds && !cleared_puds && !cleared_p4ds &&
      !unshared_tables) {
    return;
  }
  host_.begin_flush(*this);
  host_.tlb_flush(*this);
  if (config_.notify_after_flush) host_.mmu_notifier_invalidate_range({start}, {end});
  host_.end_flush();
  reset_range();
}

void MmuGather::tlb_flush_mmu() {
  tlb_flush_mmu_tlbonly();
  tlb_table_flush();
  if (!config_.knobs.no_gather) tlb_batch_pages_flush();
}

// ---- For those who watch ---------------------------------------------------------------------

std::vector<unsigned> MmuGather::batch_sizes() const {
  std::vector<unsigned> result{local_nr_};
  for (const Batch& batch : batches_) result.push_back(batch.nr);
  return result;
}

std::optional<std::size_t> MmuGather::queued_tables() const {
  if (!table_batch_) return std::nullopt;
  return table_batch_->tables.size();
}

}  // namespace shootdown::sw
