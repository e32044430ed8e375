// The map `hardware.smmu` of a configuration or of a preset.
#ifndef SHOOTDOWN_COSIM_CONFIG_LOAD_SMMU_H
#define SHOOTDOWN_COSIM_CONFIG_LOAD_SMMU_H

#include "cosim/config/config.h"
#include "cosim/config/rtl_support.h"
#include "cosim/config/strict_yaml.h"

namespace shootdown::cosim {

/// Changes what `value` names and leaves the rest of `hardware` as it is. Throws ConfigError.
void read_smmu(const YamlValue& value, const RtlGeometries& rtl, HardwareConfig& hardware);

}  // namespace shootdown::cosim

#endif
