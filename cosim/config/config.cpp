#include "cosim/config/config.h"

namespace shootdown::cosim {

bool KernelCondition::matches(const sw::KernelVersion& kernel) const {
  switch (kind) {
    case Kind::kLess:
      return kernel.base < release;
    case Kind::kLessEqual:
      return kernel.base <= release;
    case Kind::kEqual:
      return kernel.base == release;
    case Kind::kGreaterEqual:
      return kernel.base >= release;
    case Kind::kGreater:
      return kernel.base > release;
    case Kind::kWith:
      return kernel.has(*change);
    case Kind::kWithout:
      return !kernel.has(*change);
    case Kind::kAny:
      return true;
  }
  return false;
}

const Expectation* Config::expectation() const {
  for (const Expectation& expectation : expect) {
    if (expectation.kernel.matches(kernel)) return &expectation;
  }
  return nullptr;
}

}  // namespace shootdown::cosim
