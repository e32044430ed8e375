// The commands of the command line. Each returns the exit status.
#ifndef SHOOTDOWN_COSIM_CLI_COMMANDS_H
#define SHOOTDOWN_COSIM_CLI_COMMANDS_H

#include "cosim/cli/options.h"

namespace shootdown::cosim {

int run_command(const Options& options);
int matrix_command(const Options& options);
int bisect_command(const Options& options);
int check_command(const Options& options);
int list_command(const Options& options);
int conform_command(const Options& options);
int fuzz_command(const Options& options);

}  // namespace shootdown::cosim

#endif
