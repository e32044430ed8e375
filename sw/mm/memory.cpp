#include "sw/mm/memory.h"

#include "sw/mm/huge_memory.h"
#include "sw/mm/hugetlb.h"
#include "sw/mm/mmu_notifier.h"
#include "sw/mm/pgtable.h"
#include "sw/mm/rmap.h"
#include "sw/mm/writeback.h"

namespace shootdown::sw {

namespace {

/// struct vm_fault: what the functions below pass along.
struct FaultContext {
  Cpu& cpu;
  Mm& mm;
  Vma& vma;
  arch::VirtAddr address;  // start of the page
  FaultFlags flags;
  PteSlot slot;
  Pte orig_pte{};
  std::string_view how{};  // for the tracepoint
  bool page_locked{};      // file_page() found nothing because khugepaged is at work
  bool fallback{};         // VM_FAULT_FALLBACK: no huge page after all; to be served in parts

  unsigned page_shift() const { return level_shift(slot.level); }
  unsigned order() const { return page_shift() - arch::kPageShift; }
  /// Offset of `address` in the area's file or anon_vma.
  std::uint64_t offset() const { return vma.file_offset + (address.value - vma.start.value); }
  ArchMmu& arch() const { return mm.arch; }
  KernelState& kernel() const { return mm.kernel; }
};

Page* alloc_zeroed(Cpu& cpu, KernelState& kernel, unsigned order, PageUse use) {
  Page* page = kernel.pages.alloc_pages(cpu, order, use);
  if (page == nullptr) return nullptr;
  for (std::uint64_t i = 0; i < std::uint64_t{1} << order; ++i) {
    cpu.clear_page(page->address + i * arch::kPageSize);
  }
  return page;
}

Page* alloc_zeroed(FaultContext& vmf, PageUse use) {
  return alloc_zeroed(vmf.cpu, vmf.kernel(), vmf.order(), use);
}

/// From here on rmap walks find the page.
void make_anonymous(const FaultContext& vmf, Page& page) {
  page.mapping = vmf.vma.anon_vma;
  page.index = vmf.offset();
}

/// A page of the process's own, its contents still to come.
Page* alloc_anonymous(FaultContext& vmf) {
  Page* page = vmf.kernel().pages.alloc_pages(vmf.cpu, vmf.order(), PageUse::kAnonymous);
  if (page != nullptr) make_anonymous(vmf, *page);
  return page;
}

/// Whether khugepaged holds the lock of the file's page.
bool page_locked(const FaultContext& vmf) {
  const auto& locked = vmf.vma.file->locked;
  return locked && vmf.offset() >= *locked && vmf.offset() - *locked < kPmdSize;
}

/// filemap_fault(): the page cache's page, read in if needed, with a reference of its own. Null:
/// out of memory, or page_locked.
Page* file_page(FaultContext& vmf) {
  const std::uint64_t offset = vmf.offset();
  Page* cached = vmf.vma.file->find_page(offset);
  if (cached == nullptr) {
    // Read in: others may have done so while this one was at it.
    Page* page = alloc_zeroed(vmf, PageUse::kFile);
    if (page == nullptr) return nullptr;
    cached = vmf.vma.file->find_page(offset);
    if (cached == nullptr && page_locked(vmf)) {
      vmf.kernel().pages.put_page(vmf.cpu, *page);
      vmf.page_locked = true;
      return nullptr;
    }
    if (cached != nullptr) {
      vmf.kernel().pages.put_page(vmf.cpu, *page);
    } else if (vmf.vma.file->caches_any(offset, offset + arch::page_bytes(vmf.page_shift()))) {
      vmf.kernel().pages.put_page(vmf.cpu, *page);
      vmf.fallback = true;
      return nullptr;
    } else {
      page->mapping = vmf.vma.file;
      page->index = offset;
      vmf.vma.file->pages[offset] = cached = page;
    }
  }
  if (cached->order < vmf.order()) {  // a small page has come where the huge one was to stand
    vmf.fallback = true;
    return nullptr;
  }
  vmf.kernel().pages.get_page(*cached);
  return cached;
}

VmFault no_file_page(const FaultContext& vmf) {
  if (vmf.fallback) return VmFault::kHandled;
  return vmf.page_locked ? VmFault::kWaitMigration : VmFault::kOom;
}

Pte maybe_mkwrite(const FaultContext& vmf, Pte pte) {
  return vmf.vma.protection.write ? vmf.arch().pte_mkwrite(pte) : pte;
}

Pte mk_pte(const FaultContext& vmf, const Page& page) {
  // A huge page of the page cache can be mapped in parts.
  const std::uint64_t part =
      page.order > vmf.order() && page.use == PageUse::kFile ? vmf.offset() - page.index : 0;
  return vmf.arch().mk_pte(page.address + part, vmf.slot.level);
}

/// Maps `page`, whose reference the table takes over, if the entry is still empty. Returns whether
/// it did.
bool finish_fault(FaultContext& vmf, Page& page, Pte pte) {
  const SpinGuard ptl(pte_lockptr(vmf.mm, vmf.slot), vmf.cpu);
  if (ptep_get(vmf.cpu, vmf.slot) != Pte{}) return false;
  // The page may have been locked, or replaced in the cache, since it was looked up.
  if (page.use == PageUse::kFile && vmf.vma.file != nullptr &&
      (page_locked(vmf) || vmf.vma.file->find_page(vmf.offset()) != &page)) {
    return false;
  }
  page_add_rmap(vmf.cpu, page);
  set_pte_at(vmf.cpu, vmf.mm, vmf.slot, pte);
  return true;
}

VmFault finish_or_drop(FaultContext& vmf, Page& page, Pte pte) {
  if (!finish_fault(vmf, page, pte)) vmf.kernel().pages.put_page(vmf.cpu, page);
  return VmFault::kHandled;
}

VmFault do_anonymous_page(FaultContext& vmf) {
  const FunctionTrace trace(vmf.cpu, "do_anonymous_page");
  if (!vmf.flags.write) {
    vmf.how = "zero page";
    Page* zero = get_zero_page(vmf.cpu, vmf.kernel(), vmf.order());
    if (zero == nullptr) return VmFault::kOom;
    vmf.kernel().pages.get_page(*zero);
    return finish_or_drop(vmf, *zero, mk_pte(vmf, *zero));
  }
  vmf.how = "new anonymous page";
  Page* page = alloc_zeroed(vmf, PageUse::kAnonymous);
  if (page == nullptr) return VmFault::kOom;
  make_anonymous(vmf, *page);
  return finish_or_drop(vmf, *page, maybe_mkwrite(vmf, vmf.arch().pte_mkdirty(mk_pte(vmf, *page))));
}

VmFault do_read_fault(FaultContext& vmf) {
  const FunctionTrace trace(vmf.cpu, "do_read_fault");
  vmf.how = "page cache, read-only";
  Page* page = file_page(vmf);
  if (page == nullptr) return no_file_page(vmf);
  // A private mapping must copy first; a shared one wants to learn of the first write.
  return finish_or_drop(vmf, *page, mk_pte(vmf, *page));
}

VmFault do_shared_fault(FaultContext& vmf) {
  const FunctionTrace trace(vmf.cpu, "do_shared_fault");
  vmf.how = "page cache, writable";
  Page* page = file_page(vmf);
  if (page == nullptr) return no_file_page(vmf);
  folio_mark_dirty(vmf.cpu, *page);  // page_mkwrite() and fault_dirty_shared_page()
  return finish_or_drop(vmf, *page, maybe_mkwrite(vmf, vmf.arch().pte_mkdirty(mk_pte(vmf, *page))));
}

void copy_user_page(FaultContext& vmf, const Page& to, arch::PhysAddr from) {
  for (std::uint64_t offset = 0; offset < arch::page_bytes(vmf.page_shift());
       offset += arch::kPageSize) {
    vmf.cpu.copy_page(to.address + offset, from + offset);
  }
}

VmFault do_cow_fault(FaultContext& vmf) {
  const FunctionTrace trace(vmf.cpu, "do_cow_fault");
  vmf.how = "private copy of a file page";
  Page* source = file_page(vmf);
  if (source == nullptr) return no_file_page(vmf);
  Page* copy = alloc_anonymous(vmf);
  if (copy == nullptr) {
    vmf.kernel().pages.put_page(vmf.cpu, *source);
    return VmFault::kOom;
  }
  copy_user_page(vmf, *copy, vmf.arch().pte_address(mk_pte(vmf, *source)));
  vmf.kernel().pages.put_page(vmf.cpu, *source);
  return finish_or_drop(vmf, *copy, maybe_mkwrite(vmf, vmf.arch().pte_mkdirty(mk_pte(vmf, *copy))));
}

/// The page stays; its entry becomes writable and dirty. Page-table lock held.
void wp_page_reuse(FaultContext& vmf) {
  const FunctionTrace trace(vmf.cpu, "wp_page_reuse");
  Pte entry = vmf.arch().pte_mkyoung(vmf.orig_pte);
  entry = maybe_mkwrite(vmf, vmf.arch().pte_mkdirty(entry));
  vmf.arch().ptep_set_access_flags(vmf.cpu, vmf.mm, vmf.slot, entry, true);
}

/// `old_page` comes with a reference, which this drops.
VmFault wp_page_copy(FaultContext& vmf, Page& old_page) {
  const FunctionTrace trace(vmf.cpu, "wp_page_copy");
  vmf.how = "copy on write";
  Page* new_page = alloc_anonymous(vmf);
  if (new_page == nullptr) {
    vmf.kernel().pages.put_page(vmf.cpu, old_page);
    return VmFault::kOom;
  }
  copy_user_page(vmf, *new_page, vmf.arch().pte_address(vmf.orig_pte));
  const MmuNotifierRange range{
      .mm = vmf.mm, .start = vmf.slot.va, .end = vmf.slot.va + arch::page_bytes(vmf.page_shift())};
  mmu_notifier_invalidate_range_start(vmf.cpu, range);
  bool copied = false;
  {
    const SpinGuard ptl(pte_lockptr(vmf.mm, vmf.slot), vmf.cpu);
    if (ptep_get(vmf.cpu, vmf.slot) == vmf.orig_pte) {
      Pte entry = vmf.arch().pte_mkdirty(mk_pte(vmf, *new_page));
      entry = maybe_mkwrite(vmf, entry);
      // Clear and flush before the new entry: no two CPUs or devices may see different pages.
      const bool direct = vmf.kernel().inject.no_break_before_make;
      if (!direct) ptep_clear_flush_notify(vmf.cpu, vmf.mm, vmf.slot);
      page_add_rmap(vmf.cpu, *new_page);
      set_pte_at(vmf.cpu, vmf.mm, vmf.slot, entry);
      if (direct) vmf.arch().flush_tlb_page(vmf.cpu, vmf.mm, vmf.slot.va);
      // The map count goes last, so that nobody takes the old page for its own while stale
      // readers exist.
      page_remove_rmap(vmf.cpu, old_page);
      copied = true;
    }
  }
  mmu_notifier_invalidate_range_only_end(vmf.cpu, range);
  vmf.kernel().pages.put_page(vmf.cpu, copied ? old_page : *new_page);
  vmf.kernel().pages.put_page(vmf.cpu, old_page);
  return VmFault::kHandled;
}

/// The page is write-protected by userfaultfd: its monitor has to resolve that first. Nobody waits
/// for it on behalf of a device.
VmFault handle_userfault(FaultContext& vmf) {
  vmf.how = "waits for userfaultfd";
  return vmf.flags.remote ? VmFault::kSigsegv : VmFault::kWaitUserfault;
}

/// The page that the entry maps, with a reference; null if there is none. Lock held: the caller has
/// seen that the entry is still what it was.
Page* get_wp_page(FaultContext& vmf) {
  Page* page = vmf.kernel().pages.find(vmf.arch().pte_address(vmf.orig_pte));
  if (page != nullptr) vmf.kernel().pages.get_page(*page);
  return page;
}

/// do_huge_pmd_wp_page() where the page cannot be used on: the entry becomes small ones, of which
/// one is copied (since v5.8).
VmFault split_for_write(FaultContext& vmf) {
  vmf.how = "huge entry split";
  if (!split_huge_pmd(vmf.cpu, vmf.mm, vmf.vma, vmf.slot.va)) return VmFault::kOom;
  vmf.fallback = true;
  return VmFault::kHandled;
}

/// A write met a present entry without write permission.
VmFault do_wp_page(FaultContext& vmf) {
  const FunctionTrace trace(vmf.cpu, "do_wp_page");
  if (vmf.mm.uffd_protects(vmf.slot.va)) return handle_userfault(vmf);
  // Protected and resolved again, with the flush still owed: a CPU may write to the page meanwhile.
  if (vmf.mm.uffd_registered && vmf.mm.tlb_flush_pending > 0) {
    vmf.arch().flush_tlb_page(vmf.cpu, vmf.mm, vmf.slot.va);
  }
  Page* page = nullptr;
  {
    const SpinGuard ptl(pte_lockptr(vmf.mm, vmf.slot), vmf.cpu);
    if (ptep_get(vmf.cpu, vmf.slot) != vmf.orig_pte) return VmFault::kHandled;
    if (vmf.vma.pfnmap) {  // wp_pfn_shared(): no page to look at
      vmf.how = "frame of a driver made writable";
      wp_page_reuse(vmf);
      return VmFault::kHandled;
    }
    page = get_wp_page(vmf);
    if (page == nullptr) return VmFault::kSigsegv;
    const bool exclusive = page->use == PageUse::kAnonymous && page->refcount == 2;
    if (vmf.vma.shared || exclusive) {
      vmf.how = vmf.vma.shared ? "shared page made writable" : "own page made writable";
      if (vmf.vma.shared) folio_mark_dirty(vmf.cpu, *page);
      wp_page_reuse(vmf);
      vmf.kernel().pages.put_page(vmf.cpu, *page);
      return VmFault::kHandled;
    }
    if (vmf.slot.level == kPmdLevel) vmf.kernel().pages.put_page(vmf.cpu, *page);
  }
  if (vmf.slot.level == kPmdLevel) return split_for_write(vmf);
  return wp_page_copy(vmf, *page);
}

/// do_swap_page(): the page is in swap, or on its way to another frame.
VmFault do_swap_page(FaultContext& vmf) {
  const FunctionTrace trace(vmf.cpu, "do_swap_page");
  if (vmf.arch().pte_swap_type(vmf.orig_pte) != SwapType::kSwap) {
    vmf.how = "waits for a migration";
    return VmFault::kWaitMigration;
  }
  vmf.how = "read from swap";
  const std::uint64_t swap = vmf.arch().pte_swap_offset(vmf.orig_pte);
  Page* page = vmf.kernel().swap.cached(swap);
  if (page != nullptr) {
    vmf.kernel().pages.get_page(*page);  // not written out yet: the page itself
  } else {
    page = alloc_anonymous(vmf);
    if (page == nullptr) return VmFault::kOom;
    vmf.kernel().swap.read(vmf.cpu, swap, *page);
  }
  bool mapped = false;
  {
    const SpinGuard ptl(pte_lockptr(vmf.mm, vmf.slot), vmf.cpu);
    if (ptep_get(vmf.cpu, vmf.slot) == vmf.orig_pte) {
      // Read-only whatever the access: do_wp_page() finds out whether others share the page. The
      // slot goes with the entries that refer to it, so that the page is dirty from here on.
      page_add_rmap(vmf.cpu, *page);
      folio_mark_dirty(vmf.cpu, *page);
      set_pte_at(vmf.cpu, vmf.mm, vmf.slot, mk_pte(vmf, *page));
      mapped = true;
    }
  }
  if (mapped) {
    swap_free(vmf.cpu, vmf.kernel(), swap);
  } else {
    vmf.kernel().pages.put_page(vmf.cpu, *page);
  }
  return VmFault::kHandled;
}

/// do_numa_page(): the hint has served; the page stays where it is.
VmFault do_numa_page(FaultContext& vmf) {
  const FunctionTrace trace(vmf.cpu, "do_numa_page");
  vmf.how = "NUMA hint";
  const SpinGuard ptl(pte_lockptr(vmf.mm, vmf.slot), vmf.cpu);
  if (ptep_get(vmf.cpu, vmf.slot) != vmf.orig_pte) return VmFault::kHandled;
  // pte_modify() to the area's protection of now. No flush: hardware could not use the entry, and
  // cached none.
  Pte pte = vmf.arch().pte_mkyoung(vmf.arch().pte_clear_protnone(vmf.orig_pte));
  if (!vmf.vma.protection.write) pte = vmf.arch().pte_wrprotect(pte);
  set_pte_at(vmf.cpu, vmf.mm, vmf.slot, pte);
  return VmFault::kHandled;
}

VmFault do_fault(FaultContext& vmf) {
  if (vmf.vma.pfnmap) return VmFault::kSigsegv;  // the driver has taken the frame back
  if (vmf.vma.file == nullptr) return do_anonymous_page(vmf);
  if (page_locked(vmf)) {
    vmf.how = "waits for the page lock";
    return VmFault::kWaitMigration;
  }
  if (!vmf.flags.write) return do_read_fault(vmf);
  return vmf.vma.shared ? do_shared_fault(vmf) : do_cow_fault(vmf);
}

VmFault handle_pte_fault(FaultContext& vmf) {
  vmf.orig_pte = ptep_get(vmf.cpu, vmf.slot);
  if (vmf.orig_pte == Pte{}) return do_fault(vmf);
  if (vmf.arch().pte_table(vmf.orig_pte, vmf.slot.level)) {  // split since it was chosen
    vmf.fallback = true;
    return VmFault::kHandled;
  }
  if (vmf.arch().pte_protnone(vmf.orig_pte)) return do_numa_page(vmf);
  if (!vmf.arch().pte_present(vmf.orig_pte)) return do_swap_page(vmf);
  if (vmf.flags.write && !vmf.arch().pte_write(vmf.orig_pte)) return do_wp_page(vmf);
  const SpinGuard ptl(pte_lockptr(vmf.mm, vmf.slot), vmf.cpu);
  if (ptep_get(vmf.cpu, vmf.slot) != vmf.orig_pte) return VmFault::kHandled;
  Pte entry = vmf.orig_pte;
  if (vmf.flags.write) entry = vmf.arch().pte_mkdirty(entry);
  entry = vmf.arch().pte_mkyoung(entry);
  vmf.how = "access flag";
  if (!vmf.arch().ptep_set_access_flags(vmf.cpu, vmf.mm, vmf.slot, entry, vmf.flags.write)) {
    vmf.how = "spurious: the entry already permits it";
    if (vmf.flags.write) {
      vmf.arch().flush_tlb_fix_spurious_fault(vmf.cpu, vmf.mm, vmf.address);
    }
  }
  return VmFault::kHandled;
}

/// Whether an empty PMD is filled by a huge page: the area has room for it, and asks for one or
/// finds one in the cache (create_huge_pmd(), do_set_pmd()).
bool wants_huge_page(const Vma& vma, arch::VirtAddr address, bool write) {
  const arch::VirtAddr start = level_start(address, kPmdLevel);
  if (vma.pfnmap || start < vma.start || start + kPmdSize > vma.end) return false;
  if (vma.file == nullptr) return vma.leaf_level() == kPmdLevel;
  const std::uint64_t offset = vma.file_offset + (start.value - vma.start.value);
  if (offset % kPmdSize != 0) return false;
  // A private mapping copies what it writes, page by page.
  if (!vma.shared && (write || vma.leaf_level() != kPmdLevel)) return false;
  const Page* page = vma.file->find_page(offset);
  if (page != nullptr) return page->order + arch::kPageShift == kPmdShift;
  return vma.leaf_level() == kPmdLevel && !vma.file->caches_any(offset, offset + kPmdSize);
}

/// __handle_mm_fault(): what stands in the PMD says at which level the fault is served, whatever
/// the area asks for.
VmFault handle_page_fault(Cpu& cpu, Mm& mm, Vma& vma, arch::VirtAddr address, FaultFlags flags,
                          std::string_view& how) {
  bool fallback = false;
  for (;;) {
    const bool huge = !fallback && wants_huge_page(vma, address, flags.write);
    auto slot = pte_alloc(cpu, mm, address, huge ? kPmdLevel : kPteLevel);
    if (!slot) return VmFault::kOom;
    if (huge) {
      const Pte pmd = ptep_get(cpu, *slot);
      if (mm.arch.pte_table(pmd, kPmdLevel)) {
        slot = slot_in(mm.arch.pte_address(pmd), address, kPteLevel);
      }
    }
    FaultContext vmf{
        .cpu = cpu, .mm = mm, .vma = vma, .address = slot->va, .flags = flags, .slot = *slot};
    const VmFault result = handle_pte_fault(vmf);
    how = vmf.how;
    if (!vmf.fallback) return result;
    fallback = true;
  }
}

}  // namespace

Page* get_zero_page(Cpu& cpu, KernelState& kernel, unsigned order) {
  Page*& slot = order == 0 ? kernel.zero_page : kernel.huge_zero_page;
  if (slot != nullptr) return slot;
  Page* page = alloc_zeroed(cpu, kernel, order, PageUse::kFile);
  if (slot == nullptr) {
    slot = page;
  } else if (page != nullptr) {
    kernel.pages.put_page(cpu, *page);  // another CPU was first while this one cleared it
  }
  return slot;
}

VmFault handle_mm_fault(Cpu& cpu, Mm& mm, Vma& vma, arch::VirtAddr address, FaultFlags flags) {
  const FunctionTrace trace(cpu, "handle_mm_fault");
  std::string_view how = "out of memory";
  const VmFault result = vma.is_hugetlb() ? hugetlb_fault(cpu, mm, vma, address, flags.write, how)
                                          : handle_page_fault(cpu, mm, vma, address, flags, how);
  cpu.trace(FaultHandled{.mm = mm.id,
                         .address = address,
                         .write = flags.write,
                         .how = how,
                         .failed = result == VmFault::kSigsegv || result == VmFault::kOom});
  return result;
}

VmFault wait_for_fault(Cpu& cpu, Mm& mm, arch::VirtAddr address, VmFault result,
                       std::uint64_t migrations) {
  if (result == VmFault::kWaitUserfault) {
    while (mm.uffd_protects(address)) cpu.sleep_on(mm.uffd_waiters);
    return VmFault::kHandled;
  }
  if (result == VmFault::kWaitMigration) {
    while (mm.kernel.migrations == migrations) cpu.sleep_on(mm.kernel.migration_waiters);
    return VmFault::kHandled;
  }
  return result;
}

VmFault fault_in(Cpu& cpu, Mm& mm, arch::VirtAddr address, FaultFlags flags) {
  const FunctionTrace trace(cpu, flags.remote ? "iommu_sva_handle_mm" : "do_page_fault");
  const std::uint64_t migrations = mm.kernel.migrations;
  VmFault result{};
  {
    const ReadGuard lock(mm.mmap_lock, cpu);
    Vma* vma = mm.find_vma(address);
    if (vma == nullptr || !vma->protection.read || (flags.write && !vma->protection.write)) {
      cpu.trace(FaultHandled{.mm = mm.id,
                             .address = address,
                             .write = flags.write,
                             .how = "no area permits it",
                             .failed = true});
      return VmFault::kSigsegv;
    }
    result = handle_mm_fault(cpu, mm, *vma, address, flags);
  }
  return wait_for_fault(cpu, mm, address, result, migrations);
}

}  // namespace shootdown::sw
