// stale-access, use-after-free, isolation and write-after-protect: judges every completed access,
// and every freed frame, by what the page tables said and what was flushed.
#ifndef SHOOTDOWN_COSIM_CHECK_ACCESS_CHECKER_H
#define SHOOTDOWN_COSIM_CHECK_ACCESS_CHECKER_H

#include <array>
#include <string>

#include "cosim/check/checker.h"
#include "cosim/check/hops/missing_hop.h"

namespace shootdown::cosim {

class AccessChecker : public Checker {
 public:
  using Checker::Checker;
  EventKinds interests() const override { return kinds_of<hw::AccessDone, sw::PageFreed>(); }
  void on_event(const Event& event) override;
  void reset() override { passed_.fill({}); }

 private:
  /// An access that was found good; good again while nothing else happens.
  struct Passed {
    std::uint64_t generation{};
    std::uint64_t page{};
    std::uint64_t output{};
    std::uint32_t requester{};
    ActorId actor{};
    arch::Access access{};
  };

  void on_access(const Event& event, const hw::AccessDone& done);
  void judge(const Event& event, const hw::AccessDone& done, arch::MmId mm);
  /// The access has used a translation that `store` made stale: was it to be gone by now?
  void judge_stale(const Event& event, const hw::AccessDone& done, StaleEntry stale);
  void on_free(const Event& event, const sw::PageFreed& freed);
  void report(const Event& event, const hw::AccessDone& done, const StaleEntry& stale,
              ViolationKind kind, const std::string& why);

  std::array<Passed, 256> passed_{};
};

}  // namespace shootdown::cosim

#endif
