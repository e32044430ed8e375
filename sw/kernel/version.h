// Kernel releases, and the changes between them that this stack can switch one by one.
#ifndef SHOOTDOWN_SW_KERNEL_VERSION_H
#define SHOOTDOWN_SW_KERNEL_VERSION_H

#include <compare>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace shootdown::sw {

struct Release {
  unsigned major{};
  unsigned minor{};
  auto operator<=>(const Release&) const = default;
};

/// What the changes switch. Each member is one change of kChanges; code reads it where the kernel's
/// text differs before and after.
struct KernelBehaviour {
  /// c9fe66560bf2: mprotect() flushes only entries whose change needs it (pte_needs_flush()).
  bool mprotect_needs_flush{};
  /// 1e9fdf21a433: what tlb_start_vma() and tlb_end_vma() do is told by two knobs, not by functions
  /// of each architecture. The flushes are the same.
  bool vma_hooks_by_knob{};
  /// 18ba064e42df: one implementation of both for all knobs.
  bool vma_hooks_single{};
  /// b67fbebd4cf9: tlb_end_vma() flushes a VM_PFNMAP or VM_MIXEDMAP area, whatever is merged.
  bool force_flush_pfnmap{};
  /// 7fb5e5083190: architectures without range flushes record an area's flags as all do.
  bool no_range_vma_flags{};
  /// 70cbc3cc78a9: GUP-fast looks again at the PMD after it has taken a page.
  bool gup_rechecks_pmd{};
  /// 2ba99c5e0881: khugepaged waits for lockless walkers before it frees a table.
  bool khugepaged_sync{};
  /// 7cc8f9c7146a: the pages of a batch carry flags in their low bits.
  bool encoded_pages{};
  /// 5df397dec7c4: the rmap of a dirty file page is removed after the flush.
  bool delay_rmap{};
  /// b30c14cd6102: an area of hugetlb pages that is split unshares the table at the split.
  bool unshare_on_split{};
  /// 7e12beb8ca2a: migration defers the flush of what it unmaps, as reclaim does.
  bool batched_migration{};
  /// 6bbd42e2df8f: the arch flush functions call the notifier, core mm no longer does.
  bool notify_in_tlb_flush{};

  /// 1d65b771bc08: khugepaged leaves the freeing of a file's tables to RCU, and takes no mmap_lock.
  bool retract_by_rcu{};
  /// 43b3dfdd0455: reclaim defers the flush of what it unmaps (arm64).
  bool arm64_batched_unmap{};
  /// bf2d4334f72e: tables are pages of a type of their own, allocated and freed by one pair.
  bool ptdesc{};

  // What concerns one architecture, or came after v6.7: then it is off unless applied.
  bool ppc_lazy_shootdown{};        ///< e43c0a0c3c28
  bool riscv_range_flush{};         ///< c5e9b2c2ae82
  bool pud_table_dtor{};            ///< 55d2a0bd5ead
  bool riscv_rcu_tables{};          ///< 69be3fb111e7
  bool arm64_ttl_unknown{};         ///< c910f2b65518
  bool arm64_contpte{};             ///< 4602e5757bcc
  bool arm64_descending_scale{};    ///< e2768b798a19
  bool arm64_range_nosync{};        ///< d9d8dc2bd3fb
  bool arm64_max_range_allowed{};   ///< 73301e464a72
  bool folio_entries{};             ///< d7f861b9c43a
  bool expensive_free_by_pages{};   ///< e61abd449068
  bool unshare_in_split{};          ///< 081056dc00a2
  bool unshare_sync{};              ///< 1013af4f585f
  bool unshare_by_gather{};         ///< 8ce720d5bd91
  bool arm64_unshare_walk_cache{};  ///< c2ff4764e03e

  // The SMMUv3 driver.
  bool smmu_master_cd_table{};  ///< 10e4968cd511
  bool smmu_write_entry{};      ///< 7da51af9125c
  bool smmu_write_cd_entry{};   ///< 78a5fbe8395b
  bool smmu_sva_domains{};      ///< d38c28dbefee
  bool smmu_quiet_no_stall{};   ///< b41932f54458
  bool smmu_type_overrides{};   ///< ec9098d6bffe
  bool smmu_httu{};             ///< 2f8d6178b4fe
  bool smmu_s2_stall{};         ///< ce7cb08e22e0
  bool operator==(const KernelBehaviour&) const = default;
};

struct KernelChange {
  std::string_view hash;  ///< twelve digits, as the kernel's log cites it
  std::string_view title;
  Release first_release;
  bool KernelBehaviour::*member;
  std::string_view needs;     ///< hash of a change without which it cannot be; empty: none
  std::string_view switches;  ///< what it changes here, one sentence
};

/// In the order of the kernel's history.
std::span<const KernelChange> kernel_changes();
/// v5.18 to v6.7, oldest first.
std::span<const Release> kernel_releases();

std::string to_string(const Release& release);
/// "v6.5"; nothing if it is not one of kernel_releases().
std::optional<Release> parse_release(std::string_view text);
/// By hash, at least seven digits of it.
const KernelChange* find_change(std::string_view hash);

/// A release with single changes taken out or put in.
struct KernelVersion {
  Release base{6, 5};
  std::vector<const KernelChange*> revert;
  std::vector<const KernelChange*> apply;

  KernelBehaviour behaviour() const;
  bool has(const KernelChange& change) const { return behaviour().*change.member; }
  std::string name() const;
};

}  // namespace shootdown::sw

#endif
