// The `hardware:` part of a configuration.
#ifndef SHOOTDOWN_COSIM_CONFIG_LOAD_HARDWARE_H
#define SHOOTDOWN_COSIM_CONFIG_LOAD_HARDWARE_H

#include "cosim/config/config.h"
#include "cosim/config/rtl_support.h"
#include "cosim/config/strict_yaml.h"

namespace shootdown::cosim {

void read_hardware(const YamlValue& value, const RtlGeometries& rtl, HardwareConfig& hardware);
/// `atc: true`, `false` or a map.
void read_atc(const YamlValue& value, hw::DmaDeviceConfig& device);

}  // namespace shootdown::cosim

#endif
