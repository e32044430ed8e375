// The software stack alone, on a CPU whose operations cost nothing: what it takes to unmap.
#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdint>
#include <memory>

#include "hw/interconnect/physical_memory.h"
#include "sw/arch/arm64/arm64_mmu.h"
#include "sw/kernel/version.h"
#include "sw/mm/fork.h"
#include "sw/mm/memory.h"
#include "sw/mm/mmap.h"
#include "sw/mm/mprotect.h"

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

/// A process with one anonymous area, every page of it written.
class Process {
 public:
  explicit Process(std::uint64_t pages)
      : kernel_(KernelVersion{.base = {6, 7}, .revert = {}, .apply = {}}.behaviour(), {},
                PageAllocator(kRam, kRamBytes)),
        arch_({}, kernel_.behaviour),
        pages_(pages) {
    area_.start = {kVa};
    area_.end = area_.start + pages * arch::kPageSize;
    area_.protection = {.read = true, .write = true};
    mm = create();
  }
  void map() {
    do_mmap(cpu, *mm, area_);
    for (std::uint64_t i = 0; i < pages_; ++i) {
      fault_in(cpu, *mm, area_.start + i * arch::kPageSize, {.write = true});
    }
  }
  void unmap() { do_munmap(cpu, *mm, area_.start, area_.end); }
  void protect(bool write) {
    do_mprotect(cpu, *mm, area_.start, area_.end, {.read = true, .write = write});
  }
  std::unique_ptr<Mm> create() {
    return mm_create(cpu, kernel_, arch_, {++numbers_}, arch::Asid{1});
  }

  FreeCpu cpu;
  std::unique_ptr<Mm> mm;

 private:
  KernelState kernel_;
  Arm64Mmu arch_;
  std::uint64_t pages_;
  Vma area_;
  unsigned numbers_{};
};

/// Times `action` alone, and counts its flushes and TLBIs.
template <class Action>
void timed(benchmark::State& state, Process& process, Action&& action) {
  process.cpu.tlbis = process.cpu.flushes = 0;
  const auto start = std::chrono::steady_clock::now();
  action();
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  state.SetIterationTime(time.count());
}

void report(benchmark::State& state, const Process& process) {
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.counters["flushes"] = static_cast<double>(process.cpu.flushes);
  state.counters["tlbis"] = static_cast<double>(process.cpu.tlbis);
}

/// munmap(): gather, flush, free.
void munmap_pages(benchmark::State& state) {
  Process process(static_cast<std::uint64_t>(state.range(0)));
  for (auto _ : state) {
    process.map();
    timed(state, process, [&] { process.unmap(); });
  }
  report(state, process);
}

/// mprotect() to read-only: change, flush.
void mprotect_pages(benchmark::State& state) {
  Process process(static_cast<std::uint64_t>(state.range(0)));
  for (auto _ : state) {
    process.map();
    timed(state, process, [&] { process.protect(false); });
    process.protect(true);
    process.unmap();
  }
  report(state, process);
}

/// dup_mmap(): tables copied, pages shared, one flush.
void fork_pages(benchmark::State& state) {
  Process process(static_cast<std::uint64_t>(state.range(0)));
  process.map();
  for (auto _ : state) {
    auto child = process.create();
    timed(state, process, [&] { dup_mmap(process.cpu, *process.mm, *child); });
    exit_mmap(process.cpu, *child);
  }
  report(state, process);
}

/// exit_mmap(): one gather for the whole address space.
void exit_pages(benchmark::State& state) {
  Process process(static_cast<std::uint64_t>(state.range(0)));
  for (auto _ : state) {
    process.mm = process.create();
    process.map();
    timed(state, process, [&] { exit_mmap(process.cpu, *process.mm); });
  }
  report(state, process);
}

void sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("pages")->UseManualTime();
  for (const std::int64_t pages : {1, 64, 512, 16384, 262144}) benchmark->Arg(pages);
}
BENCHMARK(munmap_pages)->Apply(sizes);
BENCHMARK(mprotect_pages)->Apply(sizes);
BENCHMARK(fork_pages)->Apply(sizes);
BENCHMARK(exit_pages)->Apply(sizes);

}  // namespace
}  // namespace shootdown::sw
