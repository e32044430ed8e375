// The command line as data.
#ifndef SHOOTDOWN_COSIM_CLI_OPTIONS_H
#define SHOOTDOWN_COSIM_CLI_OPTIONS_H

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace shootdown::cosim {

inline constexpr const char* kVersion = "0.1.0";

inline constexpr int kExitMet = 0;
inline constexpr int kExitNotMet = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitLimit = 3;

struct Options {
  enum class Command : std::uint8_t { kRun, kMatrix, kBisect, kCheck, kList, kConform, kFuzz };
  Command command{Command::kRun};
  std::string config;
  std::optional<std::string> kernel;
  std::vector<std::string> set;
  std::optional<std::uint64_t> seed;
  std::optional<std::uint64_t> seeds;
  std::optional<std::string> waves;
  std::optional<std::string> json;
  std::optional<std::string> events;
  std::vector<std::string> event_kinds;   ///< empty: all
  std::vector<std::string> event_actors;  ///< empty: all
  std::optional<std::string> event_addresses;
  std::optional<std::uint64_t> event_window;
  std::string list{"configs"};
  std::vector<std::string> configs;  ///< of the matrix; empty: all in configs/
  std::vector<std::string> folders;  ///< of recorded cases
  std::optional<std::string> junit;
  // Of fuzz.
  std::optional<std::uint64_t> experiments;
  std::optional<std::uint64_t> seconds;
  std::uint64_t first_experiment{1};
  unsigned schedules{3};
  std::vector<std::string> inject;
  bool no_shrink{};
  std::optional<std::string> out;  ///< a folder for what fails
  std::optional<std::uint64_t> print;
};

/// Parses the command line. Nothing: the program is done (help, version or an error was printed)
/// and `exit_code` says how.
std::optional<Options> parse_options(int argc, const char* const* argv, int& exit_code);

}  // namespace shootdown::cosim

#endif
