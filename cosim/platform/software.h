// What runs on a machine: the replica of Linux is one Software, a kernel in machine code another.
// It reaches the hardware through the machine's CPUs and tells the log what it does; the platform,
// the ledger and the checkers know no more of it than this.
#ifndef SHOOTDOWN_COSIM_PLATFORM_SOFTWARE_H
#define SHOOTDOWN_COSIM_PLATFORM_SOFTWARE_H

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cosim/platform/machine.h"

namespace shootdown::cosim {

class Software {
 public:
  virtual ~Software() = default;

  /// Everything back to before the first instruction. The machine has been reset, no thread runs.
  virtual void reset() = 0;
  /// Starts the boot CPU: a run begins. What it cannot do for want of memory and the like is thrown
  /// as std::runtime_error when the run gets there.
  virtual void start() = 0;
  /// Threads that have not ended, with what they wait for if that is known. Devices with programs
  /// are the platform's.
  virtual std::vector<std::string> unfinished() const = 0;
  /// What ended a program early, and the like.
  virtual const std::vector<std::string>& remarks() const = 0;
};

/// Makes the software of a machine, before the machine's simulation is elaborated. The machine
/// outlives it.
using SoftwareFactory = std::function<std::unique_ptr<Software>(const Config&, Machine&)>;

}  // namespace shootdown::cosim

#endif
