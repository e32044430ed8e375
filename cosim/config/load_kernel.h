// Reads `kernel` of a configuration, and conditions on kernels: releases and single changes.
#ifndef SHOOTDOWN_COSIM_CONFIG_LOAD_KERNEL_H
#define SHOOTDOWN_COSIM_CONFIG_LOAD_KERNEL_H

#include <string>

#include "cosim/config/config.h"
#include "cosim/config/strict_yaml.h"

namespace shootdown::cosim {

// All throw ConfigError.

/// A release, or a map of a base release with changes reverted and applied.
sw::KernelVersion read_kernel(const YamlValue& value);
/// The release that `text` names; `value` is what a message points at.
sw::Release read_release(const YamlValue& value, const std::string& text);
/// `kernel` of an expectation.
KernelCondition read_condition(const YamlValue& value);

}  // namespace shootdown::cosim

#endif
