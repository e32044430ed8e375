// The one check macro: a broken invariant is our bug, never the user's.
#ifndef SHOOTDOWN_HW_ARCH_CHECK_H
#define SHOOTDOWN_HW_ARCH_CHECK_H

#include <stdexcept>
#include <string>

/// Throws std::logic_error with the place and `message` unless `condition` holds.
#define SHOOTDOWN_CHECK(condition, message)                                                \
  do {                                                                                     \
    if (!(condition)) {                                                                    \
      throw std::logic_error(std::string(__FILE__ ":") + std::to_string(__LINE__) + ": " + \
                             (message));                                                   \
    }                                                                                      \
  } while (false)

#endif
