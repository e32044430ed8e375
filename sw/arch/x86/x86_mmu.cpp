#include "sw/arch/x86/x86_mmu.h"

#include <utility>

#include "hw/arch/x86_64.h"
#include "sw/arch/gather/tlb_flush.h"
#include "sw/arch/shootdown.h"
#include "sw/mm/flush_scope.h"
#include "sw/mm/mmu_gather.h"
#include "sw/mm/mmu_notifier.h"
#include "sw/mm/pgtable.h"

namespace shootdown::sw {

namespace {
namespace e = arch::x86_64::entry;
constexpr arch::VirtAddr kFlushAll{~std::uint64_t{0}};  // TLB_FLUSH_ALL
}  // namespace

X86Mmu::X86Mmu(GatherShape shape, const KernelBehaviour& kernel)
    : shape_(std::move(shape)), notifies_(kernel.notify_in_tlb_flush) {}

// ---- What a CPU has loaded -------------------------------------------------------------------

CpuMask X86Mmu::lazy_cpus() const {
  CpuMask mask = 0;
  for (unsigned cpu = 0; cpu < kMaxCpus; ++cpu) {
    if (states_[cpu].is_lazy) mask |= cpumask_of(cpu);
  }
  return mask;
}

void X86Mmu::leave_mm(Cpu& cpu) {
  CpuTlbState& self = state(cpu);
  if (self.loaded_mm == nullptr) return;
  self.loaded_mm->cpumask &= ~cpumask_of(cpu.id());
  self.loaded_mm = nullptr;
  self.is_lazy = false;
  cpu.trace(MmActive{.mm = {}});
}

void X86Mmu::switch_mm(Cpu& cpu, Mm& next) {
  const FunctionTrace trace(cpu, "switch_mm_irqs_off");
  const IrqGuard irqs(cpu);
  CpuTlbState& self = state(cpu);
  const bool was_lazy = std::exchange(self.is_lazy, false);
  if (self.loaded_mm == &next && !was_lazy) return;
  if (self.loaded_mm != &next) {
    if (self.loaded_mm != nullptr) self.loaded_mm->cpumask &= ~cpumask_of(cpu.id());
    // In the mask before the generation is read: a flush from now on sends an IPI.
    next.cpumask |= cpumask_of(cpu.id());
  }
  std::uint64_t& local_tlb_gen = self.tlb_gen[next.id];
  const std::uint64_t next_tlb_gen = next.tlb_gen;
  if (local_tlb_gen < next_tlb_gen && !next.kernel.inject.skip_generation_check) {
    // It missed flushes while it was lazy or had another mm.
    flush_local(cpu, next, {.asid = next.asid, .start = {}, .end = kFlushAll});
    local_tlb_gen = next_tlb_gen;
  }
  self.loaded_mm = &next;
  cpu.set_user_context({.pgd = next.pgd, .asid = next.asid});
  cpu.trace(MmActive{.mm = next.id});
}

void X86Mmu::enter_lazy_tlb(Cpu& cpu, Mm& mm) {
  CpuTlbState& self = state(cpu);
  if (self.loaded_mm != &mm) return;
  self.is_lazy = true;
  cpu.trace(MmActive{.mm = {}});
}

// ---- Flushes ---------------------------------------------------------------------------------

void X86Mmu::flush_tlb_func(Cpu& cpu, const FlushInfo& info) {
  const FunctionTrace trace(cpu, "flush_tlb_func");
  CpuTlbState& self = state(cpu);
  Mm* loaded_mm = self.loaded_mm;
  if (loaded_mm == nullptr || (info.mm != nullptr && info.mm != loaded_mm)) return;
  if (self.is_lazy) return leave_mm(cpu);
  std::uint64_t& local_tlb_gen = self.tlb_gen[loaded_mm->id];
  const std::uint64_t mm_tlb_gen = loaded_mm->tlb_gen;
  if (local_tlb_gen == mm_tlb_gen) return;  // another flush has done it
  // A range will do only if nothing else was missed.
  const bool partial = info.mm != nullptr && info.end != kFlushAll &&
                       info.new_tlb_gen == local_tlb_gen + 1 && info.new_tlb_gen == mm_tlb_gen;
  flush_local(cpu, *loaded_mm,
              {.asid = loaded_mm->asid,
               .start = partial ? info.start : arch::VirtAddr{},
               .end = partial ? info.end : kFlushAll,
               .stride_bytes = arch::page_bytes(info.stride_shift)});
  local_tlb_gen = mm_tlb_gen;
}

void X86Mmu::flush_tlb_mm_range(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end,
                                unsigned stride_shift, bool freed_tables) {
  const FunctionTrace trace(cpu, "flush_tlb_mm_range");
  if (end == kFlushAll || (end.value - start.value) >> stride_shift > kSinglePageFlushCeiling) {
    start = {};
    end = kFlushAll;
  }
  const FlushScope scope(cpu, mm, start, end);
  cpu.preempt_disable();
  const FlushInfo info{.mm = &mm,
                       .start = start,
                       .end = end,
                       .stride_shift = stride_shift,
                       .new_tlb_gen = ++mm.tlb_gen};
  CpuMask mask = mm.cpumask;
  if (!freed_tables) mask &= ~lazy_cpus();
  if (mm.kernel.inject.skip_ipi) mask &= cpumask_of(cpu.id());
  mm.kernel.smp.on_each_cpu_mask(cpu, mask, "flush_tlb_func",
                                 [&](Cpu& target) { flush_tlb_func(target, info); });
  cpu.preempt_enable();
  if (notifies_) mmu_notifier_arch_invalidate_secondary_tlbs(cpu, mm, start, end);
}

void X86Mmu::flush_tlb_page(Cpu& cpu, Mm& mm, arch::VirtAddr address) {
  const FunctionTrace trace(cpu, "flush_tlb_page");
  const arch::VirtAddr page = arch::page_of(address);
  flush_tlb_mm_range(cpu, mm, page, page + arch::kPageSize, arch::kPageShift, false);
}

void X86Mmu::flush_tlb_mm(Cpu& cpu, Mm& mm) {
  const FunctionTrace trace(cpu, "flush_tlb_mm");
  flush_tlb_mm_range(cpu, mm, {}, kFlushAll, 0, true);
}

void X86Mmu::flush_tlb_range(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end,
                             unsigned stride_shift) {
  const FunctionTrace trace(cpu, "flush_tlb_range");
  flush_tlb_mm_range(cpu, mm, start, end, stride_shift, false);
}

namespace {

class X86FlushFunctions : public FlushFunctions {
 public:
  X86FlushFunctions(X86Mmu& mmu, Cpu& cpu, Mm& mm) : mmu_(mmu), cpu_(cpu), mm_(mm) {}
  void x86_flush_tlb_mm_range(std::uint64_t start, std::uint64_t end, unsigned stride_shift,
                              bool freed_tables) override {
    mmu_.flush_tlb_mm_range(cpu_, mm_, {start}, {end}, stride_shift, freed_tables);
  }

 private:
  X86Mmu& mmu_;
  Cpu& cpu_;
  Mm& mm_;
};

}  // namespace

void X86Mmu::tlb_flush(Cpu& cpu, Mm& mm, const MmuGather& tlb) {
  X86FlushFunctions flush(*this, cpu, mm);
  sw::tlb_flush(shape_, tlb, flush);
}

// ---- Deferred flushes of reclaim -------------------------------------------------------------

bool X86Mmu::should_defer_flush(Cpu& cpu, Mm& mm) const {
  // An IPI is worth saving, a local flush is not.
  return (mm.cpumask & ~cpumask_of(cpu.id())) != 0;
}

void X86Mmu::tlbbatch_add_pending(Cpu& cpu, Mm& mm, arch::VirtAddr address, UnmapBatch& batch) {
  const FunctionTrace trace(cpu, "arch_tlbbatch_add_pending");
  begin_batched_flush(cpu, mm, address, batch);
  ++mm.tlb_gen;
  batch.cpumask |= mm.cpumask;
  if (notifies_) mmu_notifier_arch_invalidate_secondary_tlbs(cpu, mm, {}, kFlushAll);
}

void X86Mmu::tlbbatch_flush(Cpu& cpu, UnmapBatch& batch) {
  const FunctionTrace trace(cpu, "arch_tlbbatch_flush");
  Mm& first = *batch.pages.front().first;
  CpuMask mask = batch.cpumask;
  if (first.kernel.inject.skip_ipi) mask &= cpumask_of(cpu.id());
  const FlushInfo info{.mm = nullptr, .start = {}, .end = kFlushAll, .new_tlb_gen = 0};
  first.kernel.smp.on_each_cpu_mask(cpu, mask, "flush_tlb_func",
                                    [&](Cpu& target) { flush_tlb_func(target, info); });
  // One round of IPIs flushes what each CPU has loaded, for all of them.
  end_batched_flushes(cpu, batch);
}

// ---- Entries ---------------------------------------------------------------------------------

bool X86Mmu::pte_needs_flush(Pte old_pte, Pte new_pte, int level) const {
  if (!pte_valid(old_pte)) return false;
  if (pte_address(old_pte) != pte_address(new_pte)) return true;
  // flags_need_flush(): what only software looks at does not count.
  constexpr std::uint64_t kOnClear = e::Dirty::kMask | e::Present::kMask | e::Accessed::kMask;
  constexpr std::uint64_t kOnChange = e::Rw::kMask | e::User::kMask | e::Global::kMask |
                                      e::Nx::kMask | e::Pwt::kMask | e::Pcd::kMask | e::Pse::kMask;
  const std::uint64_t ignored = level == kPteLevel ? e::Accessed::kMask : std::uint64_t{0};
  const std::uint64_t difference = (old_pte.value ^ new_pte.value) & ~ignored;
  const std::uint64_t cleared = difference & old_pte.value;
  return (cleared & kOnClear) != 0 || (difference & kOnChange) != 0;
}

bool X86Mmu::ptep_set_access_flags(Cpu& cpu, Mm& mm, const PteSlot& slot, Pte entry, bool dirty) {
  const FunctionTrace trace(cpu, "ptep_set_access_flags");
  const Pte pte = ptep_get(cpu, slot);
  if (pte == entry) return false;
  // No flush: a CPU that faults on what it has cached walks again by itself.
  if (dirty) set_pte_at(cpu, mm, slot, entry);
  return true;
}

bool X86Mmu::ptep_clear_flush_young(Cpu& cpu, Mm& mm, const PteSlot& slot) {
  const FunctionTrace trace(cpu, "ptep_clear_flush_young");
  Pte pte = ptep_get(cpu, slot);
  while (pte_young(pte)) {
    const Pte found{cpu.compare_exchange(slot.address, pte.value, pte_mkold(pte).value)};
    if (found == pte) {
      cpu.trace(PteStore{.mm = mm.id,
                         .va = slot.va,
                         .level = slot.level,
                         .entry = slot.address,
                         .before = {pte.value},
                         .after = {pte_mkold(pte).value},
                         .protnone = pte_protnone(pte_mkold(pte))});
      // No flush: a young entry in a TLB costs accuracy, nothing else.
      return true;
    }
    pte = found;
  }
  return false;
}

}  // namespace shootdown::sw
