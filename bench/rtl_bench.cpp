// The Verilated TLB alone: what the co-simulation's rate is held against.
#include <benchmark/benchmark.h>

#include "cosim/rtl/rtl_context.h"
#include "cosim/rtl/tlb_dut.h"

namespace shootdown::cosim {
namespace {

/// Look-ups one after the other, each waited for: what a DMA stream does to the SMMU's TLB.
void bare_rtl(benchmark::State& state) {
  RtlContext context;
  const auto dut = make_tlb_dut(context, static_cast<unsigned>(state.range(0)),
                                static_cast<unsigned>(state.range(1)), "tlb");
  std::uint64_t cycles = 0;
  const auto run = [&](const TlbRequest& request) {
    bool offered = true;
    for (;;) {
      dut->drive(offered ? &request : nullptr);
      const bool accepted = offered && dut->request_ready();
      dut->clock(true);
      const bool done = dut->response_valid();
      dut->clock(false);
      ++cycles;
      if (accepted) offered = false;
      if (done) return;
    }
  };
  TlbRequest fill{.operation = TlbOperation::kFill};
  for (std::uint64_t page = 0; page < 16; ++page) {
    fill.va_page = 0x7f8000010 + page;
    fill.asid = 3;
    fill.pa_page = 0x80000 + page;
    fill.permissions = 0xf;
    run(fill);
  }
  TlbRequest lookup{.operation = TlbOperation::kLookup};
  lookup.asid = 3;
  lookup.va_page = 0x7f8000010;
  cycles = 0;
  for (auto _ : state) run(lookup);
  state.counters["rtl_cycles/s"] =
      benchmark::Counter(static_cast<double>(cycles), benchmark::Counter::kIsRate);
}
BENCHMARK(bare_rtl)->ArgNames({"entries", "ways"})->Args({32, 4})->Args({64, 64});

}  // namespace
}  // namespace shootdown::cosim
