// Locks of the simulated kernel. Waiting goes through Cpu, so that it takes simulated time.
#ifndef SHOOTDOWN_SW_KERNEL_LOCK_H
#define SHOOTDOWN_SW_KERNEL_LOCK_H

#include "hw/arch/check.h"
#include "sw/kernel/cpu.h"

namespace shootdown::sw {

/// spinlock_t: disables preemption while held.
class SpinLock {
 public:
  void lock(Cpu& cpu) {
    cpu.preempt_disable();
    cpu.before_lock();
    while (held_) cpu.spin_on(queue_);
    held_ = true;
  }
  void unlock(Cpu& cpu) {
    SHOOTDOWN_CHECK(held_, "unlock of a spinlock that is not held");
    held_ = false;
    cpu.wake_all(queue_);
    cpu.preempt_enable();
  }
  bool held() const { return held_; }

 private:
  bool held_{};
  WaitQueue queue_;
};

/// struct rw_semaphore (mmap_lock): sleeps. Writers are not starved: a waiting writer holds new
/// readers off.
class RwSemaphore {
 public:
  void read_lock(Cpu& cpu) {
    cpu.before_lock();
    while (writer_ || waiting_writers_ != 0) cpu.sleep_on(queue_);
    ++readers_;
  }
  void read_unlock(Cpu& cpu) {
    SHOOTDOWN_CHECK(readers_ > 0, "read unlock without readers");
    --readers_;
    cpu.wake_all(queue_);
  }
  void write_lock(Cpu& cpu) {
    cpu.before_lock();
    ++waiting_writers_;
    while (writer_ || readers_ != 0) cpu.sleep_on(queue_);
    --waiting_writers_;
    writer_ = true;
  }
  /// down_write_trylock()
  bool try_write_lock() {
    if (writer_ || readers_ != 0) return false;
    writer_ = true;
    return true;
  }
  void write_unlock(Cpu& cpu) {
    SHOOTDOWN_CHECK(writer_, "write unlock without a writer");
    writer_ = false;
    cpu.wake_all(queue_);
  }
  bool held_for_write() const { return writer_; }
  bool held() const { return writer_ || readers_ != 0; }

 private:
  bool writer_{};
  unsigned readers_{};
  unsigned waiting_writers_{};
  WaitQueue queue_;
};

/// Holds a SpinLock for a scope.
class SpinGuard {
 public:
  SpinGuard(SpinLock& lock, Cpu& cpu) : lock_(lock), cpu_(cpu) { lock_.lock(cpu_); }
  ~SpinGuard() { lock_.unlock(cpu_); }
  SpinGuard(const SpinGuard&) = delete;
  SpinGuard& operator=(const SpinGuard&) = delete;

 private:
  SpinLock& lock_;
  Cpu& cpu_;
};

/// Holds an RwSemaphore for reading, for a scope.
class ReadGuard {
 public:
  ReadGuard(RwSemaphore& lock, Cpu& cpu) : lock_(lock), cpu_(cpu) { lock_.read_lock(cpu_); }
  ~ReadGuard() { lock_.read_unlock(cpu_); }
  ReadGuard(const ReadGuard&) = delete;
  ReadGuard& operator=(const ReadGuard&) = delete;

 private:
  RwSemaphore& lock_;
  Cpu& cpu_;
};

/// Holds an RwSemaphore for writing, for a scope.
class WriteGuard {
 public:
  WriteGuard(RwSemaphore& lock, Cpu& cpu) : lock_(lock), cpu_(cpu) { lock_.write_lock(cpu_); }
  ~WriteGuard() { lock_.write_unlock(cpu_); }
  WriteGuard(const WriteGuard&) = delete;
  WriteGuard& operator=(const WriteGuard&) = delete;

 private:
  RwSemaphore& lock_;
  Cpu& cpu_;
};

}  // namespace shootdown::sw

#endif
