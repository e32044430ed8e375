// Which page frames are free: when each was freed last, and whether somebody has it again.
// Memory: as many frames as were ever freed.
#ifndef SHOOTDOWN_COSIM_LEDGER_FRAMES_H
#define SHOOTDOWN_COSIM_LEDGER_FRAMES_H

#include <unordered_map>

#include "cosim/ledger/stamp.h"
#include "hw/arch/types.h"

namespace shootdown::cosim {

class Frames {
 public:
  void allocated(arch::PhysAddr page, unsigned order);
  void freed(arch::PhysAddr page, unsigned order, const Stamp& at);

  /// The frame that contains `page`, if it was freed and not allocated again; else not set.
  Stamp free_since(arch::PhysAddr page) const;
  /// When the frame was last freed, even if somebody owns it again; not set: never.
  Stamp last_freed(arch::PhysAddr page) const;

  void reset() { *this = {}; }

 private:
  struct Frame {
    Stamp freed;
    bool free{};
  };
  std::unordered_map<std::uint64_t, Frame> frames_;  // by address
};

}  // namespace shootdown::cosim

#endif
