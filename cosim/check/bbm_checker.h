// break-before-make: a live entry is replaced by one that leads elsewhere, without the break; or a
// TLB comes to hold two translations of one address.
//
// An entry that is made after the break, but before its flush is complete, is noted only: Linux
// does that where a fault meets an madvise() on another CPU, and frees nothing before the flush.
// Source: Arm ARM D8.16.1. x86 has no such rule: there it is silent.
#ifndef SHOOTDOWN_COSIM_CHECK_BBM_CHECKER_H
#define SHOOTDOWN_COSIM_CHECK_BBM_CHECKER_H

#include "cosim/check/checker.h"
#include "cosim/check/hops/missing_hop.h"

namespace shootdown::cosim {

class BbmChecker : public Checker {
 public:
  using Checker::Checker;
  EventKinds interests() const override { return kinds_of<sw::PteStore, hw::TlbFill>(); }
  void on_event(const Event& event) override;

 private:
  void on_store(const Event& event, const sw::PteStore& store);
  void on_fill(const Event& event, const hw::TlbFill& fill);
  bool flush_is_owed(arch::MmId mm, arch::VirtAddr va) const;
  void report_replacement(const Event& event, const sw::PteStore& store);
};

}  // namespace shootdown::cosim

#endif
