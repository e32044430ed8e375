#include "sw/arch/shootdown.h"

namespace shootdown::sw {

void flush_local(Cpu& cpu, const Mm& mm, const LocalFlush& flush) {
  const SoftwareInjections& inject = mm.kernel.inject;
  if (inject.skip_cpu_tlbi) return;
  arch::Invalidation what{.scope = arch::Invalidation::Scope::kAsid,
                          .asid = flush.asid,
                          .start = 0,
                          .last = ~std::uint64_t{0},
                          .leaf_only = flush.leaf_only};
  if (inject.wrong_asid_cpu_tlbi) what.asid.value ^= 0x8000;
  if (flush.whole()) return cpu.tlbi_local(what);
  what.scope = arch::Invalidation::Scope::kVa;
  for (arch::VirtAddr va = flush.start; va < flush.end; va = va + flush.stride_bytes) {
    // An address stands for the whole of the page it lies in, whatever its size.
    what.start = va.value;
    what.last = va.value + arch::kPageSize - 1;
    cpu.tlbi_local(what);
  }
}

}  // namespace shootdown::sw
