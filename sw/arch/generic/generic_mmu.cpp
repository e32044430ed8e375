#include "sw/arch/generic/generic_mmu.h"

#include "sw/arch/arm64/pgtable.h"
#include "sw/arch/shootdown.h"
#include "sw/mm/flush_scope.h"
#include "sw/mm/mmu_gather.h"
#include "sw/mm/mmu_notifier.h"
#include "sw/mm/pgtable.h"

namespace shootdown::sw {

namespace {

/// Beyond so many pages the whole address space is cheaper (tlb_flush_all_threshold of riscv).
constexpr std::uint64_t kFlushAllThreshold = 64;
constexpr arch::VirtAddr kEverything{~std::uint64_t{0}};

}  // namespace

GenericMmu::GenericMmu(GatherShape shape, ShootdownBy shootdown, const KernelBehaviour& kernel)
    : shape_(std::move(shape)), shootdown_(shootdown), notifies_(kernel.notify_in_tlb_flush) {}

// ---- Flushes ---------------------------------------------------------------------------------

void GenericMmu::flush(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end,
                       std::uint64_t stride_bytes, const char* function) {
  const FunctionTrace trace(cpu, function);
  start = {start.value & ~(stride_bytes - 1)};
  if (end != kEverything) end = {(end.value + stride_bytes - 1) & ~(stride_bytes - 1)};
  const bool whole =
      end == kEverything || (end.value - start.value) / stride_bytes > kFlushAllThreshold;
  if (whole) {
    start = {};
    end = kEverything;
  }
  const FlushScope scope(cpu, mm, start, end);
  if (shootdown_ == ShootdownBy::kBroadcast) {
    cpu.dsb(Barrier::kIshst);
    const auto tlbi = [&](arch::TlbiOp op, std::uint64_t va) {
      if (mm.kernel.inject.skip_cpu_tlbi) return;
      std::uint64_t asid = mm.asid.value;
      if (mm.kernel.inject.wrong_asid_cpu_tlbi) asid ^= 0x8000;
      cpu.tlbi(op, arch::tlbi_va::VaPage::of(va >> arch::kPageShift) |
                       arch::tlbi_va::AsidField::of(asid));
    };
    if (whole) {
      tlbi(arch::TlbiOp::kAside1is, 0);
    } else {
      for (arch::VirtAddr va = start; va < end; va = va + stride_bytes) {
        tlbi(arch::TlbiOp::kVae1is, va.value);
      }
    }
    if (!mm.kernel.inject.skip_dsb) cpu.dsb(Barrier::kIsh);
  } else {
    const LocalFlush local{.asid = mm.asid,
                           .start = start,
                           .end = end,
                           .stride_bytes = stride_bytes,
                           .leaf_only = false};
    CpuMask mask = mm.cpumask;
    if (mm.kernel.inject.skip_ipi) mask &= cpumask_of(cpu.id());
    mm.kernel.smp.on_each_cpu_mask(cpu, mask, "ipi_flush_tlb",
                                   [&](Cpu& target) { flush_local(target, mm, local); });
  }
  if (notifies_) mmu_notifier_arch_invalidate_secondary_tlbs(cpu, mm, start, end);
}

void GenericMmu::flush_tlb_page(Cpu& cpu, Mm& mm, arch::VirtAddr address) {
  const arch::VirtAddr page = arch::page_of(address);
  flush(cpu, mm, page, page + arch::kPageSize, arch::kPageSize, "flush_tlb_page");
}

void GenericMmu::flush_tlb_mm(Cpu& cpu, Mm& mm) {
  flush(cpu, mm, {}, kEverything, arch::kPageSize, "flush_tlb_mm");
}

void GenericMmu::flush_tlb_range(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end,
                                 unsigned stride_shift) {
  // MMU_GATHER_NO_RANGE: the architecture has no range flush.
  if (shape_.config.knobs.no_range) return flush_tlb_mm(cpu, mm);
  flush(cpu, mm, start, end, arch::page_bytes(stride_shift), "flush_tlb_range");
}

namespace {

/// The flush functions of all architectures, on this hardware.
class LoweredFlushes : public FlushFunctions {
 public:
  LoweredFlushes(GenericMmu& mmu, Cpu& cpu, Mm& mm) : mmu_(mmu), cpu_(cpu), mm_(mm) {}
  void flush_tlb_mm() override { mmu_.flush_tlb_mm(cpu_, mm_); }
  void flush_tlb_range(std::uint64_t start, std::uint64_t end, bool /*exec*/, bool huge) override {
    range(start, end, huge ? kPmdShift : arch::kPageShift);
  }
  void arm64_flush_tlb_range(std::uint64_t start, std::uint64_t end, std::uint64_t /*stride*/,
                             bool /*last_level*/, int /*level*/) override {
    range(start, end, arch::kPageShift);
  }
  void x86_flush_tlb_mm_range(std::uint64_t start, std::uint64_t end, unsigned stride_shift,
                              bool /*freed_tables*/) override {
    if (end == ~std::uint64_t{0}) return flush_tlb_mm();
    range(start, end, stride_shift);
  }
  void riscv_flush_tlb_mm_range(std::uint64_t start, std::uint64_t end,
                                std::uint64_t /*stride*/) override {
    range(start, end, arch::kPageShift);
  }
  void ppc_flush_range(std::uint64_t start, std::uint64_t end, int /*psize*/,
                       bool /*page_walk_cache*/) override {
    range(start, end, arch::kPageShift);
  }
  void ppc_flush_mm() override { flush_tlb_mm(); }
  void ppc_flush_all_mm(bool /*full*/) override { flush_tlb_mm(); }
  void ppc_exit_lazy_tlbs() override {}
  // Batches of their own, filled as entries are cleared: here flushed when that happens, or whole.
  void ppc_hash_flush_pending() override { flush_tlb_mm(); }
  void sparc64_flush_tlb_pending() override { flush_tlb_mm(); }
  void s390_flush_mm_lazy() override {
    if (!mm_.s390_flush_mm) return;
    mm_.s390_flush_mm = false;
    flush_tlb_mm();
  }

 private:
  void range(std::uint64_t start, std::uint64_t end, unsigned shift) {
    mmu_.flush_tlb_range(cpu_, mm_, {start}, {end}, shift);
  }
  GenericMmu& mmu_;
  Cpu& cpu_;
  Mm& mm_;
};

}  // namespace

void GenericMmu::tlb_flush(Cpu& cpu, Mm& mm, const MmuGather& tlb) {
  LoweredFlushes flush(*this, cpu, mm);
  sw::tlb_flush(shape_, tlb, flush);
}

void GenericMmu::pte_cleared(Cpu& cpu, Mm& mm, const PteSlot& slot, Pte old_pte) {
  // s390: the instruction that invalidates an entry flushes it (IPTE).
  if (shape_.rule == TlbFlushRule::kS390 && pte_valid(old_pte)) {
    flush_tlb_page(cpu, mm, slot.va);
  }
}

bool GenericMmu::pte_needs_flush(Pte old_pte, Pte new_pte, int) const {
  if (shape_.rule != TlbFlushRule::kPowerpcRadix) return true;
  // powerpc radix: an upgrade by itself needs none.
  const bool lost = (pte_write(old_pte) && !pte_write(new_pte)) ||
                    (pte_dirty(old_pte) && !pte_dirty(new_pte)) ||
                    (pte_young(old_pte) && !pte_young(new_pte));
  return lost || pte_valid(old_pte) != pte_valid(new_pte) ||
         pte_address(old_pte) != pte_address(new_pte);
}

// ---- Entries in place (mm/pgtable-generic.c) -------------------------------------------------

bool GenericMmu::ptep_set_access_flags(Cpu& cpu, Mm& mm, const PteSlot& slot, Pte entry,
                                       bool /*dirty*/) {
  const FunctionTrace trace(cpu, "ptep_set_access_flags");
  if (ptep_get(cpu, slot) == entry) return false;
  set_pte_at(cpu, mm, slot, entry);
  flush_tlb_fix_spurious_fault(cpu, mm, slot.va);
  return true;
}

bool GenericMmu::ptep_clear_flush_young(Cpu& cpu, Mm& mm, const PteSlot& slot) {
  const FunctionTrace trace(cpu, "ptep_clear_flush_young");
  const Pte pte = ptep_get(cpu, slot);
  if (!pte_young(pte)) return false;
  set_pte_at(cpu, mm, slot, pte_mkold(pte));
  flush_tlb_page(cpu, mm, slot.va);
  return true;
}

void GenericMmu::flush_tlb_fix_spurious_fault(Cpu& cpu, Mm& mm, arch::VirtAddr address) {
  flush_tlb_page(cpu, mm, address);
}

void GenericMmu::switch_mm(Cpu& cpu, Mm& next) {
  // Never taken out again: with ASIDs, entries outlive the switch away.
  next.cpumask |= cpumask_of(cpu.id());
  cpu.set_user_context({.pgd = next.pgd, .asid = next.asid});
}

}  // namespace shootdown::sw
