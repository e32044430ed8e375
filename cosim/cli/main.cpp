// The program `shootdown`. Errors of the user are caught here and nowhere else.
#include <fmt/format.h>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <systemc>

#include "cosim/cli/commands.h"
#include "cosim/cli/options.h"
#include "cosim/config/strict_yaml.h"

// libsystemc refers to it; its own main() and the catch-all around it are not wanted here.
int sc_main(int, char**) { return 0; }

int main(int argc, char** argv) {
  // SystemC prints its banner otherwise, at the first use.
  setenv("SYSTEMC_DISABLE_COPYRIGHT_MESSAGE", "1", 1);
  // A file that may not grow is an error of its writer, which removes it.
  std::signal(SIGXFSZ, SIG_IGN);
  using namespace shootdown::cosim;
  int exit_code = kExitMet;
  const auto options = parse_options(argc, argv, exit_code);
  if (!options) return exit_code;
  try {
    switch (options->command) {
      case Options::Command::kRun:
        return run_command(*options);
      case Options::Command::kMatrix:
        return matrix_command(*options);
      case Options::Command::kBisect:
        return bisect_command(*options);
      case Options::Command::kCheck:
        return check_command(*options);
      case Options::Command::kList:
        return list_command(*options);
      case Options::Command::kFuzz:
        return fuzz_command(*options);
      case Options::Command::kConform:
        return conform_command(*options);
    }
  } catch (const ConfigError& error) {
    std::cerr << error.what() << '\n';
  } catch (const std::runtime_error& error) {
    std::cerr << options->config << ":1:1: run: " << error.what() << '\n';
  } catch (const std::exception& error) {
    std::cerr << options->config << ":1:1: internal error: " << error.what()
              << " (please report it with the configuration)\n";
  }
  return kExitUsage;
}
