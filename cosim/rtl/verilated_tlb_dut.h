// TlbDut on one Verilated model. Included only by the generated source of each geometry.
#ifndef SHOOTDOWN_COSIM_RTL_VERILATED_TLB_DUT_H
#define SHOOTDOWN_COSIM_RTL_VERILATED_TLB_DUT_H

#include <verilated.h>
#include <verilated_vcd_c.h>

#include <memory>
#include <string>

#include "cosim/rtl/rtl_context.h"
#include "cosim/rtl/tlb_dut.h"
#include "cosim/rtl/vcd_file.h"

namespace shootdown::cosim {

template <class Model>
class VerilatedTlbDut : public TlbDut {
 public:
  VerilatedTlbDut(RtlContext& context, const std::string& name)
      : context_(context), model_(std::make_unique<Model>(&context.verilated(), name.c_str())) {
    reset();
  }
  ~VerilatedTlbDut() override {
    context_.make_current();
    model_->final();
    model_.reset();
  }

  void drive(const TlbRequest* request) override {
    model_->req_valid_i = request != nullptr;
    if (request == nullptr) return;
    model_->req_op_i = static_cast<std::uint8_t>(request->operation);
    model_->req_scope_i = request->scope;
    model_->req_va_page_i = request->va_page;
    model_->req_last_page_i = request->last_page;
    model_->req_asid_i = request->asid;
    model_->req_global_i = request->global;
    model_->req_size_i = request->size;
    model_->req_pa_page_i = request->pa_page;
    model_->req_perm_i = request->permissions;
    model_->req_attr_i = request->attributes;
    model_->req_epoch_i = request->epoch;
  }
  void clock(bool level) override {
    model_->clk_i = level;
    model_->eval();
  }
  bool request_ready() const override { return model_->req_ready_o; }
  bool response_valid() const override { return model_->rsp_valid_o; }
  TlbResponse response() const override {
    return {.hit = model_->rsp_hit_o != 0,
            .va_page = model_->rsp_va_page_o,
            .size = model_->rsp_size_o,
            .global = model_->rsp_global_o != 0,
            .pa_page = model_->rsp_pa_page_o,
            .permissions = model_->rsp_perm_o,
            .attributes = model_->rsp_attr_o,
            .dropped = model_->rsp_dropped_o != 0,
            .evicted = model_->rsp_evicted_o != 0,
            .evicted_va_page = model_->rsp_evicted_va_page_o,
            .evicted_asid = model_->rsp_evicted_asid_o,
            .evicted_size = model_->rsp_evicted_size_o,
            .evicted_global = model_->rsp_evicted_global_o != 0,
            .removed = model_->rsp_removed_o};
  }
  unsigned occupancy() const override { return model_->occupancy_o; }
  std::uint32_t epoch() const override { return model_->epoch_o; }
  bool busy() const override { return model_->busy_o; }
  void reset() override {
    drive(nullptr);
    model_->rst_ni = 0;
    clock(false);
    clock(true);
    clock(false);
    model_->rst_ni = 1;
    clock(true);
    clock(false);
  }
  void trace(VcdFile& file) override { model_->trace(&file.verilated(), 99); }

 private:
  RtlContext& context_;
  std::unique_ptr<Model> model_;
};

}  // namespace shootdown::cosim

#endif
