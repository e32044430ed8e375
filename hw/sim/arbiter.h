// A hardware resource that several take turns on.
#ifndef SHOOTDOWN_HW_SIM_ARBITER_H
#define SHOOTDOWN_HW_SIM_ARBITER_H

#include <vector>

#include "hw/sim/simulation.h"

namespace shootdown::hw {

/// A hardware resource of which `slots` threads may hold one each; first come, first served.
class Arbiter {
 public:
  explicit Arbiter(Simulation& simulation, unsigned slots = 1)
      : simulation_(simulation), slots_(slots), free_(slots) {}
  void acquire();
  void release();
  void reset();

 private:
  Simulation& simulation_;
  unsigned slots_;
  unsigned free_;
  std::vector<SimThread*> queue_;
};

/// Holds one slot of an arbiter for a scope.
class ArbiterHold {
 public:
  explicit ArbiterHold(Arbiter& arbiter) : arbiter_(arbiter) { arbiter_.acquire(); }
  ~ArbiterHold() { arbiter_.release(); }
  ArbiterHold(const ArbiterHold&) = delete;
  ArbiterHold& operator=(const ArbiterHold&) = delete;

 private:
  Arbiter& arbiter_;
};

}  // namespace shootdown::hw

#endif
