#include "cosim/config/injections.h"

#include <array>

namespace shootdown::cosim {

namespace {

template <bool sw::SoftwareInjections::*Member>
void software(Config& config) {
  config.software_injections.*Member = true;
}

using sw::SoftwareInjections;

const char* needs_broadcast(const Config& config) {
  return config.architecture.broadcast ? nullptr : "CPUs are told by IPIs here";
}
const char* needs_ipis(const Config& config) {
  return config.architecture.broadcast ? "CPUs are told by broadcast TLBI here" : nullptr;
}
const char* needs_generations(const Config& config) {
  return config.architecture.kind == ArchitectureConfig::Kind::kX86 ? nullptr
                                                                    : "only x86 has generations";
}

constexpr std::array kInjections{
    Injection{"skip_cpu_tlbi", "the kernel's flush functions issue no TLBI",
              software<&SoftwareInjections::skip_cpu_tlbi>},
    Injection{"skip_dsb", "the kernel's flush functions do not wait for their TLBIs",
              software<&SoftwareInjections::skip_dsb>, needs_broadcast},
    Injection{"wrong_asid_cpu_tlbi", "the kernel's TLBIs name another ASID",
              software<&SoftwareInjections::wrong_asid_cpu_tlbi>},
    Injection{"skip_notifier", "the secondary-TLB callback is never called",
              software<&SoftwareInjections::skip_notifier>},
    Injection{"notifier_wrong_range", "the callback is given the range after the flushed one",
              software<&SoftwareInjections::notifier_wrong_range>},
    Injection{"skip_smmu_tlbi", "the SMMU driver sends no CMD_TLBI_*",
              software<&SoftwareInjections::skip_smmu_tlbi>},
    Injection{"wrong_asid_smmu_tlbi", "the SMMU driver's CMD_TLBI_NH_* names another ASID",
              software<&SoftwareInjections::wrong_asid_smmu_tlbi>},
    Injection{"short_smmu_tlbi", "the SMMU driver's CMD_TLBI_NH_VA covers another page",
              software<&SoftwareInjections::short_smmu_tlbi>},
    Injection{"skip_cmd_sync", "the SMMU driver sends no CMD_SYNC after its invalidations",
              software<&SoftwareInjections::skip_cmd_sync>},
    Injection{"skip_atc_inv", "the SMMU driver sends no CMD_ATC_INV",
              software<&SoftwareInjections::skip_atc_inv>},
    Injection{"atc_inv_before_tlbi", "the SMMU driver sends CMD_ATC_INV before CMD_TLBI_*",
              software<&SoftwareInjections::atc_inv_before_tlbi>},
    Injection{"reserved_range_command",
              "the SMMU driver encodes a range as TG with NUM = SCALE = TTL = 0",
              software<&SoftwareInjections::reserved_range_command>},
    Injection{"skip_mprotect_flush", "mprotect() does not flush the entries it made read-only",
              software<&SoftwareInjections::skip_mprotect_flush>},
    Injection{"free_before_flush", "munmap() frees its pages before it flushes",
              software<&SoftwareInjections::free_before_flush>},
    Injection{"lax_pte_needs_flush", "pte_needs_flush() says no to lost permissions",
              software<&SoftwareInjections::lax_pte_needs_flush>},
    Injection{"unmasked_page_flag", "the flags of an encoded page are taken for address bits",
              software<&SoftwareInjections::unmasked_page_flag>},
    Injection{"table_freed_as_page", "tables are freed without their destructor",
              software<&SoftwareInjections::table_freed_as_page>},
    Injection{"mremap_late_flush", "mremap() flushes after its page-table locks are dropped",
              software<&SoftwareInjections::mremap_late_flush>},
    Injection{"skip_unshare_flush", "unsharing a table of hugetlb entries is not flushed",
              software<&SoftwareInjections::skip_unshare_flush>},
    Injection{"skip_fork_flush", "fork() does not flush what it write-protected",
              software<&SoftwareInjections::skip_fork_flush>},
    Injection{"skip_madvise_free_flush", "MADV_FREE does not flush what it made clean",
              software<&SoftwareInjections::skip_madvise_free_flush>},
    Injection{"no_break_before_make", "copy-on-write replaces a live entry directly",
              software<&SoftwareInjections::no_break_before_make>},
    Injection{"skip_ipi", "flush functions invalidate on their own CPU only",
              software<&SoftwareInjections::skip_ipi>, needs_ipis},
    Injection{"skip_generation_check", "a switch to an mm does not look for missed flushes (x86)",
              software<&SoftwareInjections::skip_generation_check>, needs_generations},
    Injection{"double_rmap_removal", "zap removes the rmap of a delayed page at once, too",
              software<&SoftwareInjections::double_rmap_removal>},
    Injection{"cpu_tlb_ignores_tlbi", "the CPU TLBs acknowledge a TLBI and keep the entries",
              [](Config& c) { c.hardware.cpu.ignore_invalidations = true; }},
    Injection{"cpu_dsb_completes_early", "DSB does not wait for walks and accesses in flight",
              [](Config& c) { c.hardware.cpu.complete_without_drain = true; }, needs_broadcast},
    Injection{"cpu_overtaken_fill", "a CPU walk that a TLBI has overtaken is installed",
              [](Config& c) { c.hardware.cpu.install_overtaken_fills = true; }},
    Injection{"smmu_tlb_ignores_tlbi", "the SMMU executes CMD_TLBI_* and keeps the entries",
              [](Config& c) { c.hardware.smmu.mmu.ignore_invalidations = true; }},
    Injection{"smmu_sync_completes_early", "CMD_SYNC does not wait for the invalidations before it",
              [](Config& c) { c.hardware.smmu.commands.sync_ignores_invalidations = true; }},
    Injection{"smmu_sync_skips_drain", "CMD_SYNC does not wait for walks and accesses in flight",
              [](Config& c) { c.hardware.smmu.mmu.complete_without_drain = true; }},
    Injection{"smmu_overtaken_fill", "an SMMU walk that an invalidation has overtaken is installed",
              [](Config& c) { c.hardware.smmu.mmu.install_overtaken_fills = true; }},
};

}  // namespace

std::span<const Injection> injections() { return kInjections; }

const Injection* find_injection(std::string_view name) {
  for (const Injection& injection : kInjections) {
    if (injection.name == name) return &injection;
  }
  return nullptr;
}

}  // namespace shootdown::cosim
