// The RTL TLB in simulated time, by itself or in lockstep with the SystemC model.
//
// Its clock runs only while there is work. Operations queue up in the order of the calls and are
// accepted one a cycle. If the simulation may run ahead and nothing is queued, the model is stepped
// in the caller, without a switch of processes.
#ifndef SHOOTDOWN_COSIM_RTL_RTL_TLB_ENGINE_H
#define SHOOTDOWN_COSIM_RTL_RTL_TLB_ENGINE_H

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "cosim/rtl/rtl_context.h"
#include "cosim/rtl/tlb_dut.h"
#include "hw/events.h"
#include "hw/mmu/tlb.h"
#include "hw/sim/simulation.h"

namespace shootdown::cosim {

class RtlTlbEngine : public hw::TlbEngine {
 public:
  /// The geometry has to be one that was built; `simulation` and `context` outlive the engine.
  /// `lockstep`: every operation is also done on a TlbArray and compared.
  RtlTlbEngine(hw::Simulation& simulation, RtlContext& context, const std::string& name,
               const hw::TlbGeometry& geometry, bool lockstep);

  const hw::TlbEntry* lookup(arch::VirtAddr va, const arch::TranslationSpace& space) override;
  hw::TlbFillResult fill(const hw::TlbEntry& entry) override;
  unsigned invalidate(const arch::Invalidation& what) override;
  unsigned occupancy() const override { return dut_->occupancy(); }
  void reset() override;

  /// Lockstep differences and failed assertions.
  hw::EventPort events;
  /// Called with the time before each change of the clock; see VcdFile.
  void on_clock(std::function<void()> before_edge) { before_edge_ = std::move(before_edge); }
  void start() { clock_.start(); }
  /// Publishes assertions that have failed meanwhile; called at the end of a run.
  void report_assertions();
  TlbDut& dut() { return *dut_; }
  /// Clock cycles since construction.
  std::uint64_t cycles() const { return cycles_; }

 private:
  struct Operation {
    TlbRequest request;
    hw::SimThread* caller{};
    TlbResponse response;
    bool done{};
  };
  TlbResponse execute(const TlbRequest& request);
  TlbResponse run_here(const TlbRequest& request);
  TlbResponse queue_up(const TlbRequest& request);
  void clock_loop();
  void rising_edge();
  void compare(const char* field, const char* operation, std::uint64_t va, std::uint64_t systemc,
               std::uint64_t rtl);
  void compare_entry(const hw::TlbEntry* model, const TlbResponse& rtl, arch::VirtAddr va);

  hw::Simulation& simulation_;
  RtlContext& context_;
  std::unique_ptr<TlbDut> dut_;
  std::optional<hw::TlbArray> model_;
  hw::SimThread clock_;
  std::function<void()> before_edge_;
  std::deque<Operation*> waiting_;   // not accepted yet
  std::deque<Operation*> accepted_;  // in the pipeline
  hw::TlbEntry result_;
  hw::TlbEntry evicted_;
  std::uint64_t cycles_{};
  std::uint32_t epoch_{};  ///< what the RTL's will be when it has accepted all that was called
  unsigned unreported_{};
};

}  // namespace shootdown::cosim

#endif
