#include "sw/kernel/smp.h"

namespace shootdown::sw {

void Smp::call_function_many(Cpu& cpu, CpuMask mask, const char* name,
                             const std::function<void(Cpu&)>& function) {
  cpu.preempt_disable();
  mask &= online_ & ~cpumask_of(cpu.id());
  if (mask != 0) {
    cpu.trace(IpiSent{.mask = {mask}, .function = name});
    Call call{.function = function, .pending = 0, .done = {}};
    for (unsigned target = 0; target < kMaxCpus; ++target) {
      if ((mask & cpumask_of(target)) == 0) continue;
      ++call.pending;
      queues_[target].push_back(&call);
      cpu.send_ipi(target);
    }
    while (call.pending != 0) cpu.spin_on(call.done);
  }
  cpu.preempt_enable();
}

void Smp::on_each_cpu_mask(Cpu& cpu, CpuMask mask, const char* name,
                           const std::function<void(Cpu&)>& function) {
  call_function_many(cpu, mask, name, function);
  if ((mask & cpumask_of(cpu.id())) == 0) return;
  cpu.local_irq_disable();
  function(cpu);
  cpu.local_irq_enable();
}

void Smp::interrupt(Cpu& cpu) {
  auto& queue = queues_[cpu.id()];
  while (!queue.empty()) {
    Call& call = *queue.front();
    queue.pop_front();
    call.function(cpu);
    if (--call.pending == 0) cpu.wake_all(call.done);
  }
}

}  // namespace shootdown::sw
