// Reads `processes` of a configuration: address spaces, their regions and files.
#ifndef SHOOTDOWN_COSIM_CONFIG_LOAD_PROCESSES_H
#define SHOOTDOWN_COSIM_CONFIG_LOAD_PROCESSES_H

#include <vector>

#include "cosim/config/config.h"
#include "cosim/config/strict_yaml.h"

namespace shootdown::cosim {

/// In the order of the file, in which a fork stands behind its parent. Throws ConfigError.
std::vector<ProcessConfig> read_processes(const YamlValue& value);

}  // namespace shootdown::cosim

#endif
