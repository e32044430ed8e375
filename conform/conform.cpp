#include "conform/conform.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "conform/gzip_json.h"

namespace shootdown::conform {

namespace fs = std::filesystem;

namespace {
const std::string kFormats =
    "formats mmu_gather-trace-1, arm64-tlbi/1, smmuv3-qemu-vector/1, "
    "smmuv3-driver/1, smmuv3-commands/1, smmu-tlb-inv-range/1, "
    "smmuv3-nonterminating/1";
}

unsigned ConformFile::failed() const {
  return static_cast<unsigned>(std::count_if(
      cases.begin(), cases.end(), [](const ConformCase& c) { return !c.difference.empty(); }));
}

namespace {

bool is_recording(const fs::path& path) {
  const std::string name = path.filename().string();
  return (name.ends_with(".json") || name.ends_with(".json.gz")) && name != "index.json";
}

/// A folder's, or the one file that is named.
std::vector<std::string> recordings_below(const std::string& folder) {
  std::error_code error;
  if (fs::is_regular_file(folder, error)) return {folder};
  std::vector<std::string> paths;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder, error)) {
    if (is_recording(entry.path())) paths.push_back(entry.path().string());
  }
  if (error)
    throw std::runtime_error(folder + ":1:1: folder: " + error.message() +
                             " (a readable folder, or a recording)");
  std::sort(paths.begin(), paths.end());
  return paths;
}

bool is_known(const nlohmann::json& file) {
  return is_mmu_gather(file) || is_arm64_tlbi(file) || is_smmuv3(file) || is_smmu_driver(file) ||
         is_smmu_commands(file);
}

ConformFile replay(const nlohmann::json& file) {
  if (is_mmu_gather(file)) return replay_mmu_gather(file);
  if (is_arm64_tlbi(file)) return replay_arm64_tlbi(file);
  if (is_smmu_driver(file)) return replay_smmu_driver(file);
  if (is_smmu_commands(file)) return replay_smmu_commands(file);
  return replay_smmuv3(file);
}

}  // namespace

std::vector<ConformFile> conform_folder(const std::string& folder) {
  std::vector<ConformFile> result;
  for (const std::string& path : recordings_below(folder)) {
    const nlohmann::json file = read_json(path);
    if (!is_known(file)) {
      const std::string format = file.is_object() && file.contains("format")
                                     ? "is " + file.at("format").dump()
                                     : "is missing";
      throw std::runtime_error(path + ":1:1: format: " + format + " (" + kFormats + ")");
    }
    try {
      result.push_back(replay(file));
    } catch (const std::exception& problem) {
      throw std::runtime_error(path + ":1:1: " + problem_of(problem) +
                               " (what README.md beside the recordings of " +
                               file.value("format", "this format") + " says)");
    }
    result.back().path = path;
  }
  if (result.empty()) {
    throw std::runtime_error(folder + ":1:1: folder: holds no recorded cases (" + kFormats + ")");
  }
  return result;
}

}  // namespace shootdown::conform
