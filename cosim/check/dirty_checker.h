// lost-dirty: what was written after the last clean is recorded as dirty nowhere, and its page is
// dropped, or left so at the end.
#ifndef SHOOTDOWN_COSIM_CHECK_DIRTY_CHECKER_H
#define SHOOTDOWN_COSIM_CHECK_DIRTY_CHECKER_H

#include <map>
#include <string>

#include "cosim/check/checker.h"
#include "cosim/check/hops/missing_hop.h"

namespace shootdown::cosim {

class DirtyChecker : public Checker {
 public:
  using Checker::Checker;
  EventKinds interests() const override {
    return kinds_of<hw::AccessDone, sw::PageAllocated, sw::FolioDirtied, sw::FolioWritten,
                    sw::FolioMoved, sw::FolioGivenUp, sw::FolioTruncated, sw::FolioDiscarded>();
  }
  void on_event(const Event& event) override;
  void on_end(bool quiet) override;
  void reset() override {
    frames_.clear();
    heads_.clear();
  }

 private:
  /// One base page that holds contents somebody wants to keep.
  struct Frame {
    std::uint64_t head{};  ///< address of the page it is a part of
    bool file{};
    Stamp written;             ///< the last write of a CPU or device
    ActorId writer{kNoActor};  ///< who stands behind it
    ActorId tlb{kNoActor};     ///< whose translation it used
    hw::Requester requester;
    Stamp looked_up;
    Stamp read;  ///< when the entry was read that the write went through
    arch::VirtAddr va{};
    arch::MmId mm{};
    Stamp saved;          ///< contents as of then are safe
    bool written_back{};  ///< `saved` by writeback
  };
  struct Head {
    bool dirty{};
    unsigned order{};
  };
  /// The contents of the page so far may be lost.
  void nobody_wants(arch::PhysAddr page, const Stamp& now);
  template <class Action>
  void for_each_frame(arch::PhysAddr head, Action&& action);
  /// The store that took write permission from the entry that the last write still went through;
  /// null: there is none.
  const StoreRecord* cleaning_store(const Frame& frame, arch::PhysAddr page) const;
  /// The hop for want of which the write was possible, or its page was taken for clean.
  MissingHop missing_hop(const Frame& frame, const StoreRecord* cleaned) const;
  void report(const Frame& frame, arch::PhysAddr page, const Stamp& lost, const std::string& how);

  std::map<std::uint64_t, Frame> frames_;  // by address
  std::map<std::uint64_t, Head> heads_;
};

}  // namespace shootdown::cosim

#endif
