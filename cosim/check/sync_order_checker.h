// sync-order: a DSB or CMD_SYNC may complete only when the invalidations before it have taken
// effect everywhere, and the accesses that looked up before that are done.
#ifndef SHOOTDOWN_COSIM_CHECK_SYNC_ORDER_CHECKER_H
#define SHOOTDOWN_COSIM_CHECK_SYNC_ORDER_CHECKER_H

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "cosim/check/checker.h"

namespace shootdown::cosim {

class SyncOrderChecker : public Checker {
 public:
  using Checker::Checker;
  EventKinds interests() const override {
    return kinds_of<hw::TlbiIssued, hw::CommandFetched, hw::CommandError, hw::TlbInvalidate,
                    hw::AtcInvalidationCompleted, hw::DsbCompleted, hw::SyncCompleted>();
  }
  void on_event(const Event& event) override;
  void reset() override {
    tlbis_.clear();
    commands_.clear();
  }

 private:
  /// An invalidation that no barrier has vouched for yet.
  struct Outstanding {
    ActorId issuer{kNoActor};  ///< the CPU, or the secondary MMU
    std::uint64_t number{};    ///< DVM message or command
    std::string what;
    arch::Invalidation invalidation;
    bool of_atc{};
    ActorId device{kNoActor};    ///< of_atc: whose ATC; kNoActor: nobody has to answer
    bool answered{};             ///< of_atc
    std::vector<Stamp> effects;  ///< one for each TLB
  };
  void on_effect(const Event& event, const hw::TlbInvalidate& e);
  void on_dsb(const Event& event, const hw::DsbCompleted& dsb);
  void on_sync(const Event& event, const hw::SyncCompleted& sync);
  /// Checks one invalidation in one TLB.
  void check_effect(const Event& completion, ActorId tlb, const Outstanding& invalidation);
  void report(const Event& completion, ActorId tlb, arch::VirtAddr va, const std::string& text);

  std::deque<Outstanding> tlbis_;
  std::map<ActorId, std::deque<Outstanding>> commands_;  // by secondary MMU
};

}  // namespace shootdown::cosim

#endif
