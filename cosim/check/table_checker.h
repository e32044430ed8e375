// table-use-after-free: a walker, of hardware or of GUP-fast, reads a table page that was freed, or
// that is something else by now.
#ifndef SHOOTDOWN_COSIM_CHECK_TABLE_CHECKER_H
#define SHOOTDOWN_COSIM_CHECK_TABLE_CHECKER_H

#include <map>
#include <utility>

#include "cosim/check/checker.h"

namespace shootdown::cosim {

class TableChecker : public Checker {
 public:
  using Checker::Checker;
  EventKinds interests() const override {
    return kinds_of<sw::PageAllocated, sw::PageFreed, hw::WalkRead, sw::LocklessRead>();
  }
  void on_event(const Event& event) override;
  void reset() override {
    pages_.clear();
    seen_.clear();
    allocations_ = 0;
  }

 private:
  struct PageState {
    std::uint64_t allocation{};  ///< number; changes when the page is handed out again
    sw::PageUse use{};
    Stamp freed;
  };
  /// One read of an entry at `address`; `link`: what it says, in VMSAv8-64 terms.
  void on_read(const Event& event, arch::PhysAddr address, int level, std::uint64_t link,
               bool lockless);
  void report(const Event& event, arch::PhysAddr address, int level, const PageState& page,
              bool lockless);

  std::map<std::uint64_t, PageState> pages_;  // by address
  std::uint64_t allocations_{};
  /// The allocation a walker saw a link to: by walker and page.
  std::map<std::pair<std::uint32_t, std::uint64_t>, std::uint64_t> seen_;
};

}  // namespace shootdown::cosim

#endif
