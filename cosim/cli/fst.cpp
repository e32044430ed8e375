#include "cosim/cli/fst.h"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "cosim/config/strict_yaml.h"

extern char** environ;

namespace shootdown::cosim {

namespace {

[[noreturn]] void fail(const std::string& path, const std::string& problem) {
  throw ConfigError(fmt::format(
      "{}:1:1: --waves: {} (F.vcd; or F.fst with vcd2fst, package gtkwave)", path, problem));
}

bool in_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  std::string folder;
  while (std::getline(folders, folder, ':')) {
    if (std::filesystem::exists(std::filesystem::path(folder) / program)) return true;
  }
  return false;
}

}  // namespace

void check_wave_format(const std::string& path) {
  const std::string ending = std::filesystem::path(path).extension().string();
  if (ending == ".vcd") return;
  if (ending != ".fst") fail(path, "unknown kind of wave file");
  if (!in_path("vcd2fst")) fail(path, "vcd2fst is not installed");
}

void finish_waves(const std::string& path, const std::string& temporary) {
  if (std::filesystem::path(path).extension() != ".fst") return;
  const std::string converted = temporary + ".fst";
  std::array<const char*, 4> arguments{"vcd2fst", temporary.c_str(), converted.c_str(), nullptr};
  pid_t child = 0;
  // posix_spawnp() does not change its arguments; its prototype predates const.
  if (posix_spawnp(&child, "vcd2fst", nullptr, nullptr, const_cast<char**>(arguments.data()),
                   environ) != 0) {
    fail(path, "vcd2fst could not be started");
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail(path, "vcd2fst failed");
  std::filesystem::rename(converted, temporary);
}

}  // namespace shootdown::cosim
