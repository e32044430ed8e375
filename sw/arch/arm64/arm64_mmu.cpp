#include "sw/arch/arm64/arm64_mmu.h"

#include "sw/arch/arm64/pgtable.h"
#include "sw/arch/gather/tlb_flush.h"
#include "sw/mm/flush_scope.h"
#include "sw/mm/mmu_gather.h"
#include "sw/mm/mmu_notifier.h"
#include "sw/mm/pgtable.h"

namespace shootdown::sw {

using arch::TlbiOp;

// ---- Entry format ----------------------------------------------------------------------------

bool Arm64Mmu::pte_present(Pte pte) const { return (pte.value & arm64::PTE_VALID) != 0; }
bool Arm64Mmu::pte_table(Pte pte, int level) const {
  return arch::vmsa64::is_table(pte.value, level);
}
bool Arm64Mmu::pte_write(Pte pte) const { return arm64::pte_write(pte); }
bool Arm64Mmu::pte_dirty(Pte pte) const { return arm64::pte_dirty(pte); }
bool Arm64Mmu::pte_young(Pte pte) const { return arm64::pte_young(pte); }
Pte Arm64Mmu::pte_mkwrite(Pte pte) const { return arm64::pte_mkwrite(pte); }
Pte Arm64Mmu::pte_mkdirty(Pte pte) const { return arm64::pte_mkdirty(pte); }
Pte Arm64Mmu::pte_mkyoung(Pte pte) const { return {pte.value | arm64::PTE_AF}; }
Pte Arm64Mmu::pte_mkold(Pte pte) const { return {pte.value & ~arm64::PTE_AF}; }
Pte Arm64Mmu::pte_wrprotect(Pte pte) const { return arm64::pte_wrprotect(pte); }

Pte Arm64Mmu::mk_pte(arch::PhysAddr page, int level) const {
  // PAGE_READONLY, not executable: write permission is added by pte_mkwrite().
  const std::uint64_t type =
      level == arch::vmsa64::kLastLevel ? arch::vmsa64::kTypeTableOrPage : arch::vmsa64::kTypeBlock;
  return {page.value | type | arm64::PTE_USER | arm64::PTE_RDONLY | arm64::PTE_SHARED |
          arm64::PTE_AF | arm64::PTE_NG | arm64::PTE_PXN | arm64::PTE_UXN};
}

Pte Arm64Mmu::mk_table(arch::PhysAddr table) const {
  return {table.value | arch::vmsa64::kTypeTableOrPage};
}

arch::PhysAddr Arm64Mmu::pte_address(Pte pte) const { return arch::vmsa64::next_table(pte.value); }

// ---- Flushes ---------------------------------------------------------------------------------

namespace {

/// PTRS_PER_PTE: more single operations than this and the whole ASID is cheaper (MAX_TLBI_OPS).
constexpr std::uint64_t kMaxTlbiOps = arch::vmsa64::kEntriesPerTable;
/// Pages from which on range operations are not used (MAX_TLBI_RANGE_PAGES).
constexpr std::uint64_t kMaxTlbiRangePages = arch::tlbi_range_pages(3, 31);

std::uint64_t va_operand(std::uint64_t va, arch::Asid asid, unsigned ttl) {
  return arch::tlbi_va::VaPage::of(va >> arch::kPageShift) | arch::tlbi_va::Ttl::of(ttl) |
         arch::tlbi_va::AsidField::of(asid.value);
}

}  // namespace

void Arm64Mmu::tlbi(Cpu& cpu, const Mm& mm, TlbiOp op, std::uint64_t operand) const {
  if (mm.kernel.inject.skip_cpu_tlbi) return;
  if (mm.kernel.inject.wrong_asid_cpu_tlbi) operand ^= arch::tlbi_va::AsidField::of(0x8000);
  cpu.tlbi(op, operand);
}

void Arm64Mmu::dsb_ish(Cpu& cpu, const Mm& mm) const {
  if (!mm.kernel.inject.skip_dsb) cpu.dsb(Barrier::kIsh);
}

void Arm64Mmu::notify(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end) const {
  if (mm.kernel.behaviour.notify_in_tlb_flush) {
    mmu_notifier_arch_invalidate_secondary_tlbs(cpu, mm, start, end);
  }
}

void Arm64Mmu::flush_tlb_page_nosync(Cpu& cpu, Mm& mm, arch::VirtAddr address) {
  cpu.dsb(Barrier::kIshst);
  tlbi(cpu, mm, TlbiOp::kVale1is, va_operand(address.value, mm.asid, 0));
  const arch::VirtAddr page = arch::page_of(address);
  notify(cpu, mm, page, page + arch::kPageSize);
}

void Arm64Mmu::flush_tlb_page(Cpu& cpu, Mm& mm, arch::VirtAddr address) {
  const FunctionTrace trace(cpu, "flush_tlb_page");
  const arch::VirtAddr page = arch::page_of(address);
  const FlushScope scope(cpu, mm, page, page + arch::kPageSize);
  flush_tlb_page_nosync(cpu, mm, address);
  dsb_ish(cpu, mm);
}

void Arm64Mmu::flush_tlb_mm(Cpu& cpu, Mm& mm) {
  const FunctionTrace trace(cpu, "flush_tlb_mm");
  const FlushScope scope(cpu, mm, {}, kEndOfAddressSpace);
  cpu.dsb(Barrier::kIshst);
  tlbi(cpu, mm, TlbiOp::kAside1is, arch::tlbi_va::AsidField::of(mm.asid.value));
  dsb_ish(cpu, mm);
  notify(cpu, mm, {}, kEndOfAddressSpace);
}

void Arm64Mmu::tlbi_range_loop(Cpu& cpu, Mm& mm, std::uint64_t start, std::uint64_t pages,
                               const FlushShape& shape) const {
  const bool hinted = features_.ttl && shape.level >= 1 && shape.level <= 3;
  // Granule 1 = 4 KiB in the upper half of the hint.
  const unsigned ttl = hinted ? 1U << 2 | static_cast<unsigned>(shape.level) : 0;
  unsigned scale = 0;
  while (pages > 0) {
    if (!features_.tlbi_range || pages % 2 == 1) {
      tlbi(cpu, mm, shape.last_level ? TlbiOp::kVale1is : TlbiOp::kVae1is,
           va_operand(start, mm.asid, ttl));
      const std::uint64_t step = shape.stride_bytes >> arch::kPageShift;
      start += shape.stride_bytes;
      pages -= step < pages ? step : pages;
      continue;
    }
    // Bits [5*scale+5 : 5*scale+1] of the page count, one operation per scale that has any.
    const std::uint64_t units = (pages >> (5 * scale + 1)) & 31;
    if (units != 0) {
      namespace field = arch::tlbi_range;
      const auto num = static_cast<unsigned>(units - 1);
      const unsigned level =
          shape.level >= 1 && shape.level <= 3 ? static_cast<unsigned>(shape.level) : 0;
      tlbi(cpu, mm, shape.last_level ? TlbiOp::kRvale1is : TlbiOp::kRvae1is,
           field::BaseAddr::of(start >> arch::kPageShift) | field::Ttl::of(level) |
               field::Num::of(num) | field::Scale::of(scale) | field::Tg::of(1) |
               field::AsidField::of(mm.asid.value));
      const std::uint64_t done = arch::tlbi_range_pages(scale, num);
      start += done << arch::kPageShift;
      pages -= done;
    }
    ++scale;
  }
}

void Arm64Mmu::flush_tlb_range(Cpu& cpu, Mm& mm, arch::VirtAddr start, arch::VirtAddr end,
                               const FlushShape& shape) {
  const FunctionTrace trace(cpu, "flush_tlb_range");
  start = {start.value & ~(shape.stride_bytes - 1)};
  end = {(end.value + shape.stride_bytes - 1) & ~(shape.stride_bytes - 1)};
  const std::uint64_t pages = (end.value - start.value) >> arch::kPageShift;
  if ((!features_.tlbi_range && end.value - start.value >= kMaxTlbiOps * shape.stride_bytes) ||
      pages >= kMaxTlbiRangePages) {
    flush_tlb_mm(cpu, mm);
    return;
  }
  const FlushScope scope(cpu, mm, start, end);
  cpu.dsb(Barrier::kIshst);
  tlbi_range_loop(cpu, mm, start.value, pages, shape);
  notify(cpu, mm, start, end);
  dsb_ish(cpu, mm);
}

namespace {

/// The flush functions that arm64's tlb_flush() calls, on a CPU.
class Arm64FlushFunctions : public FlushFunctions {
 public:
  Arm64FlushFunctions(Arm64Mmu& mmu, Cpu& cpu, Mm& mm) : mmu_(mmu), cpu_(cpu), mm_(mm) {}
  void flush_tlb_mm() override { mmu_.flush_tlb_mm(cpu_, mm_); }
  void arm64_flush_tlb_range(std::uint64_t start, std::uint64_t end, std::uint64_t stride,
                             bool last_level, int level) override {
    mmu_.flush_tlb_range(cpu_, mm_, {start}, {end},
                         {.stride_bytes = stride, .last_level = last_level, .level = level});
  }

 private:
  Arm64Mmu& mmu_;
  Cpu& cpu_;
  Mm& mm_;
};

}  // namespace

Arm64Mmu::Arm64Mmu(Arm64Features features, const KernelBehaviour& kernel)
    : features_(features), gather_(*gather_shape("arm64", kernel)) {}

void Arm64Mmu::tlb_flush(Cpu& cpu, Mm& mm, const MmuGather& tlb) {
  Arm64FlushFunctions flush(*this, cpu, mm);
  sw::tlb_flush(gather_, tlb, flush);
}

// ---- Entries in place ------------------------------------------------------------------------

bool Arm64Mmu::ptep_set_access_flags(Cpu& cpu, Mm& mm, const PteSlot& slot, Pte entry, bool dirty) {
  const FunctionTrace trace(cpu, "ptep_set_access_flags");
  Pte pte = ptep_get(cpu, slot);
  if (pte == entry) return false;
  // Only these bits move, and only towards more permission. PTE_RDONLY is inverted so that the OR
  // below keeps the weaker of the two.
  constexpr std::uint64_t kFlags =
      arm64::PTE_RDONLY | arm64::PTE_AF | arm64::PTE_WRITE | arm64::PTE_DIRTY;
  const std::uint64_t wanted = (entry.value & kFlags) ^ arm64::PTE_RDONLY;
  for (;;) {
    std::uint64_t merged = pte.value ^ arm64::PTE_RDONLY;
    merged |= wanted;
    merged ^= arm64::PTE_RDONLY;
    const Pte found{cpu.compare_exchange(slot.address, pte.value, merged)};
    if (found == pte) {
      cpu.trace(PteStore{.mm = mm.id,
                         .va = slot.va,
                         .level = slot.level,
                         .entry = slot.address,
                         .before = pte.value,
                         .after = merged});
      break;
    }
    pte = found;
  }
  // An access-flag update needs no flush: an entry without it is never cached.
  if (dirty) flush_tlb_page(cpu, mm, slot.va);
  return true;
}

bool Arm64Mmu::ptep_clear_flush_young(Cpu& cpu, Mm& mm, const PteSlot& slot) {
  const FunctionTrace trace(cpu, "ptep_clear_flush_young");
  Pte pte = ptep_get(cpu, slot);
  for (;;) {
    const Pte old = pte_mkold(pte);
    const Pte found{cpu.compare_exchange(slot.address, pte.value, old.value)};
    if (found == pte) {
      cpu.trace(PteStore{.mm = mm.id,
                         .va = slot.va,
                         .level = slot.level,
                         .entry = slot.address,
                         .before = pte.value,
                         .after = old.value});
      break;
    }
    pte = found;
  }
  if (!pte_young(pte)) return false;
  // The DSB is elided: a stale young entry costs accuracy of ageing, nothing else.
  flush_tlb_page_nosync(cpu, mm, slot.va);
  return true;
}

}  // namespace shootdown::sw
