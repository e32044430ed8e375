#include "cosim/conform/conform.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "cosim/conform/gzip_json.h"

namespace shootdown::cosim {

namespace {
const std::string kFormats = "formats mmu_gather-trace-1, arm64-tlbi/1";
}

unsigned ConformFile::failed() const {
  return static_cast<unsigned>(std::count_if(
      cases.begin(), cases.end(), [](const ConformCase& c) { return !c.difference.empty(); }));
}

std::vector<ConformFile> conform_folder(const std::string& folder) {
  namespace fs = std::filesystem;
  std::error_code error;
  std::vector<std::string> paths;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const std::string path = entry.path().string();
    if (path.ends_with(".json") || path.ends_with(".json.gz")) paths.push_back(path);
  }
  if (error)
    throw std::runtime_error(folder + ":1:1: folder: " + error.message() + " (a readable folder)");
  std::sort(paths.begin(), paths.end());
  std::vector<ConformFile> result;
  for (const std::string& path : paths) {
    const nlohmann::json file = read_json(path);
    if (!is_mmu_gather(file) && !is_arm64_tlbi(file)) {
      throw std::runtime_error(path + ":1:1: format: is not one that is known (" + kFormats + ")");
    }
    try {
      result.push_back(is_mmu_gather(file) ? replay_mmu_gather(file) : replay_arm64_tlbi(file));
    } catch (const std::exception& problem) {
      throw std::runtime_error(path + ":1:1: case: is not what the format says: " + problem.what() +
                               " (" + kFormats + ")");
    }
    result.back().path = path;
  }
  if (result.empty()) {
    throw std::runtime_error(folder + ":1:1: folder: holds no recorded cases (" + kFormats + ")");
  }
  return result;
}

}  // namespace shootdown::cosim
