// Choice points: places where what a model does next may come earlier or later.
//
// A model offers one before whatever others could see or disturb: an access to memory or to a
// register, a slot of an arbiter, a lock, an interrupt, a message, a command, and wherever it
// spends time. Who decides is one object, the Chooser of the Simulation: none, a written schedule,
// a random one. Without one a point costs a branch. Publishing an event is no choice point: it
// takes no time and lets nobody else run.
//
// A model may rely on nothing across a choice point that somebody else can change.
#ifndef SHOOTDOWN_HW_SIM_CHOICE_H
#define SHOOTDOWN_HW_SIM_CHOICE_H

#include <cstdint>
#include <string_view>

namespace shootdown::hw {

class SimThread;

enum class ChoiceKind : std::uint8_t {
  kTime,        ///< a latency, which may be longer
  kBusRead,     ///< of memory or a register, by a CPU, a walker, a queue or a device
  kBusWrite,    ///< likewise, or a locked read and write
  kArbiter,     ///< a slot of a shared resource
  kLock,        ///< a lock of the kernel
  kFunction,    ///< a function of the kernel, just entered
  kInterrupt,   ///< a wired interrupt, about to be raised
  kIpi,         ///< an interrupt between CPUs, about to be sent or taken
  kDvmMessage,  ///< a broadcast TLBI or its completion, arrived
  kCommand,     ///< a command or an ATC invalidation, about to be taken
};
constexpr std::string_view name_of(ChoiceKind kind) {
  constexpr std::string_view kNames[]{"time",        "bus_read", "bus_write", "arbiter",
                                      "lock",        "function", "interrupt", "ipi",
                                      "dvm_message", "command"};
  return kNames[static_cast<unsigned>(kind)];
}

struct ChoicePoint {
  ChoiceKind kind{};
  SimThread& thread;        ///< who is about to do it
  std::uint64_t address{};  ///< what it will touch, for bus and register accesses; else 0
};

class Chooser {
 public:
  virtual ~Chooser() = default;
  /// `point.thread` is running. May let time pass for it, by Simulation::hold_ps() only.
  virtual void choose(const ChoicePoint& point) = 0;
};

}  // namespace shootdown::hw

#endif
