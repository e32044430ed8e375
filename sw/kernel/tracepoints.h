// Tracepoints of the software stack: plain values, named like the kernel's where one exists.
#ifndef SHOOTDOWN_SW_KERNEL_TRACEPOINTS_H
#define SHOOTDOWN_SW_KERNEL_TRACEPOINTS_H

#include <cstdint>
#include <string_view>

#include "hw/arch/payload_ref.h"
#include "hw/arch/smmuv3_commands.h"
#include "hw/arch/types.h"
#include "hw/arch/x86_64.h"

namespace shootdown::sw {

struct FunctionEnter {
  static constexpr std::string_view kName = "function_enter";
  const char* function{};  ///< static storage
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("function", std::string_view(function));
  }
};

struct FunctionExit {
  static constexpr std::string_view kName = "function_exit";
  const char* function{};
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("function", std::string_view(function));
  }
};

/// An address space exists. `asid` tags its translations on CPUs and, shared, in the SMMU.
struct MmCreated {
  static constexpr std::string_view kName = "mm_created";
  unsigned mm{};
  arch::Asid asid{};
  arch::PhysAddr pgd{};
  arch::TableFormat format{};  ///< of its table entries
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("mm", mm);
    v("asid", asid.value);
    v("pgd", pgd);
    v("format", std::string_view(format == arch::TableFormat::kX86_64 ? "x86_64" : "vmsa64"));
  }
};

/// A device uses the page tables of `mm` (shared virtual addressing).
struct SvaBound {
  static constexpr std::string_view kName = "sva_bound";
  unsigned mm{};
  arch::StreamId stream_id{};
  arch::SubstreamId substream_id{};
  arch::Asid asid{};
  bool atc{};        ///< the device has an ATC
  bool broadcast{};  ///< the SMMU follows the CPUs' broadcast TLBIs for this ASID
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("mm", mm);
    v("stream_id", stream_id.value);
    v("substream_id", substream_id.value);
    v("asid", asid.value);
    v("atc", atc);
    v("broadcast", broadcast);
  }
};

/// A table entry was stored. `level` 0 to 3; `va` is the first address the entry maps.
struct PteStore {
  static constexpr std::string_view kName = "pte_store";
  unsigned mm{};
  arch::VirtAddr va{};
  int level{};
  arch::PhysAddr entry{};
  std::uint64_t before{};
  std::uint64_t after{};
  bool protnone{};  ///< `after` is invalid to hardware, to software it maps its page (NUMA hint)
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("mm", mm);
    v("va", va);
    v("level", level);
    v("entry", entry);
    v("before", arch::PhysAddr{before});
    v("after", arch::PhysAddr{after});
  }
};

/// A flush function was entered: translations of [start, end) that earlier stores made stale have
/// to be gone from every TLB it is for when it returns. end = ~0: the whole mm.
struct FlushBegin {
  static constexpr std::string_view kName = "tlb_flush_begin";
  std::uint64_t flush{};  ///< number, unique in a run
  unsigned mm{};
  arch::VirtAddr start{};
  arch::VirtAddr end{};
  bool secondary{};  ///< devices too; else CPUs only
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("flush", flush);
    v("mm", mm);
    v("start", start);
    v("end", end);
    v("secondary", secondary);
  }
};

struct FlushEnd {
  static constexpr std::string_view kName = "tlb_flush_end";
  std::uint64_t flush{};
  bool done{true};  ///< false: the architecture found that it had nothing to do
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("flush", flush);
    v("done", done);
  }
};

/// The secondary-TLB callback of a notifier was called (arch_invalidate_secondary_tlbs from v6.6
/// on, invalidate_range before). end is exclusive; end = ~0: everything.
struct NotifierCalled {
  static constexpr std::string_view kName = "mmu_notifier_invalidate";
  unsigned mm{};
  arch::VirtAddr start{};
  arch::VirtAddr end{};
  const char* callback{};  ///< static storage
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("mm", mm);
    v("start", start);
    v("end", end);
    v("callback", std::string_view(callback));
  }
};

/// The driver made commands visible to the SMMU and, if it asked for a CMD_SYNC, saw it consumed.
struct CommandSubmitted {
  static constexpr std::string_view kName = "command_submitted";
  arch::smmuv3::Command command;
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("opcode", name_of(arch::smmuv3::opcode_of(command)));
    v("dw0", arch::PhysAddr{command.dw0});
    v("dw1", arch::PhysAddr{command.dw1});
  }
};

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
  arch::PhysAddr page{};
  unsigned order{};
  PageUse use{};
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("page", page);
    v("order", order);
    v("use", name_of(use));
  }
};

struct PageFreed {
  static constexpr std::string_view kName = "mm_page_free";
  arch::PhysAddr page{};
  unsigned order{};
  PageUse use{};
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("page", page);
    v("order", order);
    v("use", name_of(use));
  }
};

/// handle_mm_fault() returned. `address` is the faulting one.
struct FaultHandled {
  static constexpr std::string_view kName = "handle_mm_fault";
  unsigned mm{};
  arch::VirtAddr address{};
  bool write{};
  std::string_view how;  ///< which path resolved it; static storage
  bool failed{};
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("mm", mm);
    v("address", address);
    v("write", write);
    v("how", how);
    v("failed", failed);
  }
};

/// A system call that removes access returned to user space.
struct ProtectionRemoved {
  static constexpr std::string_view kName = "protection_removed";
  unsigned mm{};
  arch::VirtAddr start{};
  arch::VirtAddr end{};
  std::string_view operation;  ///< static storage
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("mm", mm);
    v("start", start);
    v("end", end);
    v("operation", operation);
  }
};

/// A CPU interrupts others to have `function` called there.
struct IpiSent {
  static constexpr std::string_view kName = "ipi_send_cpumask";
  std::uint64_t mask{};    ///< bit i: CPU i
  const char* function{};  ///< static storage
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("mask", arch::PhysAddr{mask});
    v("function", std::string_view(function));
  }
};

/// Software read a table entry without the lock that keeps the table: GUP-fast.
struct LocklessRead {
  static constexpr std::string_view kName = "lockless_read";
  unsigned mm{};
  arch::VirtAddr va{};
  int level{};
  arch::PhysAddr entry{};
  std::uint64_t value{};
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("mm", mm);
    v("va", va);
    v("level", level);
    v("entry", entry);
    v("value", arch::PhysAddr{value});
  }
};

/// A page of a file (or of swap) became dirty: its contents have to be written back.
struct FolioDirtied {
  static constexpr std::string_view kName = "folio_mark_dirty";
  arch::PhysAddr page{};
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("page", page);
  }
};

/// The dirty flag was taken and the contents as they are now go to storage.
struct FolioWritten {
  static constexpr std::string_view kName = "writeback_single_folio";
  arch::PhysAddr page{};
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("page", page);
  }
};

/// The contents of a page live on in another one, with all that is known of them.
struct FolioMoved {
  static constexpr std::string_view kName = "folio_moved";
  arch::PhysAddr from{};  ///< one base page
  arch::PhysAddr to{};
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("from", from);
    v("to", to);
  }
};

/// A page was taken out of a file of hugetlbfs; nobody wants the contents (hole punching).
struct FolioTruncated {
  static constexpr std::string_view kName = "hugetlb_delete_from_page_cache";
  arch::PhysAddr page{};
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("page", page);
  }
};

/// The contents so far need not be kept (MADV_FREE).
struct FolioGivenUp {
  static constexpr std::string_view kName = "folio_mark_lazyfree";
  arch::PhysAddr page{};
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("page", page);
  }
};

/// A page was dropped from the page cache, because storage is believed to have its contents.
struct FolioDiscarded {
  static constexpr std::string_view kName = "mm_filemap_delete_from_page_cache";
  arch::PhysAddr page{};
  unsigned order{};
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("page", page);
    v("order", order);
  }
};

/// The address space whose translations this CPU may use from now on; 0: none, until it is told
/// again (lazy TLB). Only where CPUs keep books on it.
struct MmActive {
  static constexpr std::string_view kName = "mm_active";
  unsigned mm{};
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("mm", mm);
  }
};

/// How many table entries the kernel believes to map a page, after a change.
struct MapcountChanged {
  static constexpr std::string_view kName = "page_ref_mapcount";
  arch::PhysAddr page{};
  int mapcount{};
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("page", page);
    v("mapcount", mapcount);
  }
};

/// A page became a table (constructed) or ceased to be one (its destructor ran).
struct TableAccounted {
  static constexpr std::string_view kName = "pagetable";
  unsigned mm{};
  arch::PhysAddr page{};
  int level{};
  bool constructed{};
  std::uint64_t tables{};  ///< NR_PAGETABLE, after
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("mm", mm);
    v("page", page);
    v("level", level);
    v("constructed", constructed);
    v("tables", tables);
  }
};

/// mm->tlb_flush_pending after a change: gathers and others that owe a flush.
struct FlushPending {
  static constexpr std::string_view kName = "tlb_flush_pending";
  unsigned mm{};
  int count{};
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("mm", mm);
    v("count", count);
  }
};

/// Something was freed as a page, and no struct page is there (bad_page() of the kernel).
struct BadPage {
  static constexpr std::string_view kName = "bad_page";
  std::uint64_t pointer{};
  std::string_view reason;  ///< static storage
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("pointer", arch::VirtAddr{pointer});
    v("reason", reason);
  }
};

/// No thread runs in the address space again, and no device walks its tables: exit_mmap() begins.
struct MmExiting {
  static constexpr std::string_view kName = "mm_exiting";
  unsigned mm{};
  template <class Visitor>
  void fields(Visitor&& v) const {
    v("mm", mm);
  }
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
