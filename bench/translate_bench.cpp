// Translation as runs do it: hw::Mmu in simulated time, on its bus, with its event port. The thread
// runs ahead of the others (a quantum), so that what is measured is the model and no switch of
// SystemC's.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <functional>

#include "hw/arch/vmsa64.h"
#include "hw/interconnect/bus.h"
#include "hw/mmu/mmu.h"
#include "hw/sim/sc_kernel.h"

namespace shootdown::hw {
namespace {

constexpr arch::PhysAddr kBase{0x80000000};
constexpr std::uint64_t kBytes = 16 << 20;
constexpr arch::PhysAddr kTables{0x80100000};
constexpr std::uint64_t kVa = 0x7f8000000000;
constexpr arch::Asid kAsid{7};

/// 512 pages from kVa on, writable, through four levels, and an MMU in front of them.
class Machine {
 public:
  Machine(unsigned entries, unsigned ways, unsigned walk_cache_entries)
      : simulation_(sc_core::sc_time(1, sc_core::SC_NS)),
        memory_(kBase, kBytes),
        controller_("memory", memory_, sc_core::sc_time(40, sc_core::SC_NS)),
        bus_("bus", simulation_),
        mmu_(simulation_, bus_, events_,
             {.translator = {.tlb = {.entries = entries, .ways = ways},
                             .walk_cache_entries = walk_cache_entries}},
             nullptr),
        thread_(simulation_, "bench", [this] { body_(); }) {
    simulation_.set_quantum(sc_core::sc_time(1, sc_core::SC_SEC));
    bus_.out.bind(controller_.in);
    context_.space.asid = kAsid;
    context_.half[0].ttb = kTables;
    context_.half[0].tsz = 16;
    arch::PhysAddr table = kTables;
    for (int level = 0; level < 3; ++level) {
      const arch::PhysAddr next = kTables + (1 + static_cast<unsigned>(level)) * 4096U;
      memory_.write64(table + std::uint64_t{arch::vmsa64::table_index(kVa, level)} * 8,
                      next.value | 3);
      table = next;
    }
    for (std::uint64_t page = 0; page < 512; ++page) {
      memory_.write64(table + page * 8, (0x80200000 + page * 4096) | 0xf43);
    }
    simulation_.elaborate();
  }
  /// Runs `body` in the thread.
  void run(std::function<void()> body) {
    body_ = std::move(body);
    simulation_.begin_run();
    thread_.start();
    simulation_.run_until(~std::uint64_t{0} >> 8);
  }
  Mmu::Outcome translate(std::uint64_t va) {
    const InFlightAccess in_flight(mmu_);
    return mmu_.translate(++access_id_, {.asid = kAsid, .stream_id = {}, .substream_id = {}},
                          TranslationContext::of(context_),
                          {.va = {va}, .access = arch::Access::kWrite});
  }
  Mmu& mmu() { return mmu_; }

 private:
  ScKernel kernel_;
  Simulation simulation_;
  PhysicalMemory memory_;
  MemoryController controller_;
  BusMaster bus_;
  EventPort events_;
  Mmu mmu_;
  Stage1Context context_;
  std::function<void()> body_;
  SimThread thread_;
  std::uint64_t access_id_{};
};

void translate_hit(benchmark::State& state) {
  const auto pages = static_cast<std::uint64_t>(state.range(0));
  Machine machine(static_cast<unsigned>(state.range(1)), static_cast<unsigned>(state.range(2)), 16);
  machine.run([&] {
    for (std::uint64_t page = 0; page < pages; ++page) machine.translate(kVa + page * 4096);
    std::uint64_t page = 0;
    for (auto _ : state) {
      benchmark::DoNotOptimize(machine.translate(kVa + page * 4096 + 8));
      page = (page + 1) % pages;
    }
  });
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(translate_hit)
    ->ArgNames({"pages", "entries", "ways"})
    ->Args({1, 64, 4})
    ->Args({64, 64, 4})
    ->Args({64, 64, 64})
    ->Args({64, 128, 4});

/// Every translation misses and walks four levels: one TLB entry, no walk cache.
void translate_miss_full_walk(benchmark::State& state) {
  Machine machine(1, 1, 0);
  machine.run([&] {
    std::uint64_t page = 0;
    for (auto _ : state) {
      benchmark::DoNotOptimize(machine.translate(kVa + page * 4096));
      page = (page + 1) % 64;
    }
  });
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(translate_miss_full_walk);

void invalidate_and_translate(benchmark::State& state) {
  Machine machine(64, 4, 16);
  machine.run([&] {
    for (std::uint64_t page = 0; page < 64; ++page) machine.translate(kVa + page * 4096);
    std::uint64_t page = 0;
    for (auto _ : state) {
      arch::Invalidation what;
      what.scope = arch::Invalidation::Scope::kVa;
      what.asid = kAsid;
      what.start = kVa + page * 4096;
      what.last = what.start + 4095;
      what.leaf_only = true;
      machine.mmu().invalidate(what, InvalidationCause::kCommand, 1);
      benchmark::DoNotOptimize(machine.translate(what.start));
      page = (page + 1) % 64;
    }
  });
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(invalidate_and_translate);

}  // namespace
}  // namespace shootdown::hw
