// The configurations of a folder.
#ifndef SHOOTDOWN_COSIM_CLI_CONFIG_FILES_H
#define SHOOTDOWN_COSIM_CLI_CONFIG_FILES_H

#include <string>
#include <vector>

namespace shootdown::cosim {

/// Every .yaml below `folder` but the presets in `hardware/`, by name; none if there is no such
/// folder.
std::vector<std::string> config_files(const std::string& folder);

}  // namespace shootdown::cosim

#endif
