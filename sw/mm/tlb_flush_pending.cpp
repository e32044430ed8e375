#include "sw/mm/tlb_flush_pending.h"

namespace shootdown::sw {

void inc_tlb_flush_pending(Cpu& cpu, Mm& mm) {
  ++mm.tlb_flush_pending;
  cpu.trace(FlushPending{.mm = mm.id, .count = mm.tlb_flush_pending});
}

void dec_tlb_flush_pending(Cpu& cpu, Mm& mm) {
  --mm.tlb_flush_pending;
  cpu.trace(FlushPending{.mm = mm.id, .count = mm.tlb_flush_pending});
}

}  // namespace shootdown::sw
