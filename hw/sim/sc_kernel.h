// A SystemC kernel of one's own. The library keeps its current one in two globals; whoever has
// several makes the right one current before touching anything of SystemC.
#ifndef SHOOTDOWN_HW_SIM_SC_KERNEL_H
#define SHOOTDOWN_HW_SIM_SC_KERNEL_H

#include <memory>
#include <systemc>

namespace shootdown::hw {

class ScKernel {
 public:
  ScKernel() : context_(std::make_unique<sc_core::sc_simcontext>()) { make_current(); }
  ~ScKernel() {
    make_current();
    context_.reset();
    sc_core::sc_curr_simcontext = nullptr;
    sc_core::sc_default_global_context = nullptr;
  }
  ScKernel(const ScKernel&) = delete;
  ScKernel& operator=(const ScKernel&) = delete;

  void make_current() {
    sc_core::sc_curr_simcontext = context_.get();
    sc_core::sc_default_global_context = context_.get();
  }

 private:
  std::unique_ptr<sc_core::sc_simcontext> context_;
};

}  // namespace shootdown::hw

#endif
