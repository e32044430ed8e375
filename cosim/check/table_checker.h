// table-use-after-free: a walker, of hardware or of GUP-fast, reads a table page that was freed, or
// that is something else by now.
#ifndef SHOOTDOWN_COSIM_CHECK_TABLE_CHECKER_H
#define SHOOTDOWN_COSIM_CHECK_TABLE_CHECKER_H

#include <map>
#include <string>
#include <utility>

#include "cosim/check/checker.h"

namespace shootdown::cosim {

class TableChecker : public Checker {
 public:
  using Checker::Checker;
  EventKinds interests() const override {
    return kinds_of<sw::PageAllocated, sw::PageFreed, sw::MmCreated, hw::WalkBegin, hw::WalkRead,
                    hw::WalkEnd, sw::LocklessRead>();
  }
  void on_event(const Event& event) override;
  void reset() override {
    pages_.clear();
    seen_.clear();
    roots_.clear();
    walks_.clear();
    allocations_ = 0;
  }

 private:
  struct PageState {
    std::uint64_t allocation{};  ///< number; changes when the page is handed out again
    sw::PageUse use{};
    Stamp freed;
  };
  /// The allocation that a walk means by a first table at `page`; 0: unknown. No link leads there,
  /// the register or context of its ASID does.
  std::uint64_t root_meant(const Event& event, const hw::WalkRead& read) const;
  /// One read of an entry of a page that the walker takes for allocation `meant` (0: unknown).
  void on_read(const Event& event, arch::PhysAddr address, int level, std::uint64_t meant,
               bool lockless);
  /// The walker now holds the table that `link`, in VMSAv8-64 terms, names.
  void follow(const Event& event, std::uint64_t link, int level);
  std::uint64_t link_seen(const Event& event, arch::PhysAddr address) const;
  /// Whether a lockless reader found in a table what another address space has put there since the
  /// table was taken out of his own: another table, or private memory.
  bool taken_over(const Event& event, const sw::LocklessRead& read) const;
  /// Why the walker could still come to the table that `unhook` took out.
  struct Blame {
    Hop hop{};
    std::string text;
    std::string missing;  ///< what should have happened; empty: `items` say it
    Chain items;
  };
  Blame blame(const Event& event, const PageState& page, const StoreRecord& unhook, bool from_here,
              bool lockless) const;
  void report(const Event& event, arch::PhysAddr address, int level, const PageState& page,
              bool lockless);

  std::map<std::uint64_t, PageState> pages_;  // by address
  std::uint64_t allocations_{};
  /// The allocation a walker saw a link to: by walker and page.
  std::map<std::pair<std::uint32_t, std::uint64_t>, std::uint64_t> seen_;
  std::map<std::pair<std::uint16_t, std::uint64_t>, std::uint64_t> roots_;  // by ASID and page
  std::map<std::pair<ActorId, std::uint64_t>, std::uint16_t> walks_;        // their ASID
};

}  // namespace shootdown::cosim

#endif
