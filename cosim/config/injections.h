// The defects that a configuration can plant by name, in software and hardware.
#ifndef SHOOTDOWN_COSIM_CONFIG_INJECTIONS_H
#define SHOOTDOWN_COSIM_CONFIG_INJECTIONS_H

#include <span>
#include <string_view>

#include "cosim/config/config.h"

namespace shootdown::cosim {

struct Injection {
  std::string_view name;
  std::string_view what;
  void (*plant)(Config&);
  /// Why it can do nothing on a machine; null: it can on every one.
  const char* (*obstacle)(const Config&){};
};

std::span<const Injection> injections();
/// Null if there is none of that name.
const Injection* find_injection(std::string_view name);

}  // namespace shootdown::cosim

#endif
