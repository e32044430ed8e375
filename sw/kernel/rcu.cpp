#include "sw/kernel/rcu.h"

#include <utility>

namespace shootdown::sw {

void Rcu::run(Cpu& cpu) {
  // One by one: a callback may take time, and others may queue meanwhile.
  for (Callback& callback : std::exchange(callbacks_, {})) callback(cpu);
}

void Rcu::read_unlock(Cpu& cpu, std::uint64_t reader) {
  readers_.erase(reader);
  cpu.wake_all(quiescent_);
  if (!has_thread_ && readers_.empty()) run(cpu);
}

void Rcu::call_rcu(Cpu& cpu, Callback callback) {
  callbacks_.push_back(std::move(callback));
  if (has_thread_) {
    cpu.wake_all(work_);
  } else if (readers_.empty()) {
    run(cpu);
  }
}

void Rcu::thread(Cpu& cpu) {
  has_thread_ = true;
  for (;;) {
    while (callbacks_.empty()) cpu.sleep_on(work_);
    std::deque<Callback> ready = std::exchange(callbacks_, {});
    const std::uint64_t horizon = last_reader_;
    while (readers_before(horizon)) cpu.sleep_on(quiescent_);
    const FunctionTrace trace(cpu, "rcu_do_batch");
    for (Callback& callback : ready) callback(cpu);
  }
}

}  // namespace shootdown::sw
