#include "sw/mm/hugetlb.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "hw/arch/check.h"
#include "sw/mm/kernel_gather.h"
#include "sw/mm/pgtable.h"
#include "sw/mm/rmap.h"
#include "sw/mm/tlb_sync.h"
#include "sw/mm/writeback.h"

namespace shootdown::sw {

namespace {

constexpr unsigned kPudShift = arch::vmsa64::level_shift(1);
constexpr std::uint64_t kPudSize = std::uint64_t{1} << kPudShift;
constexpr int kPudLevel = 1;
constexpr int kPmdLevel = 2;

arch::VirtAddr pud_of(arch::VirtAddr va) { return arch::page_of(va, kPudShift); }

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

/// huge_pmd_share(): links the table of another area into an empty entry, if there is one.
void huge_pmd_share(Cpu& cpu, Mm& mm, const Vma& vma, arch::VirtAddr address, const PteSlot& pud) {
  const FunctionTrace trace(cpu, "huge_pmd_share");
  const ReadGuard i_mmap(vma.file->lock, cpu);
  Page* table = find_shared_table(cpu, mm, vma, address);
  if (table == nullptr) return;
  const SpinGuard ptl(pte_lockptr(mm, pud), cpu);
  if (ptep_get(cpu, pud) == Pte{}) {
    set_pte_at(cpu, mm, pud, mm.arch.mk_table(table->address));
  } else {
    mm.kernel.pages.put_page(cpu, *table);
  }
}

/// huge_pte_alloc()
std::optional<PteSlot> huge_pte_alloc(Cpu& cpu, Mm& mm, const Vma& vma, arch::VirtAddr address) {
  const auto pud = pte_alloc(cpu, mm, address, kPudLevel);
  if (!pud) return std::nullopt;
  if (vma_shareable(vma, address) && ptep_get(cpu, *pud) == Pte{}) {
    huge_pmd_share(cpu, mm, vma, address, *pud);
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

/// Flushes what unsharing left in the gather, before the locks are dropped: the table may be the
/// last other sharer's to change by then.
void flush_unshared(Mm& mm, MmuGather& tlb) {
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
      : vma_lock_(*vma.hugetlb_vma_lock, cpu), i_mmap_(vma.file->lock, cpu) {}

 private:
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
      shared(va);
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

/// __unmap_hugepage_range(), both locks held.
void unmap_locked(Cpu& cpu, Mm& mm, MmuGather& tlb, const Vma& vma, arch::VirtAddr start,
                  arch::VirtAddr end) {
  const FunctionTrace trace(cpu, "__unmap_hugepage_range");
  tlb.tlb_change_page_size(kPmdSize);
  tlb.tlb_start_vma(vma);
  bool unshared = false;
  walk_hugetlb_range(
      cpu, mm, vma, start, end, &tlb, [&](arch::VirtAddr) { unshared = true; },
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
  if (unshared && !mm.kernel.inject.skip_unshare_flush) flush_unshared(mm, tlb);
}

}  // namespace

void unmap_hugepage_range(Cpu& cpu, Mm& mm, MmuGather& tlb, const Vma& vma, arch::VirtAddr start,
                          arch::VirtAddr end) {
  const UnshareLocks locks(vma, cpu);
  unmap_locked(cpu, mm, tlb, vma, start, end);
}

// ---- split, mprotect, mremap -------------------------------------------------------------------

namespace {

/// What is flushed, and told, for a change of entries of [start, end).
class RangeFlush {
 public:
  RangeFlush(Cpu& cpu, Mm& mm, const Vma& vma, arch::VirtAddr start, arch::VirtAddr end)
      : cpu_(cpu), mm_(mm), start_(start), end_(end), range_{.mm = mm, .start = start, .end = end} {
    adjust_range_if_pmd_sharing_possible(vma, range_);
    if (mm.kernel.behaviour.unshare_by_gather) gather_.emplace(cpu, mm);
    if (gather_) gather_->tlb.tlb_start_vma(vma);
    mmu_notifier_invalidate_range_start(cpu, range_);
  }
  RangeFlush(const RangeFlush&) = delete;
  RangeFlush& operator=(const RangeFlush&) = delete;

  MmuGather* tlb() { return gather_ ? &gather_->tlb : nullptr; }
  void unshared() { unshared_ = true; }
  void changed(const PteSlot& slot) {
    if (gather_) gather_->tlb.tlb_remove_huge_tlb_entry(slot.va, kPmdSize);
  }
  /// Before the locks are dropped.
  void flush() {
    if (mm_.kernel.inject.skip_unshare_flush && unshared_) return;
    if (gather_) {
      gather_->tlb.tlb_flush_mmu_tlbonly();
      gather_->tlb.tlb_flush_unshared_tables();
    } else if (unshared_) {
      mm_.arch.flush_tlb_range(cpu_, mm_, range_.start, range_.end, kPmdShift);
    } else {
      mm_.arch.flush_tlb_range(cpu_, mm_, start_, end_, kPmdShift);
    }
  }
  void end() {
    mmu_notifier_invalidate_range_end(cpu_, range_);
    if (gather_) gather_->finish();
  }

 private:
  Cpu& cpu_;
  Mm& mm_;
  arch::VirtAddr start_;
  arch::VirtAddr end_;
  MmuNotifierRange range_;
  std::optional<KernelGather> gather_;
  bool unshared_{};
};

}  // namespace

void hugetlb_split(Cpu& cpu, Mm& mm, const Vma& vma, arch::VirtAddr at) {
  const arch::VirtAddr floor = pud_of(at);
  if (!mm.kernel.behaviour.unshare_on_split || floor == at || !vma_shareable(vma, at)) return;
  const FunctionTrace trace(cpu, "hugetlb_split");
  RangeFlush flush(cpu, mm, vma, floor, floor + kPudSize);
  {
    const UnshareLocks locks(vma, cpu);
    if (const auto slot = pte_offset(cpu, mm, floor, kPmdLevel)) {
      const SpinGuard ptl(pte_lockptr(mm, *slot), cpu);
      if (huge_pmd_unshare(cpu, mm, vma, *slot, flush.tlb())) flush.unshared();
    }
    flush.flush();
  }
  flush.end();
}

void hugetlb_change_protection(Cpu& cpu, Mm& mm, const Vma& vma, arch::VirtAddr start,
                               arch::VirtAddr end) {
  const FunctionTrace trace(cpu, "hugetlb_change_protection");
  RangeFlush flush(cpu, mm, vma, start, end);
  {
    const UnshareLocks locks(vma, cpu);
    walk_hugetlb_range(
        cpu, mm, vma, start, end, flush.tlb(), [&](arch::VirtAddr) { flush.unshared(); },
        [&](const PteSlot& slot) {
          const SpinGuard ptl(pte_lockptr(mm, slot), cpu);
          if (ptep_get(cpu, slot) == Pte{}) return;
          // huge_ptep_modify_prot_start(), huge_ptep_modify_prot_commit()
          const Pte old = ptep_get_and_clear(cpu, mm, slot);
          const Pte changed =
              vma.protection.write ? mm.arch.pte_mkwrite(old) : mm.arch.pte_wrprotect(old);
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
  {
    const UnshareLocks locks(old_vma, cpu);
    walk_hugetlb_range(
        cpu, mm, old_vma, old_vma.start, old_vma.end, flush.tlb(),
        [&](arch::VirtAddr) { flush.unshared(); },
        [&](const PteSlot& from) {
          if (ptep_get(cpu, from) == Pte{}) return;
          // A table of its own: sharing would take the i_mmap lock again.
          const auto to =
              pte_alloc(cpu, mm, new_vma.start + (from.va.value - old_vma.start.value), kPmdLevel);
          if (!to) return;
          const DoublePtl both(cpu, mm, from, mm, *to);
          set_pte_at(cpu, mm, *to, ptep_get_and_clear(cpu, mm, from));
          flush.changed(from);
        });
    flush.flush();
  }
  flush.end();
}

// ---- The file ----------------------------------------------------------------------------------

void hugetlb_vmdelete_list(Cpu& cpu, File& file, std::uint64_t offset, std::uint64_t end) {
  std::vector<AddressSpace::Mapping> mappings;
  {
    const ReadGuard i_mmap(file.lock, cpu);
    mappings = file.i_mmap();
  }
  for (const AddressSpace::Mapping& mapping : mappings) {
    const std::uint64_t first = std::max(offset, mapping.offset);
    const std::uint64_t last =
        std::min(end, mapping.offset + (mapping.end.value - mapping.start.value));
    if (first >= last) continue;
    const arch::VirtAddr start = mapping.start + (first - mapping.offset);
    MmuNotifierRange range{
        .mm = *mapping.mm, .start = start, .end = mapping.start + (last - mapping.offset)};
    const arch::VirtAddr limit = range.end;
    adjust_range_if_pmd_sharing_possible(*mapping.vma, range);
    KernelGather gather(cpu, *mapping.mm);
    mmu_notifier_invalidate_range_start(cpu, range);
    {
      const UnshareLocks locks(*mapping.vma, cpu);
      // Who unmaps the area meanwhile has taken its entries out already.
      const auto& now = file.i_mmap();
      const bool linked = std::any_of(now.begin(), now.end(), [&](const auto& other) {
        return other.mm == mapping.mm && other.start == mapping.start;
      });
      if (linked) unmap_locked(cpu, *mapping.mm, gather.tlb, *mapping.vma, start, limit);
    }
    mmu_notifier_invalidate_range_end(cpu, range);
    gather.finish();
    cpu.trace(ProtectionRemoved{
        .mm = mapping.mm->id, .start = start, .end = limit, .operation = "hugetlb_vmdelete_list"});
  }
}

void hugetlbfs_punch_hole(Cpu& cpu, KernelState& kernel, File& file, std::uint64_t offset,
                          std::uint64_t end) {
  const FunctionTrace trace(cpu, "hugetlbfs_punch_hole");
  hugetlb_vmdelete_list(cpu, file, offset, end);
  // remove_inode_hugepages(): no fault maps a page while it is taken out.
  const WriteGuard mutex(file.hugetlb_fault_mutex, cpu);
  for (auto it = file.pages.lower_bound(offset); it != file.pages.end() && it->first < end;) {
    Page* page = it->second;
    // Faulted in again meanwhile: hugetlb_unmap_file_folio().
    if (page->mapcount != 0) hugetlb_vmdelete_list(cpu, file, it->first, it->first + kPmdSize);
    it = file.pages.erase(it);
    cpu.trace(FolioGivenUp{.page = page->address});
    page->mapping = nullptr;
    kernel.pages.put_page(cpu, *page);
  }
}

}  // namespace shootdown::sw
