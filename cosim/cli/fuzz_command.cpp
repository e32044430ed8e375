// shootdown fuzz
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>

#include "cosim/cli/commands.h"
#include "cosim/config/injections.h"
#include "cosim/config/load_kernel.h"
#include "cosim/config/strict_yaml.h"
#include "cosim/fuzz/fuzz.h"
#include "cosim/report/output_file.h"

namespace shootdown::cosim {

namespace {

/// Writes each group's configuration; says where.
std::string write_groups(const std::string& folder, const FuzzResult& result) {
  std::string text;
  unsigned number = 0;
  for (const auto& [kind, group] : result.groups) {
    if (group.file.empty()) continue;
    std::string name = fmt::format("{:02}_{}", ++number, kind.what);
    if (!kind.hop.empty()) name += "_" + kind.hop;
    const std::string path = folder + "/" + name + ".yaml";
    OutputFile file("--out", path);
    file.stream() << group.file;
    file.commit();
    text += fmt::format(
        "shootdown run {}{}\n", path,
        group.shortest.schedule ? fmt::format(" --seed {}", *group.shortest.schedule) : "");
  }
  return text;
}

std::string group_files(const FuzzResult& result) {
  std::string text;
  for (const auto& [kind, group] : result.groups) {
    if (!group.file.empty()) text += "\n" + group.file;
  }
  return text;
}

/// Before hours of work: a folder that is there, or can be.
void make_folder(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error || ::access(folder.c_str(), W_OK) != 0) {
    throw ConfigError(fmt::format("{}:1:1: --out: cannot be written to (a folder)", folder));
  }
}

void check_names(const Options& options) {
  if (options.kernel) {
    read_release({{.file = "--kernel", .assigned = {}}, "kernel", YAML::Node(*options.kernel)},
                 *options.kernel);
  }
  for (const std::string& name : options.inject) {
    if (find_injection(name) != nullptr) continue;
    throw ConfigError(fmt::format(
        "--inject:1:1: inject: unknown injection '{}' (shootdown list injections has all)", name));
  }
}

}  // namespace

int fuzz_command(const Options& options) {
  check_names(options);
  if (options.out) make_folder(*options.out);
  FuzzOptions fuzz;
  fuzz.experiments.kernel = options.kernel.value_or(newest_kernel());
  if (!options.inject.empty()) {
    fuzz.experiments.inject = fmt::format("[{}]", fmt::join(options.inject, ", "));
  }
  fuzz.first_seed = options.first_experiment;
  fuzz.schedules = options.schedules;
  fuzz.shrink = !options.no_shrink;
  if (options.print) {
    std::cout << generate(*options.print, fuzz.experiments).yaml() << std::flush;
    return kExitMet;
  }
  if (options.experiments) fuzz.experiments_at_most = *options.experiments;
  if (options.seconds || !options.experiments) {
    fuzz.seconds_at_most = static_cast<double>(options.seconds.value_or(60));
  }
  const FuzzResult result = run_fuzz(fuzz);
  std::cout << fuzz_text(fuzz, result);
  if (!result.groups.empty()) {
    std::cout << "\n" << (options.out ? write_groups(*options.out, result) : group_files(result));
  }
  std::cout << std::flush;
  return result.failing == 0 && result.crashed.empty() ? kExitMet : kExitNotMet;
}

}  // namespace shootdown::cosim
