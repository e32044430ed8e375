// fault-loop: the same requester faults again and again on the same page and access although the
// entry in memory permits it. Also notes where a policy of the hardware hides such a loop.
#ifndef SHOOTDOWN_COSIM_CHECK_FAULT_LOOP_CHECKER_H
#define SHOOTDOWN_COSIM_CHECK_FAULT_LOOP_CHECKER_H

#include <map>
#include <optional>
#include <string>
#include <tuple>

#include "cosim/check/checker.h"
#include "cosim/check/hops/missing_hop.h"

namespace shootdown::cosim {

class FaultLoopChecker : public Checker {
 public:
  FaultLoopChecker(const Ledger& ledger, Findings& findings, unsigned faults)
      : Checker(ledger, findings), threshold_(faults) {}
  EventKinds interests() const override {
    return kinds_of<hw::TranslationFault, hw::AccessDone, hw::PermissionPolicy, hw::DeviceRetry>();
  }
  void on_event(const Event& event) override;
  void reset() override {
    loops_.clear();
    refused_.clear();
  }

 private:
  struct Loop {
    unsigned faults{};
    Stamp began;
    Stamp last;
    hw::TranslationFault first;
    std::optional<CachedEntry> entry;  ///< that the last one met; it may be gone at the report
  };
  struct Refused {
    Stamp at;
    std::string text;
  };
  using Key = std::tuple<ActorId, std::uint64_t, arch::Access>;  // requester, page, access

  void on_fault(const Event& event, const hw::TranslationFault& fault);
  void on_given_up(const Event& event, const hw::DeviceRetry& retry);
  std::optional<arch::MmId> mm_of(ActorId actor, const hw::TranslationFault& fault) const;
  void on_done(const Event& event, const hw::AccessDone& done);
  void on_policy(const Event& event, const hw::PermissionPolicy& policy);
  void report(const Event& event, const hw::TranslationFault& fault, const Loop& loop,
              const StaleEntry& stale);
  /// What `actor` faulted on: the cached translation, or a table that is linked no more.
  /// `met`: the entry that an earlier fault met, in case it is gone; may be null.
  StaleEntry cause_of(ActorId actor, const hw::TranslationFault& fault, arch::MmId mm,
                      const CachedEntry* met) const;
  /// The cached translation that `actor` faulted on, and the store that made it lack the right.
  StaleEntry lacking_entry(ActorId actor, const hw::Requester& requester, arch::VirtAddr va,
                           arch::MmId mm, const CachedEntry* met) const;
  /// The store since which the entry has permitted the access at event `sequence`, or null.
  const StoreRecord* permitted_since(const StaleEntry& stale, arch::Access access,
                                     std::uint64_t sequence) const;

  unsigned threshold_;
  std::map<Key, Loop> loops_;
  std::map<Key, Refused> refused_;  // the last fault that the entry did not permit
};

}  // namespace shootdown::cosim

#endif
