// Reads `devices` of a configuration.
#ifndef SHOOTDOWN_COSIM_CONFIG_LOAD_DEVICES_H
#define SHOOTDOWN_COSIM_CONFIG_LOAD_DEVICES_H

#include "cosim/config/config.h"
#include "cosim/config/strict_yaml.h"

namespace shootdown::cosim {

/// Needs config.hardware and processes. Fills in config.devices. Throws ConfigError.
void read_devices(const YamlValue& value, Config& config);

}  // namespace shootdown::cosim

#endif
