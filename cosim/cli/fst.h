// FST wave files: made from VCD by vcd2fst, which comes with GTKWave.
#ifndef SHOOTDOWN_COSIM_CLI_FST_H
#define SHOOTDOWN_COSIM_CLI_FST_H

#include <string>

namespace shootdown::cosim {

/// Throws ConfigError unless `path` ends in .vcd, or in .fst and vcd2fst is installed.
void check_wave_format(const std::string& path);
/// Turns the VCD at `temporary` into what `path` asks for, in place.
void finish_waves(const std::string& path, const std::string& temporary);

}  // namespace shootdown::cosim

#endif
