// Read-copy-update: callbacks run when every reader that was there is gone. Mirrors kernel/rcu/.
//
// A section with interrupts off is a reader too, as since v4.20. Grace periods are waited for by
// one kernel thread.
#ifndef SHOOTDOWN_SW_KERNEL_RCU_H
#define SHOOTDOWN_SW_KERNEL_RCU_H

#include <cstdint>
#include <deque>
#include <functional>
#include <set>

#include "sw/kernel/cpu.h"

namespace shootdown::sw {

class Rcu {
 public:
  using Callback = std::function<void(Cpu&)>;

  /// rcu_read_lock(). Returns what read_unlock() takes.
  std::uint64_t read_lock() {
    readers_.insert(++last_reader_);
    return last_reader_;
  }
  void read_unlock(Cpu& cpu, std::uint64_t reader);
  /// Runs `callback` after a grace period: at once if there is no thread and no reader.
  void call_rcu(Cpu& cpu, Callback callback);
  /// The thread that waits for grace periods and runs callbacks.
  [[noreturn]] void thread(Cpu& cpu);

 private:
  bool readers_before(std::uint64_t horizon) const {
    return !readers_.empty() && *readers_.begin() <= horizon;
  }
  void run(Cpu& cpu);

  std::set<std::uint64_t> readers_;
  std::uint64_t last_reader_{};
  std::deque<Callback> callbacks_;
  bool has_thread_{};
  WaitQueue work_;
  WaitQueue quiescent_;
};

/// A reader, for a scope.
class RcuReadGuard {
 public:
  RcuReadGuard(Rcu& rcu, Cpu& cpu) : rcu_(rcu), cpu_(cpu), reader_(rcu.read_lock()) {}
  ~RcuReadGuard() { rcu_.read_unlock(cpu_, reader_); }
  RcuReadGuard(const RcuReadGuard&) = delete;
  RcuReadGuard& operator=(const RcuReadGuard&) = delete;

 private:
  Rcu& rcu_;
  Cpu& cpu_;
  std::uint64_t reader_;
};

/// local_irq_save(), for a scope.
class IrqGuard {
 public:
  explicit IrqGuard(Cpu& cpu) : cpu_(cpu) { cpu_.local_irq_disable(); }
  ~IrqGuard() { cpu_.local_irq_enable(); }
  IrqGuard(const IrqGuard&) = delete;
  IrqGuard& operator=(const IrqGuard&) = delete;

 private:
  Cpu& cpu_;
};

}  // namespace shootdown::sw

#endif
