#include "cosim/cli/config_files.h"

#include <algorithm>
#include <filesystem>

namespace shootdown::cosim {

std::vector<std::string> config_files(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, error)) {
    // Presets are parts of configurations, not configurations.
    const bool preset = entry.path().parent_path().filename() == "hardware";
    if (entry.path().extension() == ".yaml" && !preset) files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace shootdown::cosim
