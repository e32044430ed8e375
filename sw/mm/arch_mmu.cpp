#include "sw/mm/arch_mmu.h"

#include "sw/mm/mm_types.h"

namespace shootdown::sw {

void ArchMmu::switch_mm(Cpu& cpu, Mm& next) {
  cpu.set_user_context({.pgd = next.pgd, .asid = next.asid});
}

void begin_batched_flush(Cpu& cpu, Mm& mm, arch::VirtAddr address, UnmapBatch& batch) {
  batch.flushes.push_back(++mm.kernel.flushes);
  cpu.trace(FlushBegin{.flush = batch.flushes.back(),
                       .mm = mm.id,
                       .start = address,
                       .end = address + arch::kPageSize,
                       .secondary = true});
}

void end_batched_flushes(Cpu& cpu, const UnmapBatch& batch) {
  for (const std::uint64_t flush : batch.flushes) {
    cpu.trace(FlushEnd{.flush = flush, .done = true});
  }
}

}  // namespace shootdown::sw
