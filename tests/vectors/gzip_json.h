// Reads the recorded vectors of this folder.
#ifndef SHOOTDOWN_TESTS_VECTORS_GZIP_JSON_H
#define SHOOTDOWN_TESTS_VECTORS_GZIP_JSON_H

#include <cstdint>
#include <string>

#include "conform/gzip_json.h"

namespace shootdown::tests {

/// `name` is relative to tests/vectors/.
inline nlohmann::json read_vectors(const std::string& name) {
  return conform::read_json(std::string(SHOOTDOWN_SOURCE_DIR "/tests/vectors/") + name);
}

/// "0x1f" as a number.
inline std::uint64_t hex(const nlohmann::json& text) {
  return std::stoull(text.get<std::string>(), nullptr, 16);
}

}  // namespace shootdown::tests

#endif
