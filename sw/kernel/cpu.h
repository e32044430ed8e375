// What a CPU offers the kernel code that runs on it. The co-simulator implements it on the
// simulated core, unit tests on a fake.
//
// Every call takes simulated time and is a point at which other CPUs and devices may run. A thread
// of execution has its own Cpu object, through which it sees the CPU it runs on.
#ifndef SHOOTDOWN_SW_KERNEL_CPU_H
#define SHOOTDOWN_SW_KERNEL_CPU_H

#include <cstdint>

#include "hw/arch/tlbi.h"
#include "hw/arch/types.h"
#include "sw/kernel/tracepoints.h"
#include "sw/kernel/wait_queue.h"

namespace shootdown::sw {

enum class Barrier : std::uint8_t { kIshst, kIsh };

/// What TTBR0_EL1, TCR_EL1.T0SZ and the ASID are set to.
struct UserContext {
  arch::PhysAddr pgd{};
  arch::Asid asid{};
  unsigned t0sz{16};
  bool operator==(const UserContext&) const = default;
};

class Cpu {
 public:
  virtual ~Cpu() = default;
  virtual unsigned id() const = 0;

  // Physical memory through the kernel's linear map. Addresses are 8-byte aligned.
  virtual std::uint64_t load(arch::PhysAddr address) = 0;
  virtual void store(arch::PhysAddr address, std::uint64_t value) = 0;
  /// Stores `desired` if the word equals `expected`. Returns what was there. Atomic.
  virtual std::uint64_t compare_exchange(arch::PhysAddr address, std::uint64_t expected,
                                         std::uint64_t desired) = 0;
  virtual void clear_page(arch::PhysAddr page) = 0;
  virtual void copy_page(arch::PhysAddr to, arch::PhysAddr from) = 0;

  // Device registers, by physical address.
  virtual std::uint64_t mmio_read(arch::PhysAddr address, unsigned bytes) = 0;
  virtual void mmio_write(arch::PhysAddr address, std::uint64_t value, unsigned bytes) = 0;

  // TLB maintenance and barriers.
  virtual void tlbi(arch::TlbiOp op, std::uint64_t operand) = 0;
  virtual void dsb(Barrier barrier) = 0;
  virtual void isb() = 0;
  /// Invalidates only in this CPU's TLB and walk cache, and is complete when it returns: INVLPG,
  /// INVPCID, SFENCE.VMA, TLBIEL.
  virtual void tlbi_local(const arch::Invalidation& what) = 0;

  // Interrupts.
  /// local_irq_save() and local_irq_restore(): nest. While off, this CPU takes no IPI.
  virtual void local_irq_disable() = 0;
  virtual void local_irq_enable() = 0;
  /// Makes CPU `target` call Smp::interrupt() as soon as it takes interrupts.
  virtual void send_ipi(unsigned target) = 0;

  virtual void set_user_context(const UserContext& context) = 0;

  // Scheduling.
  /// Blocks until `queue` is woken and gives the CPU to others meanwhile. Re-check the condition.
  virtual void sleep_on(WaitQueue& queue) = 0;
  /// Blocks until `queue` is woken, keeping the CPU, as a spinning CPU does.
  virtual void spin_on(WaitQueue& queue) = 0;
  virtual void wake_all(WaitQueue& queue) = 0;
  /// Nests. While the count is not zero this thread keeps its CPU.
  virtual void preempt_disable() = 0;
  virtual void preempt_enable() = 0;
  /// One turn of a polling loop.
  virtual void cpu_relax() = 0;

  // Where others may come first, although no instruction is carried out: what kernel code reads
  // between two instructions of this interface is memory of the kernel too.
  /// Before a lock is taken, free or not.
  virtual void before_lock() {}
  /// When a kernel function has been entered.
  virtual void at_function_entry() {}

  virtual void trace(const TraceEvent& event) = 0;
  unsigned flush_depth{};    ///< flush functions this thread is in; see FlushScope
  unsigned inner_flushes{};  ///< entered within another
};

/// Traces entry and exit of a kernel function, for a scope.
class FunctionTrace {
 public:
  /// `name` has static storage.
  FunctionTrace(Cpu& cpu, const char* name) : cpu_(cpu), name_(name) {
    cpu_.trace(FunctionEnter{name});
    cpu_.at_function_entry();
  }
  ~FunctionTrace() { cpu_.trace(FunctionExit{name_}); }
  FunctionTrace(const FunctionTrace&) = delete;
  FunctionTrace& operator=(const FunctionTrace&) = delete;

 private:
  Cpu& cpu_;
  const char* name_;
};

}  // namespace shootdown::sw

#endif
