// driver-misuse: software sent hardware something illegal, reserved or left open. Also passes on
// what the RTL says of itself: lockstep differences and failed assertions.
#ifndef SHOOTDOWN_COSIM_CHECK_MISUSE_CHECKER_H
#define SHOOTDOWN_COSIM_CHECK_MISUSE_CHECKER_H

#include <string>

#include "cosim/check/checker.h"

namespace shootdown::cosim {

class MisuseChecker : public Checker {
 public:
  using Checker::Checker;
  EventKinds interests() const override {
    return kinds_of<hw::IllegalUse, hw::LockstepMismatch, hw::RtlAssertionFailed>();
  }
  void on_event(const Event& event) override;

 private:
  void report(const Event& event, ViolationKind kind, arch::VirtAddr address, std::string headline,
              Hop hop, std::string hop_text);
};

}  // namespace shootdown::cosim

#endif
