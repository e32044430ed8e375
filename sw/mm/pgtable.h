// Walking, building and tearing down a process's page tables, from software.
#ifndef SHOOTDOWN_SW_MM_PGTABLE_H
#define SHOOTDOWN_SW_MM_PGTABLE_H

#include <algorithm>
#include <optional>

#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/mm/arch_mmu.h"
#include "sw/mm/levels.h"
#include "sw/mm/mm_types.h"

namespace shootdown::sw {

/// The slot of `level` for `va` in the table at `table`.
PteSlot slot_in(arch::PhysAddr table, arch::VirtAddr va, int level);
/// The slot of `level` for `va`, if the tables above it exist.
std::optional<PteSlot> pte_offset(Cpu& cpu, Mm& mm, arch::VirtAddr va, int level);
/// As above, but builds missing tables. Ends early at a leaf of a level above. Null only if memory
/// is exhausted.
std::optional<PteSlot> pte_alloc(Cpu& cpu, Mm& mm, arch::VirtAddr va, int level);
/// The slot of the leaf that maps `va`, or of the last level if none does; nothing if there is no
/// table of the last level.
std::optional<PteSlot> pte_leaf(Cpu& cpu, Mm& mm, arch::VirtAddr va);
/// The lock that protects a slot.
SpinLock& pte_lockptr(Mm& mm, const PteSlot& slot);

/// Two page-table locks, in the order of their tables.
class DoublePtl {
 public:
  DoublePtl(Cpu& cpu, Mm& mm_a, const PteSlot& a, Mm& mm_b, const PteSlot& b)
      : first_(a.address < b.address ? pte_lockptr(mm_a, a) : pte_lockptr(mm_b, b)),
        second_(a.address < b.address ? pte_lockptr(mm_b, b) : pte_lockptr(mm_a, a)),
        cpu_(cpu) {
    first_.lock(cpu_);
    if (&first_ != &second_) second_.lock(cpu_);
  }
  ~DoublePtl() {
    if (&first_ != &second_) second_.unlock(cpu_);
    first_.unlock(cpu_);
  }
  DoublePtl(const DoublePtl&) = delete;
  DoublePtl& operator=(const DoublePtl&) = delete;

 private:
  SpinLock& first_;
  SpinLock& second_;
  Cpu& cpu_;
};

/// Calls `action` for each slot of a leaf, or of the last level, in [start, end).
template <class Action>
void for_each_leaf(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end, Action&& action) {
  for (arch::VirtAddr va = start; va < end;) {
    const auto slot = pte_leaf(cpu, mm, va);
    if (slot) action(*slot);
    va = level_end(va, slot ? slot->level : kPmdLevel);
  }
}

Pte ptep_get(Cpu& cpu, const PteSlot& slot);
/// Stores over an entry that no hardware walker changes concurrently.
void set_pte_at(Cpu& cpu, Mm& mm, const PteSlot& slot, Pte pte);
/// Atomically reads and clears.
Pte ptep_get_and_clear(Cpu& cpu, Mm& mm, const PteSlot& slot);
/// As above, for an entry that was `seen` a moment ago: hardware may have set flags since.
Pte ptep_get_and_clear(Cpu& cpu, Mm& mm, const PteSlot& slot, Pte seen);
/// Makes a huge entry invalid to hardware, and flushes it, while software still sees a huge page.
/// x86 does not flush: a valid entry that is not present can gain no flags.
Pte pmdp_invalidate(Cpu& cpu, Mm& mm, const PteSlot& slot);
/// As above, and flushes on every architecture: what could be written through the entry cannot be
/// any more (pmdp_invalidate() where pmdp_invalidate_ad() is a function of its own).
Pte pmdp_invalidate_flush(Cpu& cpu, Mm& mm, const PteSlot& slot);
/// Atomically takes write permission away, without a flush.
Pte ptep_set_wrprotect(Cpu& cpu, Mm& mm, const PteSlot& slot);
/// Clears, then flushes the page on CPUs; secondary TLBs as the arch's flush does.
Pte ptep_clear_flush(Cpu& cpu, Mm& mm, const PteSlot& slot);
/// Clears, then flushes the page on CPUs and, in every release, in secondary TLBs.
Pte ptep_clear_flush_notify(Cpu& cpu, Mm& mm, const PteSlot& slot);

/// A zeroed page for a table whose entries are of `level`, constructed: counted.
Page* pagetable_alloc(Cpu& cpu, Mm& mm, int level);
/// Whether tables of `level` have a constructor and a destructor: the top level has not, the one
/// below from 55d2a0bd5ead on.
bool pagetable_constructed(const Mm& mm, int level);
/// Takes the table out of the count; its memory is returned later.
void pagetable_dtor(Cpu& cpu, Mm& mm, Page& table);
/// pagetable_free(): returns the memory of a table. Before bf2d4334f72e, __free_page() of each
/// arch.
void pagetable_free(Cpu& cpu, Mm& mm, Page& table);
/// pte_free(): destructor and memory, at once, without any flush.
void pte_free(Cpu& cpu, Mm& mm, Page& table);

}  // namespace shootdown::sw

#endif
