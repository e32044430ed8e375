// Defects that can be planted in the software stack, one hop of the chain each.
#ifndef SHOOTDOWN_SW_KERNEL_INJECTIONS_H
#define SHOOTDOWN_SW_KERNEL_INJECTIONS_H

namespace shootdown::sw {

struct SoftwareInjections {
  bool skip_cpu_tlbi{};            ///< flush functions issue no TLBI
  bool skip_dsb{};                 ///< flush functions do not wait for their TLBIs
  bool wrong_asid_cpu_tlbi{};      ///< TLBIs name another ASID
  bool skip_notifier{};            ///< the secondary-TLB callback is not called
  bool notifier_wrong_range{};     ///< the callback is given a range past the flushed one
  bool skip_smmu_tlbi{};           ///< the callback sends no CMD_TLBI_*
  bool wrong_asid_smmu_tlbi{};     ///< CMD_TLBI_NH_* names another ASID
  bool short_smmu_tlbi{};          ///< CMD_TLBI_NH_* covers a page other than the one flushed
  bool skip_cmd_sync{};            ///< the callback does not send CMD_SYNC
  bool skip_atc_inv{};             ///< the callback sends no CMD_ATC_INV
  bool atc_inv_before_tlbi{};      ///< CMD_ATC_INV goes out before CMD_TLBI_*
  bool reserved_range_command{};   ///< range TLBIs use TG with NUM = SCALE = TTL = 0
  bool skip_mprotect_flush{};      ///< mprotect() does not flush what it made read-only
  bool free_before_flush{};        ///< munmap() frees its pages before the flush
  bool lax_pte_needs_flush{};      ///< pte_needs_flush() says no to lost permissions
  bool unmasked_page_flag{};       ///< the flags of an encoded page are taken for address bits
  bool double_rmap_removal{};      ///< zap removes the rmap of a delayed page at once, too
  bool table_freed_as_page{};      ///< a table is freed without its destructor
  bool mremap_late_flush{};        ///< mremap() flushes after its page-table locks are dropped
  bool skip_unshare_flush{};       ///< unsharing a hugetlb table is not flushed (CVE-2021-4002)
  bool skip_fork_flush{};          ///< fork() does not flush what it write-protected
  bool skip_generation_check{};    ///< a switch to an mm does not look for missed flushes (x86)
  bool skip_ipi{};                 ///< flush functions flush this CPU only
  bool no_break_before_make{};     ///< copy-on-write replaces a live entry directly
  bool skip_madvise_free_flush{};  ///< MADV_FREE does not flush the entries it made clean
};

}  // namespace shootdown::sw

#endif
