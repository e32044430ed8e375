// Hardware presets: the files of configs/hardware/, built into the program so that a configuration
// can name one wherever it lies.
#ifndef SHOOTDOWN_COSIM_CONFIG_PRESETS_H
#define SHOOTDOWN_COSIM_CONFIG_PRESETS_H

#include <string>
#include <vector>

namespace shootdown::cosim {

const std::vector<std::string>& preset_names();
/// The YAML of each, in the order of their names.
const std::vector<std::string>& preset_texts();

}  // namespace shootdown::cosim

#endif
