#include "cosim/report/output_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "cosim/config/strict_yaml.h"

namespace shootdown::cosim {

namespace {

/// Where a link leads, so that the link stays.
std::string resolved(const std::string& path) {
  std::error_code error;
  const auto target = std::filesystem::weakly_canonical(path, error);
  return error ? path : target.string();
}

}  // namespace

OutputFile::OutputFile(const std::string& option, const std::string& path)
    : option_(option), path_(path), target_(resolved(path)) {
  std::error_code error;
  const auto status = std::filesystem::status(target_, error);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    fail("is not an ordinary file");
  }
  if (path == "-") fail("is no file");
  temporary_ = fmt::format("{}.{}.tmp", target_, ::getpid());
  stream_.open(temporary_, std::ios::binary | std::ios::trunc);
  if (!stream_) fail("cannot be written");
}

OutputFile::~OutputFile() {
  if (committed_ || temporary_.empty()) return;
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
  std::filesystem::rename(temporary_, target_, error);
  if (error) fail(error.message());
  committed_ = true;
}

}  // namespace shootdown::cosim
