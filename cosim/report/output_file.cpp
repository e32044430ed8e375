#include "cosim/report/output_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "cosim/config/strict_yaml.h"

namespace shootdown::cosim {

OutputFile::OutputFile(const std::string& option, const std::string& path)
    : option_(option),
      path_(path),
      temporary_(fmt::format("{}.{}.tmp", path, ::getpid())),
      stream_(temporary_, std::ios::binary | std::ios::trunc) {
  if (!stream_) fail("cannot be written");
  if (std::filesystem::is_directory(path)) {
    std::filesystem::remove(temporary_);
    fail("is a folder");
  }
}

OutputFile::~OutputFile() {
  if (committed_) return;
  stream_.close();
  std::error_code ignored;
  std::filesystem::remove(temporary_, ignored);
}

void OutputFile::fail(const std::string& problem) const {
  throw ConfigError(
      fmt::format("{}:1:1: {}: {} (a file in a writable folder)", path_, option_, problem));
}

void OutputFile::commit() {
  if (stream_.is_open()) {
    stream_.close();
    if (!stream_) fail("could not be written whole");
  }
  std::error_code error;
  std::filesystem::rename(temporary_, path_, error);
  if (error) fail(error.message());
  committed_ = true;
}

}  // namespace shootdown::cosim
