// Reads `schedule` of a configuration.
#ifndef SHOOTDOWN_COSIM_CONFIG_LOAD_SCHEDULE_H
#define SHOOTDOWN_COSIM_CONFIG_LOAD_SCHEDULE_H

#include <string>
#include <vector>

#include "cosim/config/config.h"
#include "cosim/config/strict_yaml.h"

namespace shootdown::cosim {

/// Threads, devices and hardware of `config` have to be known already. `event_kinds`: names of the
/// log's events; empty: any name is taken.
void read_schedule(const YamlValue& value, const std::vector<std::string>& event_kinds,
                   Config& config);

}  // namespace shootdown::cosim

#endif
