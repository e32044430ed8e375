// A wired interrupt: hardware raises it, whoever handles interrupts subscribes.
#ifndef SHOOTDOWN_HW_SIM_INTERRUPT_H
#define SHOOTDOWN_HW_SIM_INTERRUPT_H

#include <functional>
#include <utility>

namespace shootdown::hw {

class InterruptLine {
 public:
  /// `handler` must not block; it marks the interrupt pending and wakes somebody.
  void connect(std::function<void()> handler) { handler_ = std::move(handler); }
  void raise() const {
    if (handler_) handler_();
  }

 private:
  std::function<void()> handler_;
};

}  // namespace shootdown::hw

#endif
