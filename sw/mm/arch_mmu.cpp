#include "sw/mm/arch_mmu.h"

namespace shootdown::sw {

void ArchMmu::switch_mm(Cpu& cpu, Mm& next) {
  cpu.set_user_context({.pgd = next.pgd, .asid = next.asid});
}

}  // namespace shootdown::sw
