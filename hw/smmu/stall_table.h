// Stalled transactions, each named by its StreamID and STAG until software answers.
// Source: IHI 0070 section 3.12.2 (early retry, suppression of alike events), CMD_RESUME and
// CMD_STALL_TERM.
#ifndef SHOOTDOWN_HW_SMMU_STALL_TABLE_H
#define SHOOTDOWN_HW_SMMU_STALL_TABLE_H

#include <cstdint>
#include <optional>
#include <vector>

#include "hw/arch/types.h"
#include "hw/sim/simulation.h"
#include "hw/sim/wait_list.h"

namespace shootdown::hw {

enum class StallAnswer : std::uint8_t { kRetry, kAbort, kRazWi };

/// What makes two stalled accesses alike.
struct StallKey {
  arch::StreamId stream_id{};
  std::optional<arch::SubstreamId> substream_id;
  std::uint64_t page{};
  arch::Access access{};
  bool privileged{};
  bool instruction{};
  bool operator==(const StallKey&) const = default;
};

class StallTable {
 public:
  StallTable(Simulation& simulation, unsigned capacity)
      : simulation_(simulation), changed_(simulation), slots_(capacity) {}

  /// Takes a free STAG for the running thread; nothing if all are in use.
  std::optional<std::uint16_t> allocate(const StallKey& key);
  /// Gives back a STAG that was never announced to software.
  void cancel(std::uint16_t stag);
  /// Whether software has answered for `stag`, which is taken.
  bool answered(std::uint16_t stag) const { return slots_[stag].answer.has_value(); }
  /// Blocks a stall that no event names, for want of a STAG or of space in the event queue or
  /// because another speaks for it, until an attempt may go otherwise. False: software has
  /// terminated it.
  bool wait_unreported(arch::StreamId stream_id);
  /// The event queue has space, or is on.
  void retry_unreported() { changed_.wake_all(); }
  /// Blocks until software has answered for `stag`, then frees it. With `at_most_ps` other than 0
  /// it returns nothing after that time, and the stall stays.
  std::optional<StallAnswer> wait(std::uint16_t stag, std::uint64_t at_most_ps);
  /// The transaction ended by itself. The STAG stays taken until software's answer, if that has not
  /// come already.
  void leave(std::uint16_t stag);
  /// An unanswered stall that is alike, whose event speaks for this access too.
  bool has_alike(const StallKey& key) const;

  /// CMD_RESUME. False if no stall has this StreamID and STAG: a no-op, not an error.
  bool resume(arch::StreamId stream_id, std::uint16_t stag, StallAnswer answer);
  /// CMD_STALL_TERM, or SMMUEN going to 0 (no StreamID: all).
  void terminate(std::optional<arch::StreamId> stream_id);
  void reset();

 private:
  struct Slot {
    bool used{};
    StallKey key;
    SimThread* thread{};  // none: its transaction has gone on
    std::optional<StallAnswer> answer;
  };
  struct Unreported {
    arch::StreamId stream_id{};
    bool terminated{};
  };
  void answer(Slot& slot, StallAnswer answer);

  Simulation& simulation_;
  WaitList changed_;
  std::vector<Slot> slots_;
  std::vector<Unreported*> unreported_;
};

}  // namespace shootdown::hw

#endif
