#include "sw/kernel/version.h"

#include <array>

namespace shootdown::sw {

namespace {

constexpr std::array<KernelChange, 38> kChanges{{
    {.hash = "c9fe66560bf2",
     .title = "mm/mprotect: do not flush when not required architecturally",
     .first_release = {5, 19},
     .member = &KernelBehaviour::mprotect_needs_flush,
     .needs = "",
     .switches = "mprotect() flushes an entry only if pte_needs_flush() says so"},
    {.hash = "1e9fdf21a433",
     .title = "mmu_gather: Remove per arch tlb_{start,end}_vma()",
     .first_release = {5, 19},
     .member = &KernelBehaviour::vma_hooks_by_knob,
     .needs = "",
     .switches = "two knobs say what is done around an area, in the place of functions of each "
                 "architecture"},
    {.hash = "18ba064e42df",
     .title = "mmu_gather: Let there be one tlb_{start,end}_vma() implementation",
     .first_release = {5, 19},
     .member = &KernelBehaviour::vma_hooks_single,
     .needs = "1e9fdf21a433",
     .switches = "one implementation of tlb_start_vma() and tlb_end_vma() for all knobs"},
    {.hash = "b67fbebd4cf9",
     .title = "mmu_gather: Force tlb-flush VM_PFNMAP vmas",
     .first_release = {5, 19},
     .member = &KernelBehaviour::force_flush_pfnmap,
     .needs = "",
     .switches = "tlb_end_vma() flushes an area of VM_PFNMAP or VM_MIXEDMAP even where areas are "
                 "merged"},
    {.hash = "7fb5e5083190",
     .title = "mmu_gather: fix the CONFIG_MMU_GATHER_NO_RANGE case",
     .first_release = {5, 19},
     .member = &KernelBehaviour::no_range_vma_flags,
     .needs = "18ba064e42df",
     .switches = "architectures without range flushes record the flags of an area, as all do"},
    {.hash = "70cbc3cc78a9",
     .title = "mm: gup: fix the fast GUP race against THP collapse",
     .first_release = {6, 1},
     .member = &KernelBehaviour::gup_rechecks_pmd,
     .needs = "",
     .switches = "GUP-fast drops a page again if the PMD above it has changed meanwhile"},
    {.hash = "2ba99c5e0881",
     .title = "mm/khugepaged: fix GUP-fast interaction by sending IPI",
     .first_release = {6, 1},
     .member = &KernelBehaviour::khugepaged_sync,
     .needs = "",
     .switches = "khugepaged waits for walkers with interrupts off before it frees a table"},
    {.hash = "7cc8f9c7146a",
     .title = "mm: mmu_gather: prepare to gather encoded page pointers with flags",
     .first_release = {6, 2},
     .member = &KernelBehaviour::encoded_pages,
     .needs = "",
     .switches = "a slot of a batch can carry flags beside the page; what sets one is a change of "
                 "its own"},
    {.hash = "5df397dec7c4",
     .title = "mm: delay page_remove_rmap() until after the TLB has been flushed",
     .first_release = {6, 2},
     .member = &KernelBehaviour::delay_rmap,
     .needs = "7cc8f9c7146a",
     .switches = "the rmap of a dirty file page is removed after the flush, under the same lock"},
    {.hash = "b30c14cd6102",
     .title = "hugetlb: unshare some PMDs when splitting VMAs",
     .first_release = {6, 2},
     .member = &KernelBehaviour::unshare_on_split,
     .needs = "",
     .switches = "an area of hugetlb pages that is split unshares the table at the split"},
    {.hash = "7e12beb8ca2a",
     .title = "migrate_pages: batch flushing TLB",
     .first_release = {6, 3},
     .member = &KernelBehaviour::batched_migration,
     .needs = "",
     .switches = "migration unmaps all its pages before one flush, as reclaim does"},
    {.hash = "e43c0a0c3c28",
     .title = "powerpc/64s/radix: combine final TLB flush and lazy tlb mm shootdown IPIs",
     .first_release = {6, 6},
     .member = &KernelBehaviour::ppc_lazy_shootdown,
     .needs = "",
     .switches = "the last flush of an mm also ends its lazy use (powerpc radix)"},
    {.hash = "6bbd42e2df8f",
     .title = "mmu_notifiers: call invalidate_range() when invalidating TLBs",
     .first_release = {6, 6},
     .member = &KernelBehaviour::notify_in_tlb_flush,
     .needs = "",
     .switches = "the arch TLB flush functions call the secondary-TLB notifier; core mm calls it "
                 "no longer"},
    {.hash = "1d65b771bc08",
     .title = "mm/khugepaged: retract_page_tables() without mmap or vma lock",
     .first_release = {6, 6},
     .member = &KernelBehaviour::retract_by_rcu,
     .needs = "",
     .switches = "the tables that khugepaged takes from a file's mappings are freed by RCU"},
    {.hash = "43b3dfdd0455",
     .title = "arm64: support batched/deferred tlb shootdown during page reclamation/migration",
     .first_release = {6, 6},
     .member = &KernelBehaviour::arm64_batched_unmap,
     .needs = "",
     .switches = "reclaim and migration defer the DSB of what they unmap (arm64)"},
    {.hash = "bf2d4334f72e",
     .title = "mm: add utility functions for ptdesc",
     .first_release = {6, 6},
     .member = &KernelBehaviour::ptdesc,
     .needs = "",
     .switches = "tables are page-table descriptors, allocated and freed by one pair of functions"},
    {.hash = "c5e9b2c2ae82",
     .title = "riscv: Improve tlb_flush()",
     .first_release = {6, 7},
     .member = &KernelBehaviour::riscv_range_flush,
     .needs = "",
     .switches = "a gather flushes its range instead of the whole mm (riscv)"},
    {.hash = "55d2a0bd5ead",
     .title = "mm: add statistics for PUD level pagetable",
     .first_release = {6, 7},
     .member = &KernelBehaviour::pud_table_dtor,
     .needs = "",
     .switches = "PUD tables have a constructor and a destructor, as the levels below"},
    {.hash = "10e4968cd511",
     .title = "iommu/arm-smmu-v3: Move CD table to arm_smmu_master",
     .first_release = {6, 7},
     .member = &KernelBehaviour::smmu_master_cd_table,
     .needs = "",
     .switches = "context descriptors belong to the device, not to the domain that it is in"},
    {.hash = "c910f2b65518",
     .title = "arm64/mm: Update range-based tlb invalidation routines for FEAT_LPA2",
     .first_release = {6, 8},
     .member = &KernelBehaviour::arm64_ttl_unknown,
     .needs = "",
     .switches = "an unknown level is TLBI_TTL_UNKNOWN, so that level 0 can be hinted (arm64)"},
    {.hash = "e2768b798a19",
     .title = "arm64/mm: Modify range-based tlbi to decrement scale",
     .first_release = {6, 8},
     .member = &KernelBehaviour::arm64_descending_scale,
     .needs = "",
     .switches = "a range is flushed from the largest scale down, a single page last (arm64)"},
    {.hash = "b41932f54458",
     .title = "iommu/arm-smmu-v3: disable stall for quiet_cd",
     .first_release = {6, 8},
     .member = &KernelBehaviour::smmu_quiet_no_stall,
     .needs = "",
     .switches = "what a device still accesses of a process that has gone aborts without an event"},
    {.hash = "69be3fb111e7",
     .title = "riscv: enable MMU_GATHER_RCU_TABLE_FREE for SMP && MMU",
     .first_release = {6, 9},
     .member = &KernelBehaviour::riscv_rcu_tables,
     .needs = "",
     .switches = "tables are freed after an RCU grace period (riscv)"},
    {.hash = "d7f861b9c43a",
     .title = "mm/mmu_gather: add __tlb_remove_folio_pages()",
     .first_release = {6, 9},
     .member = &KernelBehaviour::folio_entries,
     .needs = "",
     .switches =
         "a batch keeps room for a page and a number: it is full one slot earlier (areas here "
         "are unmapped page by page, so that no number is queued)"},
    {.hash = "e61abd449068",
     .title = "mm/mmu_gather: improve cond_resched() handling with large folios and expensive page "
              "freeing",
     .first_release = {6, 9},
     .member = &KernelBehaviour::expensive_free_by_pages,
     .needs = "",
     .switches = "with init_on_free the pages freed between two preemption points are counted, not "
                 "the slots"},
    {.hash = "d9d8dc2bd3fb",
     .title = "arm64/mm: dplit __flush_tlb_range() to elide trailing DSB",
     .first_release = {6, 9},
     .member = &KernelBehaviour::arm64_range_nosync,
     .needs = "",
     .switches = "the DSB of a range flush follows also where the whole mm was flushed (arm64)"},
    {.hash = "7da51af9125c",
     .title = "iommu/arm-smmu-v3: Make STE programming independent of the callers",
     .first_release = {6, 9},
     .member = &KernelBehaviour::smmu_write_entry,
     .needs = "10e4968cd511",
     .switches = "a stream table entry changes without being invalid where one qword differs"},
    {.hash = "ec9098d6bffe",
     .title = "iommu/arm-smmu-v3: Fix access for STE.SHCFG",
     .first_release = {6, 9},
     .member = &KernelBehaviour::smmu_type_overrides,
     .needs = "7da51af9125c",
     .switches = "STE.SHCFG is written where the SMMU has it (IDR1.ATTR_TYPES_OVR)"},
    {.hash = "4602e5757bcc",
     .title = "arm64/mm: wire up PTE_CONT for user mappings",
     .first_release = {6, 9},
     .member = &KernelBehaviour::arm64_contpte,
     .needs = "",
     .switches = "contiguous blocks of entries are upgraded, aged and unfolded together (arm64)"},
    {.hash = "73301e464a72",
     .title = "arm64: tlb: Allow range operation for MAX_TLBI_RANGE_PAGES",
     .first_release = {6, 10},
     .member = &KernelBehaviour::arm64_max_range_allowed,
     .needs = "",
     .switches = "a range of just MAX_TLBI_RANGE_PAGES is flushed as a range (arm64)"},
    {.hash = "78a5fbe8395b",
     .title = "iommu/arm-smmu-v3: Make CD programming use arm_smmu_write_entry()",
     .first_release = {6, 10},
     .member = &KernelBehaviour::smmu_write_cd_entry,
     .needs = "7da51af9125c",
     .switches = "a context descriptor changes as a stream table entry does"},
    {.hash = "d38c28dbefee",
     .title = "iommu/arm-smmu-v3: Put the SVA mmu notifier in the smmu_domain",
     .first_release = {6, 11},
     .member = &KernelBehaviour::smmu_sva_domains,
     .needs = "78a5fbe8395b",
     .switches =
         "a process shared with devices has an ASID of the SMMU's own (CD.ASET = 1) and one "
         "notifier an SMMU; with its series, the old domain stays until the new one is in place"},
    {.hash = "2f8d6178b4fe",
     .title = "iommu/arm-smmu-v3: Add feature detection for HTTU",
     .first_release = {6, 11},
     .member = &KernelBehaviour::smmu_httu,
     .needs = "",
     .switches = "hardware updates of access flag and dirty state are looked for (IDR0.HTTU)"},
    {.hash = "ce7cb08e22e0",
     .title = "iommu/arm-smmu-v3: Match Stall behaviour for S2",
     .first_release = {6, 12},
     .member = &KernelBehaviour::smmu_s2_stall,
     .needs = "7da51af9125c",
     .switches = "a device that may stall may stall in stage 2 (STE.S2S), and is answered"},
    {.hash = "081056dc00a2",
     .title = "mm/hugetlb: unshare page tables during VMA split, not before",
     .first_release = {6, 16},
     .member = &KernelBehaviour::unshare_in_split,
     .needs = "b30c14cd6102",
     .switches = "an area of hugetlb pages is split under the locks that keep others from sharing"},
    {.hash = "1013af4f585f",
     .title = "mm/hugetlb: fix huge_pmd_unshare() vs GUP-fast race",
     .first_release = {6, 16},
     .member = &KernelBehaviour::unshare_sync,
     .needs = "",
     .switches = "who unshares a table of hugetlb entries waits for walkers with interrupts off"},
    {.hash = "8ce720d5bd91",
     .title = "mm/hugetlb: fix excessive IPI broadcasts when unsharing PMD tables using mmu_gather",
     .first_release = {6, 19},
     .member = &KernelBehaviour::unshare_by_gather,
     .needs = "1013af4f585f",
     .switches = "a gather remembers unshared tables: one wait for all, by the last sharer"},
    {.hash = "c2ff4764e03e",
     .title = "arm64: tlb: Flush walk cache when unsharing PMD tables",
     .first_release = {7, 1},
     .member = &KernelBehaviour::arm64_unshare_walk_cache,
     .needs = "8ce720d5bd91",
     .switches = "a gather that has unshared a table flushes walk caches too (arm64)"},
}};

constexpr std::array<Release, 10> kReleases{
    {{5, 18}, {5, 19}, {6, 0}, {6, 1}, {6, 2}, {6, 3}, {6, 4}, {6, 5}, {6, 6}, {6, 7}}};

}  // namespace

std::span<const KernelChange> kernel_changes() { return kChanges; }
std::span<const Release> kernel_releases() { return kReleases; }

std::string to_string(const Release& release) {
  return "v" + std::to_string(release.major) + "." + std::to_string(release.minor);
}

std::optional<Release> parse_release(std::string_view text) {
  for (const Release& release : kReleases) {
    if (to_string(release) == text) return release;
  }
  return std::nullopt;
}

const KernelChange* find_change(std::string_view hash) {
  if (hash.size() < 7) return nullptr;
  for (const KernelChange& change : kChanges) {
    if (change.hash.starts_with(hash) || hash.starts_with(change.hash)) return &change;
  }
  return nullptr;
}

KernelBehaviour KernelVersion::behaviour() const {
  KernelBehaviour result;
  for (const KernelChange& change : kChanges) result.*change.member = base >= change.first_release;
  for (const KernelChange* change : revert) result.*change->member = false;
  for (const KernelChange* change : apply) result.*change->member = true;
  return result;
}

std::string KernelVersion::name() const {
  std::string result = to_string(base);
  const auto list = [&](const char* word, const std::vector<const KernelChange*>& changes) {
    for (const KernelChange* change : changes) {
      result += change == changes.front() ? word : ", ";
      result += change->hash;
    }
  };
  list(" without ", revert);
  list(" with ", apply);
  return result;
}

}  // namespace shootdown::sw
