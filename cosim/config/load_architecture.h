// Reads `architecture` of a configuration.
#ifndef SHOOTDOWN_COSIM_CONFIG_LOAD_ARCHITECTURE_H
#define SHOOTDOWN_COSIM_CONFIG_LOAD_ARCHITECTURE_H

#include "cosim/config/architecture_config.h"
#include "cosim/config/strict_yaml.h"

namespace shootdown::cosim {

ArchitectureConfig read_architecture(const YamlValue& value);

}  // namespace shootdown::cosim

#endif
