#include "sw/mm/hugetlb.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "hw/arch/check.h"
#include "sw/mm/kernel_gather.h"
#include "sw/mm/pgtable.h"
#include "sw/mm/rmap.h"
#include "sw/mm/tlb_sync.h"
#include "sw/mm/writeback.h"

namespace shootdown::sw {

namespace {

arch::VirtAddr pud_of(arch::VirtAddr va) { return level_start(va, kPudLevel); }

/// vma_shareable()
bool vma_shareable(const Vma& vma, arch::VirtAddr address) {
  const arch::VirtAddr base = pud_of(address);
  return vma.shared && base >= vma.start && base + kPudSize <= vma.end;
}

/// page_table_shareable(): where `svma` maps the byte of the file at `offset`, if through a table
/// that can stand for the one of `address` in `vma`.
std::optional<arch::VirtAddr> page_table_shareable(const Vma& svma, const Vma& vma,
                                                   arch::VirtAddr address, std::uint64_t offset) {
  const arch::VirtAddr there = svma.start + (offset - svma.file_offset);
  const bool same_index = (there.value - address.value) % kPudSize == 0;
  if (!same_index || svma.protection != vma.protection || !vma_shareable(svma, there)) {
    return std::nullopt;
  }
  return there;
}

/// The table of another area to share, with a reference, or null. i_mmap lock held.
Page* find_shared_table(Cpu& cpu, Mm& mm, const Vma& vma, arch::VirtAddr address) {
  const std::uint64_t offset = vma.file_offset + (address.value - vma.start.value);
  for (const AddressSpace::Mapping& mapping : vma.file->i_mmap()) {
    if (mapping.mm == &mm && mapping.start == vma.start) continue;
    if (offset < mapping.offset) continue;
    // As it is by now. One that is being unmapped is not found.
    const Vma* svma = mapping.mm->find_vma(mapping.start + (offset - mapping.offset));
    if (svma == nullptr || svma->file != vma.file || !svma->is_hugetlb()) continue;
    const auto there = page_table_shareable(*svma, vma, address, offset);
    const auto pmd = there ? pte_offset(cpu, *mapping.mm, *there, kPmdLevel) : std::nullopt;
    if (!pmd) continue;
    Page* table = mm.kernel.pages.find(arch::page_of(pmd->address));
    SHOOTDOWN_CHECK(table != nullptr, "a table is linked that is not allocated");
    mm.kernel.pages.get_page(*table);
    return table;
  }
  return nullptr;
}

/// huge_pmd_share(): links the table of another area into an empty entry, or a new one if there is
/// none to share; under the i_mmap lock, so that of two who look for each other's one finds it.
std::optional<PteSlot> huge_pmd_share(Cpu& cpu, Mm& mm, const Vma& vma, arch::VirtAddr address,
                                      const PteSlot& pud) {
  const FunctionTrace trace(cpu, "huge_pmd_share");
  const ReadGuard i_mmap(vma.file->lock, cpu);
  if (Page* table = find_shared_table(cpu, mm, vma, address)) {
    const SpinGuard ptl(pte_lockptr(mm, pud), cpu);
    if (ptep_get(cpu, pud) == Pte{}) {
      set_pte_at(cpu, mm, pud, mm.arch.mk_table(table->address));
    } else {
      mm.kernel.pages.put_page(cpu, *table);
    }
  }
  return pte_alloc(cpu, mm, address, kPmdLevel);
}

/// huge_pte_alloc()
std::optional<PteSlot> huge_pte_alloc(Cpu& cpu, Mm& mm, const Vma& vma, arch::VirtAddr address) {
  const auto pud = pte_alloc(cpu, mm, address, kPudLevel);
  if (!pud) return std::nullopt;
  const bool want_pmd_share = mm.arch.gather_config().huge_pmd_share && vma_shareable(vma, address);
  if (want_pmd_share && ptep_get(cpu, *pud) == Pte{}) {
    return huge_pmd_share(cpu, mm, vma, address, *pud);
  }
  return pte_alloc(cpu, mm, address, kPmdLevel);
}

/// huge_pmd_unshare(): takes the table of `slot` out of this address space if others share it, and
/// says so. i_mmap lock and VMA lock held for writing.
bool huge_pmd_unshare(Cpu& cpu, Mm& mm, const Vma& vma, const PteSlot& slot, MmuGather* tlb) {
  SHOOTDOWN_CHECK(vma.file->lock.held_for_write(), "tables are unshared under the i_mmap lock");
  Page* table = mm.kernel.pages.find(arch::page_of(slot.address));
  SHOOTDOWN_CHECK(table != nullptr, "a table is linked that is not allocated");
  if (table->refcount == 1) return false;
  const FunctionTrace trace(cpu, "huge_pmd_unshare");
  const auto pud = pte_offset(cpu, mm, slot.va, kPudLevel);
  SHOOTDOWN_CHECK(pud.has_value(), "the table is reached through an entry");
  set_pte_at(cpu, mm, *pud, Pte{});
  const KernelBehaviour& behaviour = mm.kernel.behaviour;
  // GUP-fast may be in the table, which its next owner uses as he likes.
  if (behaviour.unshare_sync && !behaviour.unshare_by_gather) tlb_remove_table_sync_one(cpu, mm);
  mm.kernel.pages.put_page(cpu, *table);
  if (tlb != nullptr && !mm.kernel.inject.skip_unshare_flush) {
    if (behaviour.unshare_by_gather) {
      tlb->tlb_unshare_pmd(slot.va, table->refcount == 1);
    } else {
      tlb->tlb_flush_pmd_range(pud->va, kPudSize);
    }
  }
  return true;
}

/// huge_pmd_unshare_flush(): flushes what unsharing left in the gather, before the locks are
/// dropped: the table may be the last other sharer's to change by then. Before 8ce720d5bd91 that
/// is tlb_flush_mmu_tlbonly().
void huge_pmd_unshare_flush(Mm& mm, MmuGather& tlb) {
  if (mm.kernel.behaviour.unshare_by_gather) {
    tlb.tlb_flush_unshared_tables();
  } else {
    tlb.tlb_flush_mmu_tlbonly();
  }
}

/// Both locks of an area's tables, in the kernel's order.
class UnshareLocks {
 public:
  UnshareLocks(const Vma& vma, Cpu& cpu)
      : keep_(vma.hugetlb_vma_lock), vma_lock_(*keep_, cpu), i_mmap_(vma.file->lock, cpu) {}

 private:
  std::shared_ptr<RwSemaphore> keep_;
  WriteGuard vma_lock_;
  WriteGuard i_mmap_;
};

/// Calls `shared` for the first entry of a table that others share, and unshares it; `own` for each
/// entry of a table that is this address space's own.
template <class Shared, class Own>
void walk_hugetlb_range(Cpu& cpu, Mm& mm, const Vma& vma, arch::VirtAddr start, arch::VirtAddr end,
                        MmuGather* tlb, Shared&& shared, Own&& own) {
  for (arch::VirtAddr va = start; va < end;) {
    const auto slot = pte_offset(cpu, mm, va, kPmdLevel);
    if (!slot) {
      va = pud_of(va) + kPudSize;
      continue;
    }
    bool unshared = false;
    {
      const SpinGuard ptl(pte_lockptr(mm, *slot), cpu);
      unshared = huge_pmd_unshare(cpu, mm, vma, *slot, tlb);
    }
    if (unshared) {
      shared();
      va = pud_of(va) + kPudSize;
      continue;
    }
    own(*slot);
    va = va + kPmdSize;
  }
}

// ---- Faults ----------------------------------------------------------------------------------

/// hugetlb_no_page(): the page of the file, made if there is none, for an entry that is empty.
VmFault hugetlb_no_page(Cpu& cpu, Mm& mm, const Vma& vma, const PteSlot& slot) {
  const FunctionTrace trace(cpu, "hugetlb_no_page");
  PageAllocator& pages = mm.kernel.pages;
  const std::uint64_t offset = vma.file_offset + (slot.va.value - vma.start.value);
  Page* page = vma.file->find_page(offset);
  if (page == nullptr) {
    page = pages.alloc_pages(cpu, kPmdShift - arch::kPageShift, PageUse::kFile);
    if (page == nullptr) return VmFault::kOom;
    for (std::uint64_t at = 0; at < kPmdSize; at += arch::kPageSize) {
      cpu.clear_page(page->address + at);
    }
    page->mapping = vma.file;
    page->index = offset;
    vma.file->pages[offset] = page;
    folio_mark_dirty(cpu, *page);  // there is no storage that could have it
  }
  const SpinGuard ptl(pte_lockptr(mm, slot), cpu);
  if (ptep_get(cpu, slot) != Pte{}) return VmFault::kHandled;
  Pte pte = mm.arch.mk_pte(page->address, slot.level);
  if (vma.protection.write) pte = mm.arch.pte_mkwrite(mm.arch.pte_mkdirty(pte));
  pages.get_page(*page);
  page_add_rmap(cpu, *page);
  set_pte_at(cpu, mm, slot, pte);
  return VmFault::kHandled;
}

}  // namespace

VmFault hugetlb_fault(Cpu& cpu, Mm& mm, const Vma& vma, arch::VirtAddr address, bool write,
                      std::string_view& how) {
  const FunctionTrace trace(cpu, "hugetlb_fault");
  const WriteGuard mutex(vma.file->hugetlb_fault_mutex, cpu);
  const ReadGuard vma_lock(*vma.hugetlb_vma_lock, cpu);
  const auto slot = huge_pte_alloc(cpu, mm, vma, address);
  how = "out of memory";
  if (!slot) return VmFault::kOom;
  if (ptep_get(cpu, *slot) == Pte{}) {
    how = "page of hugetlbfs";
    return hugetlb_no_page(cpu, mm, vma, *slot);
  }
  const SpinGuard ptl(pte_lockptr(mm, *slot), cpu);
  const Pte seen = ptep_get(cpu, *slot);
  how = "access flag";
  if (seen == Pte{}) return VmFault::kHandled;
  Pte entry = mm.arch.pte_mkyoung(seen);
  if (write && !mm.arch.pte_write(seen)) {
    how = "shared page made writable";  // hugetlb_wp(), set_huge_ptep_writable()
    entry = mm.arch.pte_mkwrite(entry);
  }
  if (write) entry = mm.arch.pte_mkdirty(entry);
  if (!mm.arch.ptep_set_access_flags(cpu, mm, *slot, entry, write)) {
    how = "spurious: the entry already permits it";
  }
  return VmFault::kHandled;
}

// ---- Unmapping -------------------------------------------------------------------------------

void adjust_range_if_pmd_sharing_possible(const Vma& vma, MmuNotifierRange& range) {
  if (!vma.is_hugetlb() || !vma.shared) return;
  const arch::VirtAddr first = pud_of(vma.start + (kPudSize - 1));
  const arch::VirtAddr last = pud_of(vma.end);
  if (first >= last || range.end <= first || range.start >= last) return;
  if (range.start > first) range.start = pud_of(range.start);
  if (range.end < last) range.end = pud_of(range.end + (kPudSize - 1));
}

namespace {

/// __unmap_hugepage_range(). Both locks held.
void unmap_hugepage_range_locked(Cpu& cpu, Mm& mm, MmuGather& tlb, const Vma& vma,
                                 arch::VirtAddr start, arch::VirtAddr end) {
  const FunctionTrace trace(cpu, "__unmap_hugepage_range");
  tlb.tlb_change_page_size(kPmdSize);
  tlb.tlb_start_vma(vma);
  bool unshared = false;
  walk_hugetlb_range(
      cpu, mm, vma, start, end, &tlb, [&] { unshared = true; },
      [&](const PteSlot& slot) {
        Page* page = nullptr;
        {
          const SpinGuard ptl(pte_lockptr(mm, slot), cpu);
          if (ptep_get(cpu, slot) == Pte{}) return;
          const Pte pte = ptep_get_and_clear(cpu, mm, slot);
          tlb.tlb_remove_huge_tlb_entry(slot.va, kPmdSize);
          page = mm.kernel.pages.find(mm.arch.pte_address(pte));
          SHOOTDOWN_CHECK(page != nullptr, "entry maps a page that is not allocated");
          if (mm.arch.pte_dirty(pte)) folio_mark_dirty(cpu, *page);
          page_remove_rmap(cpu, *page);
        }
        tlb.tlb_remove_page(mm.kernel.pages.page_address(*page), kPmdSize);
      });
  tlb.tlb_end_vma(vma);
  if (unshared && !mm.kernel.inject.skip_unshare_flush) huge_pmd_unshare_flush(mm, tlb);
}

}  // namespace

void unmap_hugepage_range_final(Cpu& cpu, Mm& mm, MmuGather& tlb, const Vma& vma,
                                arch::VirtAddr start, arch::VirtAddr end) {
  const UnshareLocks locks(vma, cpu);
  unmap_hugepage_range_locked(cpu, mm, tlb, vma, start, end);
}

// ---- split, mprotect, mremap -------------------------------------------------------------------

namespace {

/// What is told and flushed around a change of entries of [start, end) that may unshare tables:
/// construct it (notifiers are told), take the locks, walk, flush(), drop the locks, end(). Each
/// step once, in this order; mremap alone ends before it drops the locks, as in the kernel.
class RangeFlush {
 public:
  RangeFlush(Cpu& cpu, Mm& mm, const Vma& vma, arch::VirtAddr start, arch::VirtAddr end)
      : cpu_(cpu), mm_(mm), range_{.mm = mm, .start = start, .end = end} {
    mmu_notifier_invalidate_range_start(cpu, range_);
    if (mm.kernel.behaviour.unshare_by_gather) gather_.emplace(cpu, mm, vma);
  }
  RangeFlush(const RangeFlush&) = delete;
  RangeFlush& operator=(const RangeFlush&) = delete;

  /// Null before 8ce720d5bd91.
  MmuGather* tlb() { return gather_ ? &gather_->tlb : nullptr; }
  void unshared() { unshared_ = true; }
  void changed(const PteSlot& slot) {
    if (gather_) gather_->tlb.tlb_remove_huge_tlb_entry(slot.va, kPmdSize);
  }
  void flush() {
    if (mm_.kernel.inject.skip_unshare_flush && unshared_) return;
    if (gather_) {
      gather_->tlb.tlb_flush_mmu_tlbonly();
      gather_->tlb.tlb_flush_unshared_tables();
    } else {
      mm_.arch.flush_tlb_range(cpu_, mm_, range_.start, range_.end, kPmdShift);
    }
  }
  void end() {
    mmu_notifier_invalidate_range_end(cpu_, range_);
    if (gather_) gather_->finish();
  }

 private:
  Cpu& cpu_;
  Mm& mm_;
  MmuNotifierRange range_;
  std::optional<KernelGather> gather_;
  bool unshared_{};
};

/// hugetlb_unshare_pmds() of the one table around `floor`. Without `take_locks` they are held.
void hugetlb_unshare_pmds(Cpu& cpu, Mm& mm, const Vma& vma, arch::VirtAddr floor, bool take_locks) {
  const FunctionTrace trace(cpu, "hugetlb_unshare_pmds");
  RangeFlush flush(cpu, mm, vma, floor, floor + kPudSize);
  const auto unshare = [&] {
    if (const auto slot = pte_offset(cpu, mm, floor, kPmdLevel)) {
      const SpinGuard ptl(pte_lockptr(mm, *slot), cpu);
      if (huge_pmd_unshare(cpu, mm, vma, *slot, flush.tlb())) flush.unshared();
    }
    flush.flush();
  };
  if (take_locks) {
    const UnshareLocks locks(vma, cpu);
    unshare();
  } else {
    unshare();
  }
  flush.end();
}

}  // namespace

void hugetlb_split(Cpu& cpu, Mm& mm, const Vma& vma, arch::VirtAddr at,
                   const std::function<void()>& split) {
  const KernelBehaviour& behaviour = mm.kernel.behaviour;
  const arch::VirtAddr floor = pud_of(at);
  const bool around = behaviour.unshare_on_split && floor != at && vma_shareable(vma, at);
  if (behaviour.unshare_in_split) {
    const UnshareLocks locks(vma, cpu);
    if (around) {
      const FunctionTrace trace(cpu, "hugetlb_split");
      hugetlb_unshare_pmds(cpu, mm, vma, floor, /*take_locks=*/false);
    }
    return split();
  }
  if (around) {
    const FunctionTrace trace(cpu, "hugetlb_vm_op_split");
    hugetlb_unshare_pmds(cpu, mm, vma, floor, /*take_locks=*/true);
  }
  const WriteGuard i_mmap(vma.file->lock, cpu);
  split();
}

void hugetlb_change_protection(Cpu& cpu, Mm& mm, const Vma& vma) {
  const FunctionTrace trace(cpu, "hugetlb_change_protection");
  RangeFlush flush(cpu, mm, vma, vma.start, vma.end);
  {
    const UnshareLocks locks(vma, cpu);
    walk_hugetlb_range(
        cpu, mm, vma, vma.start, vma.end, flush.tlb(), [&] { flush.unshared(); },
        [&](const PteSlot& slot) {
          const SpinGuard ptl(pte_lockptr(mm, slot), cpu);
          if (ptep_get(cpu, slot) == Pte{}) return;
          // huge_ptep_modify_prot_start(), huge_pte_modify(), huge_ptep_modify_prot_commit()
          const Pte old = ptep_get_and_clear(cpu, mm, slot);
          Pte changed =
              vma.protection.write ? mm.arch.pte_mkwrite(old) : mm.arch.pte_wrprotect(old);
          // arm64 keeps a clean entry read-only for hardware.
          if (!mm.arch.pte_dirty(old)) changed = mm.arch.pte_mkclean(changed);
          set_pte_at(cpu, mm, slot, changed);
          flush.changed(slot);
        });
    flush.flush();
  }
  flush.end();
}

void move_hugetlb_page_tables(Cpu& cpu, Mm& mm, const Vma& old_vma, const Vma& new_vma) {
  const FunctionTrace trace(cpu, "move_hugetlb_page_tables");
  RangeFlush flush(cpu, mm, old_vma, old_vma.start, old_vma.end);
  const UnshareLocks locks(old_vma, cpu);
  for (arch::VirtAddr va = old_vma.start; va < old_vma.end; va = va + kPmdSize) {
    const auto from = pte_offset(cpu, mm, va, kPmdLevel);
    const auto skip_table = [&] { va = pud_of(va) + (kPudSize - kPmdSize); };
    if (!from) {
      skip_table();
      continue;
    }
    if (ptep_get(cpu, *from) == Pte{}) continue;
    bool unshared = false;
    {
      const SpinGuard ptl(pte_lockptr(mm, *from), cpu);
      unshared = huge_pmd_unshare(cpu, mm, old_vma, *from, flush.tlb());
    }
    if (unshared) {
      flush.unshared();
      skip_table();
      continue;
    }
    // A table of its own: to share one would take the i_mmap lock again.
    const auto to = pte_alloc(cpu, mm, new_vma.start + (va.value - old_vma.start.value), kPmdLevel);
    if (!to) break;
    const DoublePtl both(cpu, mm, *from, mm, *to);
    set_pte_at(cpu, mm, *to, ptep_get_and_clear(cpu, mm, *from));
    flush.changed(*from);
  }
  flush.flush();
  flush.end();
}

// ---- The file ----------------------------------------------------------------------------------

namespace {

/// unmap_hugepage_range(), with a gather of its own. Both locks held.
void unmap_hugepage_range(Cpu& cpu, const AddressSpace::Mapping& mapping,
                          const AddressSpace::Mapping::Part& part) {
  Mm& mm = *mapping.mm;
  MmuNotifierRange range{.mm = mm, .start = part.start, .end = part.end};
  adjust_range_if_pmd_sharing_possible(*mapping.vma, range);
  mmu_notifier_invalidate_range_start(cpu, range);
  KernelGather gather(cpu, mm);
  unmap_hugepage_range_locked(cpu, mm, gather.tlb, *mapping.vma, part.start, part.end);
  mmu_notifier_invalidate_range_end(cpu, range);
  gather.finish();
  cpu.trace(ProtectionRemoved{
      .mm = mm.id, .start = part.start, .end = part.end, .operation = "unmap_hugepage_range"});
}

/// hugetlb_vma_maps_page()
bool maps_page(Cpu& cpu, const AddressSpace::Mapping& mapping, arch::VirtAddr va,
               const Page& page) {
  const auto slot = pte_offset(cpu, *mapping.mm, va, kPmdLevel);
  if (!slot) return false;
  const Pte pte = ptep_get(cpu, *slot);
  return mapping.mm->arch.pte_present(pte) && mapping.mm->arch.pte_address(pte) == page.address;
}

/// Unmaps the page from the areas whose lock is to be had; the lock of one where it is not.
std::shared_ptr<RwSemaphore> try_unmap_folio(Cpu& cpu, File& file, const Page& page) {
  const WriteGuard i_mmap(file.lock, cpu);
  for (const AddressSpace::Mapping& mapping : file.i_mmap()) {
    const auto part = mapping.part(page.index, page.index + kPmdSize);
    if (part.empty() || !maps_page(cpu, mapping, part.start, page)) continue;
    const std::shared_ptr<RwSemaphore> vma_lock = mapping.vma->hugetlb_vma_lock;
    if (!vma_lock->try_write_lock()) return vma_lock;
    unmap_hugepage_range(cpu, mapping, part);
    vma_lock->write_unlock(cpu);
  }
  return nullptr;
}

/// hugetlb_unmap_file_folio(). The fault mutex is held: nobody maps the page anew.
void hugetlb_unmap_file_folio(Cpu& cpu, File& file, const Page& page) {
  const FunctionTrace trace(cpu, "hugetlb_unmap_file_folio");
  while (const auto vma_lock = try_unmap_folio(cpu, file, page)) {
    // Its holder may want the i_mmap lock, which is free now.
    const WriteGuard wait(*vma_lock, cpu);
  }
}

/// hugetlb_vmdelete_list(): unmaps [offset, end) of a file wherever it is mapped, but where an
/// area's lock is not to be had at once: it comes before the i_mmap lock, which is held.
void hugetlb_vmdelete_list(Cpu& cpu, File& file, std::uint64_t offset, std::uint64_t end) {
  const FunctionTrace trace(cpu, "hugetlb_vmdelete_list");
  const WriteGuard i_mmap(file.lock, cpu);
  for (const AddressSpace::Mapping& mapping : file.i_mmap()) {
    const auto part = mapping.part(offset, end);
    if (part.empty() || !mapping.vma->hugetlb_vma_lock->try_write_lock()) continue;
    unmap_hugepage_range(cpu, mapping, part);
    mapping.vma->hugetlb_vma_lock->write_unlock(cpu);
  }
}

}  // namespace

void hugetlbfs_punch_hole(Cpu& cpu, KernelState& kernel, File& file, std::uint64_t offset,
                          std::uint64_t end) {
  const FunctionTrace trace(cpu, "hugetlbfs_punch_hole");
  hugetlb_vmdelete_list(cpu, file, offset, end);
  // remove_inode_hugepages(): no fault maps a page while it is taken out.
  const WriteGuard mutex(file.hugetlb_fault_mutex, cpu);
  for (auto it = file.pages.lower_bound(offset); it != file.pages.end() && it->first < end;) {
    Page* page = it->second;
    // Left out above, or faulted in again meanwhile.
    if (page->mapcount != 0) hugetlb_unmap_file_folio(cpu, file, *page);
    it = file.pages.erase(it);
    cpu.trace(FolioTruncated{.page = page->address});
    page->mapping = nullptr;
    kernel.pages.put_page(cpu, *page);
  }
}

}  // namespace shootdown::sw
