// accounting: what the kernel counts, against what is there.
//
// At once: a page freed that is none, a table freed as an ordinary page, a destructor run twice, a
// count below zero. At the end: map counts against the table entries, tables against NR_PAGETABLE,
// gathers that never finished.
#ifndef SHOOTDOWN_COSIM_CHECK_ACCOUNTING_CHECKER_H
#define SHOOTDOWN_COSIM_CHECK_ACCOUNTING_CHECKER_H

#include <map>
#include <set>
#include <string>

#include "cosim/check/checker.h"

namespace shootdown::cosim {

class AccountingChecker : public Checker {
 public:
  using Checker::Checker;
  EventKinds interests() const override {
    return kinds_of<sw::BadPage, sw::PageAllocated, sw::PageFreed, sw::TableAccounted,
                    sw::MapcountChanged, sw::FlushPending>();
  }
  void on_event(const Event& event) override;
  void on_end(bool quiet) override;
  void reset() override {
    tables_.clear();
    pages_.clear();
    pending_.clear();
    counted_ = 0;
  }

 private:
  struct PageCount {
    unsigned order{};
    sw::PageUse use{};
    int mapcount{};
  };
  /// `event` is null at the end of the run.
  void report(const Event* event, arch::VirtAddr address, const std::string& headline, Hop hop,
              const std::string& text);

  std::set<std::uint64_t> tables_;            // constructed ones, by page
  std::map<std::uint64_t, PageCount> pages_;  // allocated ones, by address
  std::map<arch::MmId, int> pending_;         // tlb_flush_pending, by mm
  std::uint64_t counted_{};                   // NR_PAGETABLE
};

}  // namespace shootdown::cosim

#endif
