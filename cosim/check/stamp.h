// When something happened and who did it.
#ifndef SHOOTDOWN_COSIM_CHECK_STAMP_H
#define SHOOTDOWN_COSIM_CHECK_STAMP_H

#include <cstdint>

#include "cosim/observe/event_log.h"

namespace shootdown::cosim {

struct Stamp {
  std::uint64_t sequence{};  ///< 0: not (yet)
  std::uint64_t time_ps{};
  ActorId actor{};
  ThreadId thread{kNoThread};
  explicit operator bool() const { return sequence != 0; }
};

}  // namespace shootdown::cosim

#endif
