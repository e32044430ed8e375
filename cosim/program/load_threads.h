// The `threads:` part of a configuration: programs of CPUs and devices.
#ifndef SHOOTDOWN_COSIM_PROGRAM_LOAD_THREADS_H
#define SHOOTDOWN_COSIM_PROGRAM_LOAD_THREADS_H

#include "cosim/config/config.h"
#include "cosim/config/strict_yaml.h"

namespace shootdown::cosim {

/// Needs config.hardware, processes and devices. Fills in threads and signals.
void read_threads(const YamlValue& value, Config& config);

}  // namespace shootdown::cosim

#endif
