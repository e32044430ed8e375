// Tracepoints of the software stack: plain values, named like the kernel's where one exists.
// Telling of something takes no time. Members are declared once, by SHOOTDOWN_FIELDS, and so reach
// every printer.
#ifndef SHOOTDOWN_SW_KERNEL_TRACEPOINTS_H
#define SHOOTDOWN_SW_KERNEL_TRACEPOINTS_H

#include <cstdint>
#include <string_view>

#include "hw/arch/fields.h"
#include "hw/arch/maintenance.h"
#include "hw/arch/payload_ref.h"
#include "hw/arch/types.h"
#include "hw/arch/x86_64.h"

namespace shootdown::sw {

struct FunctionEnter {
  static constexpr std::string_view kName = "function_enter";
  SHOOTDOWN_FIELDS(
      // Static storage.
      (const char*, function));
};

struct FunctionExit {
  static constexpr std::string_view kName = "function_exit";
  SHOOTDOWN_FIELDS((const char*, function));
};

/// An address space exists. `asid` tags its translations on CPUs and, shared, in the SMMU.
struct MmCreated {
  static constexpr std::string_view kName = "mm_created";
  SHOOTDOWN_FIELDS((arch::MmId, mm), (arch::Asid, asid), (arch::PhysAddr, pgd),
                   // Of its table entries.
                   (arch::TableFormat, format));
};

/// A device uses the page tables of `mm` (shared virtual addressing). `unit`: the secondary MMU.
struct SvaBound {
  static constexpr std::string_view kName = "sva_bound";
  SHOOTDOWN_FIELDS((arch::MmId, mm), (unsigned, unit), (arch::StreamId, stream_id),
                   (arch::SubstreamId, substream_id), (arch::Asid, asid),
                   // The device has an ATC.
                   (bool, atc),
                   // The SMMU follows the CPUs' broadcast TLBIs for this ASID.
                   (bool, broadcast));
};

/// A table entry was stored. `level` 0 to 3; `va` is the first address the entry maps.
struct PteStore {
  static constexpr std::string_view kName = "pte_store";
  SHOOTDOWN_FIELDS((arch::MmId, mm), (arch::VirtAddr, va), (int, level), (arch::PhysAddr, entry),
                   (arch::RawWord, before), (arch::RawWord, after),
                   // `after` is invalid to hardware, to software it maps its page (NUMA hint).
                   (bool, protnone));
};

/// A flush function was entered: translations of [start, end) that earlier stores made stale have
/// to be gone from every TLB it is for when it returns. end = ~0: the whole mm.
struct FlushBegin {
  static constexpr std::string_view kName = "tlb_flush_begin";
  SHOOTDOWN_FIELDS(
      // Number, unique in a run.
      (std::uint64_t, flush), (arch::MmId, mm), (arch::VirtAddr, start), (arch::VirtAddr, end),
      // Devices too; else CPUs only.
      (bool, secondary));
};

struct FlushEnd {
  static constexpr std::string_view kName = "tlb_flush_end";
  SHOOTDOWN_FIELDS((std::uint64_t, flush),
                   // False: the architecture found that it had nothing to do.
                   (bool, done));
};

/// The secondary-TLB callback of a notifier was called (arch_invalidate_secondary_tlbs from v6.6
/// on, invalidate_range before). end is exclusive; end = ~0: everything.
struct NotifierCalled {
  static constexpr std::string_view kName = "mmu_notifier_invalidate";
  SHOOTDOWN_FIELDS((arch::MmId, mm), (arch::VirtAddr, start), (arch::VirtAddr, end),
                   // Static storage.
                   (const char*, callback),
                   // mmu_notifier_release(): no device walks these tables again.
                   (bool, release));
};

/// A driver wrote a command for a secondary MMU.
struct CommandSubmitted {
  static constexpr std::string_view kName = "command_submitted";
  SHOOTDOWN_FIELDS(
      // Which secondary MMU.
      (unsigned, unit), (arch::Maintenance, command));
};

/// The driver saw the barrier that it waits for consumed.
struct SyncObserved {
  static constexpr std::string_view kName = "sync_observed";
  template <class Visitor>
  void fields(Visitor&&) const {}
};

enum class PageUse : std::uint8_t { kAnonymous, kFile, kTable, kDriver, kKernel };
constexpr std::string_view name_of(PageUse use) {
  switch (use) {
    case PageUse::kAnonymous:
      return "anonymous";
    case PageUse::kFile:
      return "file";
    case PageUse::kTable:
      return "table";
    case PageUse::kDriver:
      return "driver";
    case PageUse::kKernel:
      return "kernel";
  }
  return "?";
}

struct PageAllocated {
  static constexpr std::string_view kName = "mm_page_alloc";
  SHOOTDOWN_FIELDS((arch::PhysAddr, page), (unsigned, order), (PageUse, use));
};

struct PageFreed {
  static constexpr std::string_view kName = "mm_page_free";
  SHOOTDOWN_FIELDS((arch::PhysAddr, page), (unsigned, order), (PageUse, use));
};

/// handle_mm_fault() returned. `address` is the faulting one.
struct FaultHandled {
  static constexpr std::string_view kName = "handle_mm_fault";
  SHOOTDOWN_FIELDS((arch::MmId, mm), (arch::VirtAddr, address), (bool, write),
                   // Which path resolved it; static storage.
                   (std::string_view, how), (bool, failed));
};

/// A system call that removes access returned to user space.
struct ProtectionRemoved {
  static constexpr std::string_view kName = "protection_removed";
  SHOOTDOWN_FIELDS((arch::MmId, mm), (arch::VirtAddr, start), (arch::VirtAddr, end),
                   // Static storage.
                   (std::string_view, operation));
};

/// A CPU interrupts others to have `function` called there.
struct IpiSent {
  static constexpr std::string_view kName = "ipi_send_cpumask";
  SHOOTDOWN_FIELDS(
      // Bit i: CPU i.
      (arch::RawWord, mask),
      // Static storage.
      (const char*, function));
};

/// Software read a table entry without the lock that keeps the table: GUP-fast.
struct LocklessRead {
  static constexpr std::string_view kName = "lockless_read";
  SHOOTDOWN_FIELDS((arch::MmId, mm), (arch::VirtAddr, va), (int, level), (arch::PhysAddr, entry),
                   (arch::RawWord, value));
};

/// A page of a file (or of swap) became dirty: its contents have to be written back.
struct FolioDirtied {
  static constexpr std::string_view kName = "folio_mark_dirty";
  SHOOTDOWN_FIELDS((arch::PhysAddr, page));
};

/// The dirty flag was taken and the contents as they are now go to storage.
struct FolioWritten {
  static constexpr std::string_view kName = "writeback_single_folio";
  SHOOTDOWN_FIELDS((arch::PhysAddr, page));
};

/// The contents of a page live on in another one, with all that is known of them.
struct FolioMoved {
  static constexpr std::string_view kName = "folio_moved";
  SHOOTDOWN_FIELDS(
      // One base page.
      (arch::PhysAddr, from), (arch::PhysAddr, to));
};

/// A page was taken out of a file of hugetlbfs; nobody wants the contents (hole punching).
struct FolioTruncated {
  static constexpr std::string_view kName = "hugetlb_delete_from_page_cache";
  SHOOTDOWN_FIELDS((arch::PhysAddr, page));
};

/// The contents so far need not be kept (MADV_FREE).
struct FolioGivenUp {
  static constexpr std::string_view kName = "folio_mark_lazyfree";
  SHOOTDOWN_FIELDS((arch::PhysAddr, page));
};

/// A page was dropped from the page cache, because storage is believed to have its contents.
struct FolioDiscarded {
  static constexpr std::string_view kName = "mm_filemap_delete_from_page_cache";
  SHOOTDOWN_FIELDS((arch::PhysAddr, page), (unsigned, order));
};

/// The address space whose translations this CPU may use from now on; 0: none, until it is told
/// again (lazy TLB). Only where CPUs keep books on it.
struct MmActive {
  static constexpr std::string_view kName = "mm_active";
  SHOOTDOWN_FIELDS((arch::MmId, mm));
};

/// How many table entries the kernel believes to map a page, after a change.
struct MapcountChanged {
  static constexpr std::string_view kName = "page_ref_mapcount";
  SHOOTDOWN_FIELDS((arch::PhysAddr, page), (int, mapcount));
};

/// A page became a table (constructed) or ceased to be one (its destructor ran).
struct TableAccounted {
  static constexpr std::string_view kName = "pagetable";
  SHOOTDOWN_FIELDS((arch::MmId, mm), (arch::PhysAddr, page), (int, level), (bool, constructed),
                   // NR_PAGETABLE, after.
                   (std::uint64_t, tables));
};

/// mm->tlb_flush_pending after a change: gathers and others that owe a flush.
struct FlushPending {
  static constexpr std::string_view kName = "tlb_flush_pending";
  SHOOTDOWN_FIELDS((arch::MmId, mm), (int, count));
};

/// Something was freed as a page, and no struct page is there (bad_page() of the kernel).
struct BadPage {
  static constexpr std::string_view kName = "bad_page";
  SHOOTDOWN_FIELDS((arch::RawWord, pointer),
                   // Static storage.
                   (std::string_view, reason));
};

/// No thread runs in the address space again, and no device walks its tables: exit_mmap() begins.
struct MmExiting {
  static constexpr std::string_view kName = "mm_exiting";
  SHOOTDOWN_FIELDS((arch::MmId, mm));
};

/// One of them, by reference.
using TraceEvent =
    arch::PayloadRef<FunctionEnter, FunctionExit, MmCreated, SvaBound, PteStore, FlushBegin,
                     FlushEnd, NotifierCalled, CommandSubmitted, SyncObserved, PageAllocated,
                     PageFreed, FaultHandled, ProtectionRemoved, IpiSent, LocklessRead,
                     FolioDirtied, FolioWritten, FolioMoved, FolioGivenUp, FolioTruncated,
                     FolioDiscarded, MapcountChanged, TableAccounted, FlushPending, BadPage,
                     MmExiting, MmActive>;

}  // namespace shootdown::sw

#endif
