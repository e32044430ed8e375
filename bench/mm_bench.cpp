// The software stack alone, on a CPU whose operations cost nothing: what it takes to unmap.
#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdint>
#include <memory>

#include "hw/interconnect/physical_memory.h"
#include "sw/arch/arm64/arm64_mmu.h"
#include "sw/kernel/version.h"
#include "sw/mm/memory.h"
#include "sw/mm/mmap.h"

namespace shootdown::sw {
namespace {

constexpr arch::PhysAddr kRam{0x8000'0000};
constexpr std::uint64_t kRamBytes = std::uint64_t{3} << 30;
constexpr std::uint64_t kVa = 0x7f00'0000'0000;

/// Memory without time; counts flushes and nothing else.
class FreeCpu : public Cpu {
 public:
  unsigned id() const override { return 0; }
  std::uint64_t load(arch::PhysAddr address) override { return memory_.read64(address); }
  void store(arch::PhysAddr address, std::uint64_t value) override {
    memory_.write64(address, value);
  }
  std::uint64_t compare_exchange(arch::PhysAddr address, std::uint64_t expected,
                                 std::uint64_t desired) override {
    const std::uint64_t found = memory_.read64(address);
    if (found == expected) memory_.write64(address, desired);
    return found;
  }
  void clear_page(arch::PhysAddr page) override {
    for (std::uint64_t i = 0; i < arch::kPageSize; i += 8) memory_.write64(page + i, 0);
  }
  void copy_page(arch::PhysAddr, arch::PhysAddr) override {}
  std::uint64_t mmio_read(arch::PhysAddr, unsigned) override { return 0; }
  void mmio_write(arch::PhysAddr, std::uint64_t, unsigned) override {}
  void tlbi(arch::TlbiOp, std::uint64_t) override { ++tlbis; }
  void dsb(Barrier) override {}
  void isb() override {}
  void set_user_context(const UserContext&) override {}
  void tlbi_local(const arch::Invalidation&) override { ++tlbis; }
  void local_irq_disable() override {}
  void local_irq_enable() override {}
  void send_ipi(unsigned) override {}
  void sleep_on(WaitQueue&) override {}
  void spin_on(WaitQueue&) override {}
  void wake_all(WaitQueue&) override {}
  void preempt_disable() override {}
  void preempt_enable() override {}
  void cpu_relax() override {}
  void trace(const TraceEvent& event) override {
    flushes += event.get<FlushEnd>() != nullptr ? 1 : 0;
  }
  std::uint64_t tlbis{};
  std::uint64_t flushes{};

 private:
  hw::PhysicalMemory memory_{kRam, kRamBytes};
};

/// munmap of an anonymous area that is mapped in full: gather, flush, free.
void munmap_pages(benchmark::State& state) {
  const auto pages = static_cast<std::uint64_t>(state.range(0));
  FreeCpu cpu;
  KernelState kernel(KernelVersion{.base = {6, 7}, .revert = {}, .apply = {}}.behaviour(), {},
                     PageAllocator(kRam, kRamBytes));
  Arm64Mmu arch({}, kernel.behaviour);
  const auto mm = mm_create(cpu, kernel, arch, 1, arch::Asid{1});
  Vma vma;
  vma.start = {kVa};
  vma.end = vma.start + pages * arch::kPageSize;
  vma.protection = {.read = true, .write = true};
  for (auto _ : state) {
    do_mmap(cpu, *mm, vma);
    for (std::uint64_t i = 0; i < pages; ++i) {
      fault_in(cpu, *mm, vma.start + i * arch::kPageSize, {.write = true});
    }
    cpu.tlbis = cpu.flushes = 0;
    const auto start = std::chrono::steady_clock::now();
    do_munmap(cpu, *mm, vma.start, vma.end);
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    state.SetIterationTime(time.count());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.counters["flushes"] = static_cast<double>(cpu.flushes);
  state.counters["tlbis"] = static_cast<double>(cpu.tlbis);
}
BENCHMARK(munmap_pages)
    ->ArgName("pages")
    ->Arg(1)
    ->Arg(64)
    ->Arg(512)
    ->Arg(16384)
    ->Arg(262144)
    ->UseManualTime();

}  // namespace
}  // namespace shootdown::sw
