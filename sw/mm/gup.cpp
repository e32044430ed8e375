#include "sw/mm/gup.h"

#include <array>

#include "sw/mm/memory.h"
#include "sw/mm/pgtable.h"
#include "sw/mm/zap.h"

namespace shootdown::sw {

namespace {

Pte read_lockless(Cpu& cpu, const Mm& mm, const PteSlot& slot) {
  const Pte pte = ptep_get(cpu, slot);
  cpu.trace(LocklessRead{.mm = mm.id,
                         .va = slot.va,
                         .level = slot.level,
                         .entry = slot.address,
                         .value = {pte.value}});
  return pte;
}

/// try_grab_folio() of what a lockless read has found: the frame may be anybody's by now.
Page* try_grab(Mm& mm, Pte pte) {
  Page* page = mm.kernel.pages.find(mm.arch.pte_address(pte));
  if (page == nullptr || page->refcount == 0) return nullptr;
  mm.kernel.pages.get_page(*page);
  ++page->pins;
  return page;
}

void ungrab(Cpu& cpu, Mm& mm, Page& page) {
  --page.pins;
  mm.kernel.pages.put_page(cpu, page);
}

bool permits(const Mm& mm, Pte pte, bool write) {
  return mm.arch.pte_valid(pte) && (!write || mm.arch.pte_write(pte));
}

/// gup_pte_range(), gup_huge_pmd(): the last level, `parent` having been seen as `seen`.
Page* gup_leaf(Cpu& cpu, Mm& mm, const PteSlot& slot, const PteSlot* parent, Pte seen, bool write) {
  const FunctionTrace trace(cpu, slot.level == kPteLevel ? "gup_pte_range" : "gup_huge_pmd");
  const Pte pte = slot.level == kPteLevel ? read_lockless(cpu, mm, slot) : seen;
  if (!permits(mm, pte, write)) return nullptr;
  Page* page = try_grab(mm, pte);
  if (page == nullptr) return nullptr;
  const bool parent_changed =
      parent != nullptr && mm.kernel.behaviour.gup_rechecks_pmd && ptep_get(cpu, *parent) != seen;
  if (parent_changed || ptep_get(cpu, slot) != pte) {
    ungrab(cpu, mm, *page);
    return nullptr;
  }
  return page;
}

/// gup_pgd_range() and those below it: the entry `slot` above the last level.
Page* gup_range(Cpu& cpu, Mm& mm, const PteSlot& slot, arch::VirtAddr address, bool write) {
  constexpr std::array kNames{"gup_pgd_range", "gup_pud_range", "gup_pmd_range"};
  const FunctionTrace trace(cpu, kNames.at(static_cast<std::size_t>(slot.level)));
  const Pte seen = read_lockless(cpu, mm, slot);
  if (!mm.arch.pte_present(seen)) return nullptr;
  if (!mm.arch.pte_table(seen, slot.level)) return gup_leaf(cpu, mm, slot, nullptr, seen, write);
  const PteSlot next = slot_in(mm.arch.pte_address(seen), address, slot.level + 1);
  if (next.level == kPteLevel) return gup_leaf(cpu, mm, next, &slot, seen, write);
  return gup_range(cpu, mm, next, address, write);
}

/// lockless_pages_from_mm(): interrupts are off, so that tables of an IPI architecture, or those
/// freed by RCU, stay.
Page* lockless_page_from_mm(Cpu& cpu, Mm& mm, arch::VirtAddr address, bool write) {
  const FunctionTrace trace(cpu, "lockless_pages_from_mm");
  const unsigned seq = mm.write_protect_seq;
  if (seq % 2 != 0) return nullptr;
  const IrqGuard irqs(cpu);
  const RcuReadGuard rcu(mm.kernel.rcu, cpu);
  Page* page = gup_range(cpu, mm, slot_in(mm.pgd, address, kPgdLevel), address, write);
  // A fork that write-protects meanwhile may have missed the pin.
  if (page != nullptr && mm.write_protect_seq != seq) {
    ungrab(cpu, mm, *page);
    return nullptr;
  }
  return page;
}

}  // namespace

Page* pin_user_pages_fast(Cpu& cpu, Mm& mm, arch::VirtAddr address, bool write) {
  const FunctionTrace trace(cpu, "pin_user_pages_fast");
  if (Page* page = lockless_page_from_mm(cpu, mm, address, write)) return page;
  // __gup_longterm_locked(): fault in, and look under the lock.
  for (;;) {
    const std::uint64_t migrations = mm.kernel.migrations;
    VmFault fault{};
    {
      const ReadGuard lock(mm.mmap_lock, cpu);
      Vma* vma = mm.find_vma(address);
      if (vma == nullptr || vma->pfnmap || (write && !vma->protection.write)) return nullptr;
      if (const auto slot = pte_leaf(cpu, mm, address)) {
        const SpinGuard ptl(pte_lockptr(mm, *slot), cpu);
        const Pte pte = ptep_get(cpu, *slot);
        if (permits(mm, pte, write) && !mm.arch.pte_table(pte, slot->level)) {
          return try_grab(mm, pte);
        }
      }
      fault = handle_mm_fault(cpu, mm, *vma, address, {.write = write, .remote = false});
    }
    if (wait_for_fault(cpu, mm, address, fault, migrations) != VmFault::kHandled) return nullptr;
  }
}

void unpin_user_page(Cpu& cpu, Mm& mm, Page& page) {
  const FunctionTrace trace(cpu, "unpin_user_page");
  ungrab(cpu, mm, page);
}

}  // namespace shootdown::sw
