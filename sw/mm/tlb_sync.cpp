#include "sw/mm/tlb_sync.h"

#include "sw/mm/arch_mmu.h"

namespace shootdown::sw {

void tlb_remove_table_sync_one(Cpu& cpu, Mm& mm) {
  if (!mm.arch.gather_config().knobs.rcu_table_free) return;
  const FunctionTrace trace(cpu, "tlb_remove_table_sync_one");
  mm.kernel.smp.call_function_many(cpu, mm.kernel.smp.online(), "tlb_remove_table_smp_sync",
                                   [](Cpu&) {});
}

}  // namespace shootdown::sw
