#include "sw/arch/arm64/arm64_mmu.h"

#include "hw/arch/check.h"
#include "sw/arch/arm64/ptep.h"
#include "sw/arch/gather/tlb_flush.h"
#include "sw/mm/flush_scope.h"
#include "sw/mm/mmu_gather.h"
#include "sw/mm/mmu_notifier.h"
#include "sw/mm/pgtable.h"

namespace shootdown::sw {

using arch::TlbiOp;

// ---- Flushes ---------------------------------------------------------------------------------

namespace {

/// Issues flush sequences on a CPU, for an mm; planted defects of the software act here.
class CpuFlushPort : public Arm64FlushPort {
 public:
  CpuFlushPort(Cpu& cpu, Mm& mm) : cpu_(cpu), mm_(mm) {}
  void tlbi(TlbiOp op, std::uint64_t operand) override {
    if (mm_.kernel.inject.skip_cpu_tlbi) return;
    if (mm_.kernel.inject.wrong_asid_cpu_tlbi) operand ^= arch::tlbi_va::AsidField::of(0x8000);
    cpu_.tlbi(op, operand);
  }
  void tlbi_vmalle1_local() override {
    SHOOTDOWN_CHECK(false, "nothing here flushes one CPU only");
  }
  void dsb(Arm64Dsb kind) override {
    SHOOTDOWN_CHECK(kind == Arm64Dsb::kIshst || kind == Arm64Dsb::kIsh, "not a barrier of a CPU");
    if (kind == Arm64Dsb::kIshst) {
      cpu_.dsb(Barrier::kIshst);
    } else if (!mm_.kernel.inject.skip_dsb) {
      cpu_.dsb(Barrier::kIsh);
    }
  }
  void isb() override { cpu_.isb(); }
  void notify(std::uint64_t start, std::uint64_t end) override {
    mmu_notifier_arch_invalidate_secondary_tlbs(cpu_, mm_, {start}, {end});
  }

 private:
  Cpu& cpu_;
  Mm& mm_;
};

}  // namespace

void Arm64Mmu::flush_tlb_page_nosync(Cpu& cpu, Mm& mm, arch::VirtAddr address) {
  CpuFlushPort port(cpu, mm);
  flush_.flush_tlb_page_nosync(port, mm.asid, address.value);
}

void Arm64Mmu::flush_tlb_page(Cpu& cpu, Mm& mm, arch::VirtAddr address) {
  const FunctionTrace trace(cpu, "flush_tlb_page");
  const arch::VirtAddr page = arch::page_of(address);
  const FlushScope scope(cpu, mm, page, page + arch::kPageSize);
  CpuFlushPort port(cpu, mm);
  flush_.flush_tlb_page(port, mm.asid, address.value);
}

void Arm64Mmu::flush_tlb_mm(Cpu& cpu, Mm& mm) {
  const FunctionTrace trace(cpu, "flush_tlb_mm");
  const FlushScope scope(cpu, mm, {}, kEndOfAddressSpace);
  CpuFlushPort port(cpu, mm);
  flush_.flush_tlb_mm(port, mm.asid);
}

void Arm64Mmu::arm64_flush_tlb_range(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end,
                                     const FlushShape& shape) {
  const FunctionTrace trace(cpu, "flush_tlb_range");
  start = {start.value & ~(shape.stride_bytes - 1)};
  end = {(end.value + shape.stride_bytes - 1) & ~(shape.stride_bytes - 1)};
  const bool all = flush_.flushes_whole_mm(end.value - start.value, shape.stride_bytes);
  const FlushScope scope(cpu, mm, all ? arch::VirtAddr{} : start, all ? kEndOfAddressSpace : end);
  CpuFlushPort port(cpu, mm);
  flush_.flush_tlb_range(port, mm.asid, start.value, end.value, shape);
}

namespace {

/// The flush functions that arm64's tlb_flush() calls, on a CPU.
class Arm64FlushFunctions : public FlushFunctions {
 public:
  Arm64FlushFunctions(Arm64Mmu& mmu, Cpu& cpu, Mm& mm) : mmu_(mmu), cpu_(cpu), mm_(mm) {}
  void flush_tlb_mm() override { mmu_.flush_tlb_mm(cpu_, mm_); }
  void arm64_flush_tlb_range(std::uint64_t start, std::uint64_t end, std::uint64_t stride,
                             bool last_level, int level) override {
    mmu_.arm64_flush_tlb_range(cpu_, mm_, {start}, {end},
                               {.stride_bytes = stride, .last_level = last_level, .level = level});
  }

 private:
  Arm64Mmu& mmu_;
  Cpu& cpu_;
  Mm& mm_;
};

}  // namespace

Arm64Mmu::Arm64Mmu(Arm64Features features, const KernelBehaviour& kernel)
    : flush_(features, kernel),
      gather_(*gather_shape("arm64", kernel)),
      batched_unmap_(kernel.arm64_batched_unmap) {}

int Arm64Mmu::unknown_level() const { return gather_.arm64_ttl_unknown ? kArm64TtlUnknown : 0; }

void Arm64Mmu::flush_tlb_range(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end,
                               unsigned stride_shift) {
  // flush_tlb_range() and, with a stride of PMD_SIZE, flush_pmd_tlb_range().
  const bool pmd = stride_shift == kPmdShift;
  arm64_flush_tlb_range(cpu, mm, start, end,
                        {.stride_bytes = arch::page_bytes(stride_shift),
                         .last_level = false,
                         .level = pmd ? 2 : unknown_level()});
}

void Arm64Mmu::tlbbatch_add_pending(Cpu& cpu, Mm& mm, arch::VirtAddr address, UnmapBatch& batch) {
  const FunctionTrace trace(cpu, "arch_tlbbatch_add_pending");
  begin_batched_flush(cpu, mm, address, batch);
  flush_tlb_page_nosync(cpu, mm, address);
}

void Arm64Mmu::tlbbatch_flush(Cpu& cpu, UnmapBatch& batch) {
  const FunctionTrace trace(cpu, "arch_tlbbatch_flush");
  CpuFlushPort port(cpu, *batch.pages.front().first);
  flush_.tlbbatch_flush(port);
  end_batched_flushes(cpu, batch);
}

void Arm64Mmu::tlb_flush(Cpu& cpu, Mm& mm, const MmuGather& tlb) {
  Arm64FlushFunctions flush(*this, cpu, mm);
  sw::tlb_flush(gather_, tlb, flush);
}

// ---- Entries in place ------------------------------------------------------------------------

namespace {

/// Entries in simulated memory: every store is traced, every flush one of this kernel.
class CpuPteHost : public arm64::PteHost {
 public:
  CpuPteHost(Arm64Mmu& mmu, Cpu& cpu, Mm& mm, int level)
      : mmu_(mmu), cpu_(cpu), mm_(mm), level_(level) {}
  std::uint64_t load(arch::PhysAddr entry) override { return cpu_.load(entry); }
  std::uint64_t compare_exchange(arch::PhysAddr entry, arch::VirtAddr va, std::uint64_t expected,
                                 std::uint64_t desired) override {
    const std::uint64_t found = cpu_.compare_exchange(entry, expected, desired);
    if (found == expected) {
      cpu_.trace(PteStore{.mm = mm_.id,
                          .va = va,
                          .level = level_,
                          .entry = entry,
                          .before = {found},
                          .after = {desired},
                          .protnone = mmu_.pte_protnone({desired})});
    }
    return found;
  }
  void flush_tlb_page(arch::VirtAddr va) override { mmu_.flush_tlb_page(cpu_, mm_, va); }
  void flush_tlb_page_nosync(arch::VirtAddr va) override {
    mmu_.flush_tlb_page_nosync(cpu_, mm_, va);
  }
  void flush_tlb_range(arch::VirtAddr start, arch::VirtAddr end) override {
    mmu_.arm64_flush_tlb_range(cpu_, mm_, start, end, {.last_level = true, .level = 3});
  }
  void flush_tlb_range_nosync(arch::VirtAddr start, arch::VirtAddr end) override {
    flush_tlb_range(start, end);  // of contiguous blocks, which this kernel does not make
  }

 private:
  Arm64Mmu& mmu_;
  Cpu& cpu_;
  Mm& mm_;
  int level_;
};

}  // namespace

bool Arm64Mmu::ptep_set_access_flags(Cpu& cpu, Mm& mm, const PteSlot& slot, Pte entry, bool dirty) {
  const FunctionTrace trace(cpu, "ptep_set_access_flags");
  CpuPteHost host(*this, cpu, mm, slot.level);
  arm64::PteContext context{.host = host};
  return arm64::ptep_set_access_flags(context, slot.address, slot.va, entry, dirty);
}

bool Arm64Mmu::ptep_clear_flush_young(Cpu& cpu, Mm& mm, const PteSlot& slot) {
  const FunctionTrace trace(cpu, "ptep_clear_flush_young");
  CpuPteHost host(*this, cpu, mm, slot.level);
  arm64::PteContext context{.host = host};
  return arm64::ptep_clear_flush_young(context, slot.address, slot.va);
}

}  // namespace shootdown::sw
