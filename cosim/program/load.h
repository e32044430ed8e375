// From a configuration file to a validated Config.
#ifndef SHOOTDOWN_COSIM_PROGRAM_LOAD_H
#define SHOOTDOWN_COSIM_PROGRAM_LOAD_H

#include <optional>
#include <string>
#include <vector>

#include "cosim/config/config.h"
#include "cosim/config/rtl_support.h"
#include "cosim/config/strict_yaml.h"

namespace shootdown::cosim {

struct LoadOptions {
  std::vector<std::string> set;  ///< key.key=value, applied before anything is read
  std::optional<std::string> kernel;
  std::optional<std::uint64_t> seed;  ///< of a random schedule
  RtlGeometries rtl_geometries;
  std::vector<std::string> event_kinds;  ///< that a schedule can name; empty: any
};

/// Throws ConfigError.
Config load_config(const std::string& path, const LoadOptions& options);
/// Likewise from a text that stands in no file; messages call it `name`.
Config load_config_text(const std::string& text, const std::string& name,
                        const LoadOptions& options);

}  // namespace shootdown::cosim

#endif
