// Reads the recorded vectors of this folder: JSON, plain or compressed with gzip.
#ifndef SHOOTDOWN_TESTS_VECTORS_GZIP_JSON_H
#define SHOOTDOWN_TESTS_VECTORS_GZIP_JSON_H

#include <zlib.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

namespace shootdown::tests {

/// `name` is relative to tests/vectors/.
inline nlohmann::json read_vectors(const std::string& name) {
  const std::string path = std::string(SHOOTDOWN_SOURCE_DIR "/tests/vectors/") + name;
  gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr) throw std::runtime_error("cannot open " + path);
  std::string text;
  std::array<char, 65536> chunk{};
  int bytes = 0;
  while ((bytes = gzread(file, chunk.data(), static_cast<unsigned>(chunk.size()))) > 0) {
    text.append(chunk.data(), static_cast<std::size_t>(bytes));
  }
  const bool complete = bytes == 0 && gzclose(file) == Z_OK;
  if (!complete) throw std::runtime_error("cannot read " + path);
  return nlohmann::json::parse(text);
}

/// "0x1f" as a number.
inline std::uint64_t hex(const nlohmann::json& text) {
  return std::stoull(text.get<std::string>(), nullptr, 16);
}

}  // namespace shootdown::tests

#endif
