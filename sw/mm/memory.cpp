#include "sw/mm/memory.h"

#include "sw/mm/mmu_notifier.h"
#include "sw/mm/pgtable.h"

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

  unsigned order() const { return vma.page_shift - arch::kPageShift; }
  ArchMmu& arch() const { return mm.arch; }
  KernelState& kernel() const { return mm.kernel; }
};

/// The page-table lock for a scope that may end early (pte_unmap_unlock()).
class PtlHold {
 public:
  PtlHold(FaultContext& vmf) : lock_(pte_lockptr(vmf.mm, vmf.slot)), cpu_(vmf.cpu) {
    lock_.lock(cpu_);
  }
  ~PtlHold() {
    if (held_) lock_.unlock(cpu_);
  }
  PtlHold(const PtlHold&) = delete;
  PtlHold& operator=(const PtlHold&) = delete;

 private:
  SpinLock& lock_;
  Cpu& cpu_;
  bool held_{true};
};

Page* alloc_zeroed(FaultContext& vmf, PageUse use) {
  Page* page = vmf.kernel().pages.alloc_pages(vmf.cpu, vmf.order(), use);
  if (page == nullptr) return nullptr;
  for (std::uint64_t offset = 0; offset < arch::page_bytes(vmf.vma.page_shift);
       offset += arch::kPageSize) {
    vmf.cpu.clear_page(page->address + offset);
  }
  return page;
}

/// Fills `slot` with a new page, unless another CPU does so while this one clears it.
Page* share_page(FaultContext& vmf, Page*& slot) {
  if (slot != nullptr) return slot;
  Page* page = alloc_zeroed(vmf, PageUse::kFile);
  if (slot == nullptr) {
    slot = page;
  } else if (page != nullptr) {
    vmf.kernel().pages.put_page(vmf.cpu, *page);
  }
  return slot;
}

/// The read-only page of zeroes behind untouched anonymous memory.
Page* zero_page(FaultContext& vmf) {
  Page*& slot = vmf.order() == 0 ? vmf.kernel().zero_page : vmf.kernel().huge_zero_page;
  return share_page(vmf, slot);
}

/// filemap_fault(): the page cache's page, read in if needed. Returns with a reference of its own.
Page* file_page(FaultContext& vmf) {
  const std::uint64_t offset = vmf.vma.file_offset + (vmf.address.value - vmf.vma.start.value);
  Page*& cached = vmf.vma.file->pages[offset];
  share_page(vmf, cached);
  if (cached != nullptr) vmf.kernel().pages.get_page(*cached);
  return cached;
}

Pte maybe_mkwrite(const FaultContext& vmf, Pte pte) {
  return vmf.vma.protection.write ? vmf.arch().pte_mkwrite(pte) : pte;
}

Pte mk_pte(const FaultContext& vmf, const Page& page) {
  return vmf.arch().mk_pte(page.address, vmf.slot.level);
}

/// Maps `page`, whose reference the table takes over, if the entry is still empty. Returns whether
/// it did.
bool finish_fault(FaultContext& vmf, Page& page, Pte pte) {
  const PtlHold ptl(vmf);
  if (ptep_get(vmf.cpu, vmf.slot) != Pte{}) return false;
  ++page.mapcount;
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
    Page* zero = zero_page(vmf);
    if (zero == nullptr) return VmFault::kOom;
    vmf.kernel().pages.get_page(*zero);
    return finish_or_drop(vmf, *zero, mk_pte(vmf, *zero));
  }
  vmf.how = "new anonymous page";
  Page* page = alloc_zeroed(vmf, PageUse::kAnonymous);
  if (page == nullptr) return VmFault::kOom;
  return finish_or_drop(vmf, *page, maybe_mkwrite(vmf, vmf.arch().pte_mkdirty(mk_pte(vmf, *page))));
}

VmFault do_read_fault(FaultContext& vmf) {
  const FunctionTrace trace(vmf.cpu, "do_read_fault");
  vmf.how = "page cache, read-only";
  Page* page = file_page(vmf);
  if (page == nullptr) return VmFault::kOom;
  // A private mapping must copy first; a shared one wants to learn of the first write.
  return finish_or_drop(vmf, *page, mk_pte(vmf, *page));
}

VmFault do_shared_fault(FaultContext& vmf) {
  const FunctionTrace trace(vmf.cpu, "do_shared_fault");
  vmf.how = "page cache, writable";
  Page* page = file_page(vmf);
  if (page == nullptr) return VmFault::kOom;
  page->dirty = true;  // page_mkwrite() and fault_dirty_shared_page()
  return finish_or_drop(vmf, *page, maybe_mkwrite(vmf, vmf.arch().pte_mkdirty(mk_pte(vmf, *page))));
}

void copy_user_page(FaultContext& vmf, const Page& to, const Page& from) {
  for (std::uint64_t offset = 0; offset < arch::page_bytes(vmf.vma.page_shift);
       offset += arch::kPageSize) {
    vmf.cpu.copy_page(to.address + offset, from.address + offset);
  }
}

VmFault do_cow_fault(FaultContext& vmf) {
  const FunctionTrace trace(vmf.cpu, "do_cow_fault");
  vmf.how = "private copy of a file page";
  Page* source = file_page(vmf);
  if (source == nullptr) return VmFault::kOom;
  Page* copy = vmf.kernel().pages.alloc_pages(vmf.cpu, vmf.order(), PageUse::kAnonymous);
  if (copy == nullptr) {
    vmf.kernel().pages.put_page(vmf.cpu, *source);
    return VmFault::kOom;
  }
  copy_user_page(vmf, *copy, *source);
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

VmFault wp_page_copy(FaultContext& vmf, Page& old_page) {
  const FunctionTrace trace(vmf.cpu, "wp_page_copy");
  vmf.how = "copy on write";
  Page* new_page = vmf.kernel().pages.alloc_pages(vmf.cpu, vmf.order(), PageUse::kAnonymous);
  if (new_page == nullptr) return VmFault::kOom;
  copy_user_page(vmf, *new_page, old_page);
  const MmuNotifierRange range{.mm = vmf.mm,
                               .start = vmf.slot.va,
                               .end = vmf.slot.va + arch::page_bytes(vmf.vma.page_shift)};
  mmu_notifier_invalidate_range_start(vmf.cpu, range);
  bool copied = false;
  {
    const PtlHold ptl(vmf);
    if (ptep_get(vmf.cpu, vmf.slot) == vmf.orig_pte) {
      Pte entry = vmf.arch().pte_mkdirty(mk_pte(vmf, *new_page));
      entry = maybe_mkwrite(vmf, entry);
      // Clear and flush before the new entry: no two CPUs or devices may see different pages.
      ptep_clear_flush_notify(vmf.cpu, vmf.mm, vmf.slot);
      ++new_page->mapcount;
      set_pte_at(vmf.cpu, vmf.mm, vmf.slot, entry);
      // The map count goes last, so that nobody takes the old page for its own while stale
      // readers exist.
      --old_page.mapcount;
      copied = true;
    }
  }
  mmu_notifier_invalidate_range_only_end(vmf.cpu, range);
  vmf.kernel().pages.put_page(vmf.cpu, copied ? old_page : *new_page);
  return VmFault::kHandled;
}

/// A write met a present entry without write permission.
VmFault do_wp_page(FaultContext& vmf) {
  const FunctionTrace trace(vmf.cpu, "do_wp_page");
  Page* page = vmf.kernel().pages.find(vmf.arch().pte_address(vmf.orig_pte));
  if (page == nullptr) return VmFault::kSigsegv;
  const bool exclusive = page->use == PageUse::kAnonymous && page->refcount == 1;
  if (vmf.vma.shared || exclusive) {
    const PtlHold ptl(vmf);
    if (ptep_get(vmf.cpu, vmf.slot) != vmf.orig_pte) return VmFault::kHandled;
    vmf.how = vmf.vma.shared ? "shared page made writable" : "own page made writable";
    if (vmf.vma.shared) page->dirty = true;
    wp_page_reuse(vmf);
    return VmFault::kHandled;
  }
  return wp_page_copy(vmf, *page);
}

VmFault do_fault(FaultContext& vmf) {
  if (vmf.vma.file == nullptr) return do_anonymous_page(vmf);
  if (!vmf.flags.write) return do_read_fault(vmf);
  return vmf.vma.shared ? do_shared_fault(vmf) : do_cow_fault(vmf);
}

VmFault handle_pte_fault(FaultContext& vmf) {
  vmf.orig_pte = ptep_get(vmf.cpu, vmf.slot);
  if (vmf.orig_pte == Pte{}) return do_fault(vmf);
  if (vmf.flags.write && !vmf.arch().pte_write(vmf.orig_pte)) return do_wp_page(vmf);
  const PtlHold ptl(vmf);
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

}  // namespace

VmFault handle_mm_fault(Cpu& cpu, Mm& mm, Vma& vma, arch::VirtAddr address, FaultFlags flags) {
  const FunctionTrace trace(cpu, "handle_mm_fault");
  const arch::VirtAddr page = arch::page_of(address, vma.page_shift);
  const auto slot = pte_alloc(cpu, mm, page, vma.leaf_level());
  VmFault result = VmFault::kOom;
  std::string_view how = "out of memory";
  if (slot) {
    FaultContext vmf{
        .cpu = cpu, .mm = mm, .vma = vma, .address = page, .flags = flags, .slot = *slot};
    result = handle_pte_fault(vmf);
    how = vmf.how;
  }
  cpu.trace(FaultHandled{.mm = mm.id,
                         .address = address,
                         .write = flags.write,
                         .how = how,
                         .failed = result != VmFault::kHandled});
  return result;
}

VmFault fault_in(Cpu& cpu, Mm& mm, arch::VirtAddr address, FaultFlags flags) {
  const FunctionTrace trace(cpu, flags.remote ? "iommu_sva_handle_mm" : "do_page_fault");
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
  return handle_mm_fault(cpu, mm, *vma, address, flags);
}

}  // namespace shootdown::sw
