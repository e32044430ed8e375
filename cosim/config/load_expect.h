// Reads `expect` of a configuration.
#ifndef SHOOTDOWN_COSIM_CONFIG_LOAD_EXPECT_H
#define SHOOTDOWN_COSIM_CONFIG_LOAD_EXPECT_H

#include <vector>

#include "cosim/config/config.h"
#include "cosim/config/strict_yaml.h"

namespace shootdown::cosim {

/// Throws ConfigError.
std::vector<Expectation> read_expectations(const YamlValue& value);

}  // namespace shootdown::cosim

#endif
