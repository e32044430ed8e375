// The plain C++ core of the SMMU's translation: no SystemC, no time.
#include <benchmark/benchmark.h>

#include <cstdint>

#include "hw/arch/smmuv3_tables.h"
#include "hw/arch/vmsa64.h"
#include "hw/interconnect/physical_memory.h"
#include "hw/smmu/untimed_smmu.h"

namespace shootdown::hw {
namespace {

constexpr arch::PhysAddr kBase{0x80000000};
constexpr arch::PhysAddr kStreamTable{0x80000000};
constexpr arch::PhysAddr kCd{0x80010000};
constexpr arch::PhysAddr kTables{0x80100000};
constexpr std::uint64_t kVa = 0x7f8000000000;
constexpr arch::StreamId kStream{3};

/// 512 pages from kVa on, writable, through four levels; and the same at the next 512 GiB.
class Machine {
 public:
  explicit Machine(unsigned entries, unsigned ways, unsigned walk_cache_entries)
      : memory_(kBase, 16 << 20),
        smmu_({},
              {.tlb = {.entries = entries, .ways = ways}, .walk_cache_entries = walk_cache_entries},
              {.base = kStreamTable, .log2_size = 4}, memory_) {
    using namespace arch::smmuv3;
    const arch::PhysAddr ste = kStreamTable + kStream.value * kSteBytes;
    memory_.write64(ste, ste0::Valid::of(1) | ste0::Config::of(kSteConfigS1) |
                             ste0::S1ContextPtr::set(0, kCd.value));
    memory_.write64(kCd, cd0::T0sz::of(16) | cd0::Epd1::of(1) | cd0::Valid::of(1) |
                             cd0::Ips::of(5) | cd0::Aa64::of(1) | cd0::R::of(1) | cd0::A::of(1) |
                             cd0::AsidField::of(7));
    memory_.write64(kCd + 8, kTables.value);
    map(kVa, 1);
    map(kVa - (std::uint64_t{1} << 39), 4);
  }

  UntimedSmmu::Result translate(std::uint64_t va) {
    return smmu_.translate({.stream_id = kStream,
                            .substream_id = std::nullopt,
                            .va = {va},
                            .access = arch::Access::kWrite});
  }
  UntimedSmmu& smmu() { return smmu_; }
  const PhysicalMemory& memory() const { return memory_; }

 private:
  void map(std::uint64_t va, std::uint64_t first_table) {
    arch::PhysAddr table = kTables;
    for (int level = 0; level < 3; ++level) {
      const arch::PhysAddr next = kTables + (first_table + static_cast<unsigned>(level)) * 4096;
      memory_.write64(table + std::uint64_t{arch::vmsa64::table_index(va, level)} * 8,
                      next.value | 3);
      table = next;
    }
    for (std::uint64_t page = 0; page < 512; ++page) {
      memory_.write64(table + page * 8, (0x80200000 + page * 4096) | 0xf43);
    }
  }
  PhysicalMemory memory_;
  UntimedSmmu smmu_;
};

void translate_hit(benchmark::State& state) {
  const auto pages = static_cast<std::uint64_t>(state.range(0));
  Machine machine(static_cast<unsigned>(state.range(1)), static_cast<unsigned>(state.range(2)), 16);
  for (std::uint64_t page = 0; page < pages; ++page) machine.translate(kVa + page * 4096);
  std::uint64_t page = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(machine.translate(kVa + page * 4096 + 8));
    page = (page + 1) % pages;
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(translate_hit)
    ->ArgNames({"pages", "entries", "ways"})
    ->Args({1, 64, 4})
    ->Args({64, 64, 4})
    ->Args({1, 64, 64})
    ->Args({64, 64, 64})
    ->Args({64, 128, 4});

/// Every translation misses and walks four levels: one TLB entry, no walk cache.
void translate_miss_full_walk(benchmark::State& state) {
  Machine machine(1, 1, 0);
  std::uint64_t page = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(machine.translate(kVa + page * 4096));
    page = (page + 1) % 64;
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(translate_miss_full_walk);

/// The memory reads of such a walk alone: each address depends on the last value.
void four_memory_reads(benchmark::State& state) {
  const Machine machine(1, 1, 0);
  std::uint64_t page = 0;
  for (auto _ : state) {
    const std::uint64_t va = kVa + page * 4096;
    arch::PhysAddr table = kTables;
    for (int level = 0; level < 4; ++level) {
      const arch::PhysAddr address =
          table + std::uint64_t{arch::vmsa64::table_index(va, level)} * 8;
      table = arch::vmsa64::next_table(machine.memory().read64(address));
    }
    benchmark::DoNotOptimize(table);
    page = (page + 1) % 64;
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(four_memory_reads);

void invalidate_and_translate(benchmark::State& state) {
  Machine machine(64, 4, 16);
  for (std::uint64_t page = 0; page < 64; ++page) machine.translate(kVa + page * 4096);
  std::uint64_t page = 0;
  for (auto _ : state) {
    const std::uint64_t va = kVa + page * 4096;
    machine.smmu().invalidate({.scope = arch::Invalidation::Scope::kVa,
                               .asid = arch::Asid{7},
                               .start = va,
                               .last = va + 4095,
                               .leaf_only = true});
    benchmark::DoNotOptimize(machine.translate(va));
    page = (page + 1) % 64;
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(invalidate_and_translate);

}  // namespace
}  // namespace shootdown::hw
