// When something happened and who did it.
#ifndef SHOOTDOWN_COSIM_LEDGER_STAMP_H
#define SHOOTDOWN_COSIM_LEDGER_STAMP_H

#include <cstdint>

#include "cosim/observe/event_log.h"

namespace shootdown::cosim {

struct Stamp {
  std::uint64_t sequence{};  ///< 0: not (yet)
  std::uint64_t time_ps{};
  ActorId actor{kNoActor};
  ThreadId thread{kNoThread};
  explicit operator bool() const { return sequence != 0; }
};

inline Stamp stamp_of(const Event& event) {
  return {event.sequence, event.time_ps, event.actor, event.thread};
}

}  // namespace shootdown::cosim

#endif
