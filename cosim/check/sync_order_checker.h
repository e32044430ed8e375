// sync-order: a DSB or CMD_SYNC may complete only when the invalidations before it have taken
// effect everywhere, and the accesses that looked up before that are done.
#ifndef SHOOTDOWN_COSIM_CHECK_SYNC_ORDER_CHECKER_H
#define SHOOTDOWN_COSIM_CHECK_SYNC_ORDER_CHECKER_H

#include "cosim/check/checker.h"

namespace shootdown::cosim {

class SyncOrderChecker : public Checker {
 public:
  using Checker::Checker;
  EventKinds interests() const override { return kinds_of<hw::DsbCompleted, hw::SyncCompleted>(); }
  void on_event(const Event& event) override;
  void reset() override {
    first_tlbi_ = 0;
    first_command_ = 0;
  }

 private:
  void on_dsb(const Event& event, const hw::DsbCompleted& dsb);
  void on_sync(const Event& event, const hw::SyncCompleted& sync);
  /// Checks one invalidation in one TLB. `what` names it in the report.
  void check_effect(const Event& completion, ActorId tlb, hw::InvalidationCause cause,
                    std::uint64_t cause_id, const std::string& what);
  void report(const Event& completion, ActorId tlb, arch::VirtAddr va, const std::string& text);

  std::size_t first_tlbi_{};  ///< those before are known to be complete
  std::size_t first_command_{};
};

}  // namespace shootdown::cosim

#endif
