// What the Verilated models and the wave file of one platform share.
#ifndef SHOOTDOWN_COSIM_RTL_RTL_CONTEXT_H
#define SHOOTDOWN_COSIM_RTL_RTL_CONTEXT_H

#include <memory>

class VerilatedContext;

namespace shootdown::cosim {

class RtlContext {
 public:
  RtlContext();
  ~RtlContext();
  RtlContext(const RtlContext&) = delete;
  RtlContext& operator=(const RtlContext&) = delete;

  /// Assertions of the RTL that have failed since the last call. Verilator has printed each.
  unsigned take_failed_assertions();
  VerilatedContext& verilated() { return *context_; }
  /// Verilator's runtime keeps a current context for each OS thread and uses it behind the back of
  /// its models: whoever has several makes the right one current first.
  void make_current();

 private:
  std::unique_ptr<VerilatedContext> context_;
  int taken_{};
};

}  // namespace shootdown::cosim

#endif
