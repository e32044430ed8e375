#include "cosim/rtl/rtl_context.h"

#include <verilated.h>

#include <limits>
#include <utility>

namespace shootdown::cosim {

RtlContext::RtlContext() : context_(std::make_unique<VerilatedContext>()) {
  context_->traceEverOn(true);
  // A failing assertion is counted; by default it would end the process.
  context_->errorLimit(std::numeric_limits<int>::max());
}

RtlContext::~RtlContext() = default;

void RtlContext::make_current() { Verilated::threadContextp(context_.get()); }

unsigned RtlContext::take_failed_assertions() {
  const int all = context_->errorCount();
  return static_cast<unsigned>(all - std::exchange(taken_, all));
}

}  // namespace shootdown::cosim
