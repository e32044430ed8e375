// Compares one build of the RTL TLB, usually a mutant, with the reference. Exit status 0: no
// difference and no failed assertion; 1: the defect was found, and how is printed.
#include <cstdio>
#include <memory>

#include "Vtlb_mutant.h"
#include "cosim/rtl/verilated_tlb_dut.h"
#include "tlb_equivalence.h"

int main() {
  using namespace shootdown;
  cosim::RtlContext context;
  cosim::VerilatedTlbDut<Vtlb_mutant> dut(context, "tlb");
  const std::string difference = tests::first_difference(dut, 32, 4, 1, 100'000);
  const unsigned assertions = context.take_failed_assertions();
  if (!difference.empty()) std::printf("lockstep: %s\n", difference.c_str());
  if (assertions != 0) std::printf("assertions failed: %u\n", assertions);
  return difference.empty() && assertions == 0 ? 0 : 1;
}
