#include "sw/mm/fork.h"

#include "sw/mm/arch_mmu.h"
#include "sw/mm/mmu_notifier.h"
#include "sw/mm/pgtable.h"
#include "sw/mm/rmap.h"
#include "sw/mm/zap.h"

namespace shootdown::sw {

std::unique_ptr<Mm> mm_create(Cpu& cpu, KernelState& kernel, ArchMmu& arch, arch::MmId number,
                              arch::Asid asid) {
  auto mm = std::make_unique<Mm>(kernel, arch, number, asid);
  Page* pgd = pagetable_alloc(cpu, *mm, kPgdLevel);
  if (pgd == nullptr) return nullptr;
  mm->pgd = pgd->address;
  cpu.trace(MmCreated{.mm = number, .asid = asid, .pgd = mm->pgd, .format = arch.table_format()});
  return mm;
}

namespace {

/// copy_nonpresent_pte(): an entry whose page is in swap or on its way, both locks held.
void copy_nonpresent_pte(Cpu& cpu, Mm& parent, Mm& child, const Vma& vma, const PteSlot& from,
                         const PteSlot& to, Pte pte) {
  const ArchMmu& format = parent.arch;
  const auto type = format.pte_swap_type(pte);
  if (!type) return;
  if (type == SwapType::kSwap) {
    parent.kernel.swap.get(format.pte_swap_offset(pte));
  } else if (type == SwapType::kMigrationWrite && !vma.shared) {
    // Neither may write to what both will map.
    pte = format.mk_swap_pte(SwapType::kMigrationRead, format.pte_swap_offset(pte));
    set_pte_at(cpu, parent, from, pte);
  }
  set_pte_at(cpu, child, to, pte);
}

/// copy_present_pte(): one entry, both locks held.
void copy_present_pte(Cpu& cpu, Mm& parent, Mm& child, const Vma& vma, const PteSlot& from,
                      const PteSlot& to) {
  Pte pte = ptep_get(cpu, from);
  const ArchMmu& format = parent.arch;
  if (format.pte_table(pte, from.level)) return;  // split meanwhile: the child faults
  if (!format.pte_present(pte)) {
    copy_nonpresent_pte(cpu, parent, child, vma, from, to, pte);
    return;
  }
  if (!vma.shared && format.pte_write(pte)) {
    // Without a flush: one for all follows at the end.
    pte = ptep_set_wrprotect(cpu, parent, from);
  }
  if (vma.shared) pte = format.pte_mkclean(pte);
  if (Page* page = vm_normal_page(parent, vma, pte)) {
    parent.kernel.pages.get_page(*page);
    page_add_rmap(cpu, *page);
  }
  set_pte_at(cpu, child, to, format.pte_mkold(pte));
}

/// A pinned page is not shared: the child gets its copy now (copy_present_page()).
bool copy_pinned_page(Cpu& cpu, Mm& parent, Mm& child, const Vma& vma, const PteSlot& from,
                      const PteSlot& to) {
  const Pte pte = ptep_get(cpu, from);
  if (vma.shared || vma.pfnmap || !parent.arch.pte_present(pte)) return false;
  Page* page = parent.kernel.pages.find(parent.arch.pte_address(pte));
  if (page == nullptr || page->pins == 0 || page->use != PageUse::kAnonymous || page->order != 0) {
    return false;
  }
  Page* copy = parent.kernel.pages.alloc_pages(cpu, 0, PageUse::kAnonymous);
  if (copy == nullptr) return false;
  copy->mapping = page->mapping;
  copy->index = page->index;
  cpu.copy_page(copy->address, page->address);
  page_add_rmap(cpu, *copy);
  Pte entry = child.arch.pte_mkdirty(child.arch.mk_pte(copy->address, to.level));
  if (vma.protection.write) entry = child.arch.pte_mkwrite(entry);
  set_pte_at(cpu, child, to, entry);
  return true;
}

/// copy_page_range()
void copy_page_range(Cpu& cpu, Mm& parent, Mm& child, const Vma& vma) {
  const FunctionTrace trace(cpu, "copy_page_range");
  const bool cow = !vma.shared;
  const MmuNotifierRange range{.mm = parent, .start = vma.start, .end = vma.end};
  if (cow) {
    mmu_notifier_invalidate_range_start(cpu, range);
    ++parent.write_protect_seq;
  }
  for_each_leaf(cpu, parent, vma.start, vma.end, [&](const PteSlot& from) {
    // File pages are found by a fault in the child: vma_needs_copy().
    if (vma.anon_vma == nullptr && !vma.pfnmap) return;
    const auto to = pte_alloc(cpu, child, from.va, from.level);
    if (!to || to->level != from.level) return;
    const DoublePtl locks(cpu, child, *to, parent, from);
    if (copy_pinned_page(cpu, parent, child, vma, from, *to)) return;
    copy_present_pte(cpu, parent, child, vma, from, *to);
  });
  if (cow) {
    ++parent.write_protect_seq;
    mmu_notifier_invalidate_range_end(cpu, range);
  }
}

}  // namespace

void dup_mmap(Cpu& cpu, Mm& parent, Mm& child) {
  const FunctionTrace trace(cpu, "dup_mmap");
  const WriteGuard lock(parent.mmap_lock, cpu);
  const WriteGuard child_lock(child.mmap_lock, cpu);
  for (const Vma& vma : parent.vmas) {
    Vma copy = vma;
    if (copy.is_hugetlb()) copy.hugetlb_vma_lock = std::make_shared<RwSemaphore>();
    child.vmas.push_back(copy);
    vma_link_rmap(cpu, child, copy);
    copy_page_range(cpu, parent, child, vma);
  }
  if (!parent.kernel.inject.skip_fork_flush) parent.arch.flush_tlb_mm(cpu, parent);
  for (const Vma& vma : parent.vmas) {
    if (vma.anon_vma == nullptr) continue;
    cpu.trace(ProtectionRemoved{
        .mm = parent.id, .start = vma.start, .end = vma.end, .operation = "fork"});
  }
}

}  // namespace shootdown::sw
