// The kernels whose behaviour was recorded.
#ifndef SHOOTDOWN_CONFORM_RECORDED_KERNEL_H
#define SHOOTDOWN_CONFORM_RECORDED_KERNEL_H

#include <stdexcept>
#include <string>

#include "sw/kernel/version.h"

namespace shootdown::conform {

/// "6.1", or "6.12": v6.7 with all changes that came later. Throws std::runtime_error for others.
inline sw::KernelBehaviour recorded_kernel(const std::string& kernel) {
  sw::KernelVersion version;
  if (kernel == "6.1") {
    version.base = {6, 1};
    // The recorded 6.1.192 has what stable releases took over.
    for (const char* backport : {"1013af4f585f", "8ce720d5bd91", "c2ff4764e03e"}) {
      version.apply.push_back(sw::find_change(backport));
    }
  } else if (kernel == "6.12") {
    version.base = {6, 7};
    for (const sw::KernelChange& change : sw::kernel_changes()) {
      if (change.first_release > version.base) version.apply.push_back(&change);
    }
  } else {
    throw std::runtime_error("kernel \"" + kernel + "\" is not known (6.1, 6.12)");
  }
  return version.behaviour();
}

}  // namespace shootdown::conform

#endif
