// Inter-processor interrupts: functions called on other CPUs. Mirrors kernel/smp.c.
#ifndef SHOOTDOWN_SW_KERNEL_SMP_H
#define SHOOTDOWN_SW_KERNEL_SMP_H

#include <array>
#include <cstdint>
#include <deque>
#include <functional>

#include "sw/kernel/cpu.h"

namespace shootdown::sw {

/// struct cpumask: bit i stands for CPU i.
using CpuMask = std::uint64_t;
inline constexpr unsigned kMaxCpus = 64;
constexpr CpuMask cpumask_of(unsigned cpu) { return CpuMask{1} << cpu; }

class Smp {
 public:
  explicit Smp(unsigned cpus = 1)
      : online_(cpus >= kMaxCpus ? ~CpuMask{0} : cpumask_of(cpus) - 1) {}
  CpuMask online() const { return online_; }

  /// smp_call_function_many() with wait: calls `function` on every CPU of `mask` but this one, in
  /// its interrupt, and returns when all have returned. `name` is for the trace; static storage.
  /// Interrupts must be on: two CPUs that call each other would wait for ever.
  void call_function_many(Cpu& cpu, CpuMask mask, const char* name,
                          const std::function<void(Cpu&)>& function);
  /// on_each_cpu_mask(): this CPU too, if it is in `mask`.
  void on_each_cpu_mask(Cpu& cpu, CpuMask mask, const char* name,
                        const std::function<void(Cpu&)>& function);
  /// generic_smp_call_function_interrupt(): what a CPU does when the interrupt arrives.
  void interrupt(Cpu& cpu);

 private:
  struct Call {
    const std::function<void(Cpu&)>& function;
    unsigned pending{};
    WaitQueue done;
  };
  CpuMask online_;
  std::array<std::deque<Call*>, kMaxCpus> queues_;
};

}  // namespace shootdown::sw

#endif
