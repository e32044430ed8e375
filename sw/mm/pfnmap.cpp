#include "sw/mm/pfnmap.h"

#include "sw/mm/arch_mmu.h"
#include "sw/mm/pgtable.h"

namespace shootdown::sw {

void remap_pfn_range(Cpu& cpu, Mm& mm, const Vma& vma) {
  const FunctionTrace trace(cpu, "remap_pfn_range");
  for (arch::VirtAddr va = vma.start; va < vma.end; va = va + arch::kPageSize) {
    const auto slot = pte_alloc(cpu, mm, va, kPteLevel);
    if (!slot) return;
    const auto frame = vma.file->frames.find(vma.file_offset + (va.value - vma.start.value));
    if (frame == vma.file->frames.end()) continue;
    Pte pte = mm.arch.mk_pte(frame->second->address, slot->level);
    if (vma.protection.write) pte = mm.arch.pte_mkwrite(mm.arch.pte_mkdirty(pte));
    const SpinGuard ptl(pte_lockptr(mm, *slot), cpu);
    set_pte_at(cpu, mm, *slot, pte);
  }
}

}  // namespace shootdown::sw
