// What has been done to get rid of translations: flushes, TLBIs, IPIs, notifiers, commands, and
// their effects in each TLB.
//
// The unit of memory is a Stay: one stay of a thread in the kernel, with all that it did in it. A
// store keeps its stay, and so do the flushes that cover it; what no store keeps is forgotten. So
// is a TLBI or command that is complete.
#ifndef SHOOTDOWN_COSIM_LEDGER_MAINTENANCE_H
#define SHOOTDOWN_COSIM_LEDGER_MAINTENANCE_H

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "cosim/ledger/kernel_stacks.h"
#include "cosim/ledger/stamp.h"
#include "hw/arch/invalidation.h"
#include "hw/arch/maintenance.h"
#include "hw/events.h"
#include "sw/kernel/tracepoints.h"

namespace shootdown::cosim {

/// An invalidation took effect in one TLB or ATC, the actor of `at`.
struct Effect {
  Stamp at;
  unsigned removed{};
};
/// Likewise by a CPU's own instruction, which nothing else tells of.
struct LocalEffect : Effect {
  arch::Invalidation what;
};

struct TlbiRecord {
  Stamp at;
  Stamp completed;  ///< the DSB after it
  std::uint64_t dvm_id{};
  arch::Invalidation what;
  std::string_view op;
  std::vector<Effect> effects;
};

struct IpiRecord {
  Stamp at;
  std::uint64_t mask{};  ///< bit i: CPU i
};

struct NotifierRecord {
  Stamp at;
  arch::MmId mm{};
  arch::VirtAddr start{};
  arch::VirtAddr limit{};  ///< exclusive
  std::string_view callback;
  bool release{};  ///< no device uses the tables again
};

/// A command from its submission to its effect.
struct CommandRecord {
  Stamp submitted;
  Stamp fetched;
  Stamp failed;            ///< it ended in an error
  Stamp completed;         ///< of a barrier; of an ATC invalidation: the device has answered
  std::uint64_t number{};  ///< the MMU's, once fetched
  arch::Maintenance command;
  std::string_view error;
  bool timeout{};  ///< of a barrier: an ATC did not answer in time
  std::vector<Effect> effects;
};

/// A flush function from entry to return.
struct FlushRecord {
  Stamp begin;
  Stamp end;  ///< not set while it is under way
  std::uint64_t number{};
  arch::MmId mm{};
  arch::VirtAddr start{};
  arch::VirtAddr limit{};  ///< exclusive; ~0: everything
  bool secondary{};        ///< for devices too
  bool idle{};             ///< it has found that there was nothing to do
  CallPath path{};
  /// Invalidations by CPUs' own instructions while it was under way.
  std::vector<LocalEffect> local;

  bool covers(std::uint64_t first, std::uint64_t last) const {
    return start.value <= last && (first < limit.value || limit.value == ~std::uint64_t{0});
  }
};

/// One stay of a thread in the kernel.
struct Stay {
  std::vector<std::shared_ptr<FlushRecord>> flushes;
  std::vector<std::shared_ptr<TlbiRecord>> tlbis;
  std::vector<IpiRecord> ipis;
  std::vector<NotifierRecord> notifiers;
  std::vector<std::shared_ptr<CommandRecord>> commands;
};

/// A flush and what it was done with.
struct FlushInStay {
  std::shared_ptr<const FlushRecord> flush;
  std::shared_ptr<const Stay> stay;
};

class Maintenance {
 public:
  /// `log` and `stacks` outlive this object.
  Maintenance(const EventLog& log, const KernelStacks& stacks) : log_(&log), stacks_(&stacks) {}

  // What happens.
  FlushInStay began(const Stamp& at, const sw::FlushBegin& e);
  /// The flush that has ended; null: it is not known, or found that it had nothing to do.
  std::shared_ptr<const FlushRecord> ended(const Stamp& at, const sw::FlushEnd& e);
  void issued(const Stamp& at, const hw::TlbiIssued& e);
  void barrier(const Stamp& at, const hw::DsbCompleted& e);
  void sent(const Stamp& at, const sw::IpiSent& e);
  void notified(const Stamp& at, const sw::NotifierCalled& e);
  void submitted(const Stamp& at, const sw::CommandSubmitted& e);
  void fetched(const Stamp& at, const hw::CommandFetched& e);
  void failed(const Stamp& at, const hw::CommandError& e);
  void completed(const Stamp& at, const hw::SyncCompleted& e);
  void answered(const Stamp& at, const hw::AtcInvalidationCompleted& e);
  void took_effect(const Stamp& at, const hw::TlbInvalidate& e);
  void pending(const Stamp& at, const sw::FlushPending& e);

  // What is.
  /// What a thread does in its present stay.
  std::shared_ptr<const Stay> stay(const Stamp& at) { return stay_of(at); }
  /// Flushes under way.
  const std::vector<std::shared_ptr<FlushRecord>>& open_flushes() const { return open_; }
  /// Whether a gather of `mm`, or another who owes a flush, is open.
  bool flush_pending(arch::MmId mm) const {
    const auto found = pending_.find(mm);
    return found != pending_.end() && found->second.count > 0;
  }
  /// Whether the thread that made this store had said before it that it would flush, and has not
  /// said since that it has.
  bool flush_owed(arch::MmId mm, const Stamp& store) const;
  /// Records that are still waited for: of use to the tests of its bounds.
  std::size_t outstanding() const;

  void reset() { *this = Maintenance(*log_, *stacks_); }

 private:
  struct ThreadStay {
    std::shared_ptr<Stay> stay;
    std::uint64_t entered{};  // sequence; 0: outside the kernel
  };
  struct Unit {
    std::deque<std::shared_ptr<CommandRecord>> submitted;             // and not fetched yet
    std::map<std::uint64_t, std::shared_ptr<CommandRecord>> fetched;  // by number, not complete yet
    std::shared_ptr<CommandRecord> stopped_at;  // refused: fetched again, edited
  };
  std::shared_ptr<Stay>& stay_of(const Stamp& at);

  const EventLog* log_;
  const KernelStacks* stacks_;
  std::map<std::uint32_t, ThreadStay> stays_;  // by thread; of hardware: by actor
  std::vector<std::shared_ptr<FlushRecord>> open_;
  std::deque<std::shared_ptr<TlbiRecord>> tlbis_;  // not complete yet, oldest first
  std::size_t most_effects_{};     // of one TLBI: how many TLBs there are to have one
  std::map<ActorId, Unit> units_;  // by secondary MMU
  /// mm->tlb_flush_pending, and since when each thread has had a part in it.
  struct Pending {
    int count{};
    std::map<std::uint32_t, std::vector<std::uint64_t>> since;  // sequences, by thread
  };
  std::map<arch::MmId, Pending> pending_;
};

}  // namespace shootdown::cosim

#endif
