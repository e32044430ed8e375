// Reads recorded cases: JSON, plain or compressed with gzip.
#ifndef SHOOTDOWN_COSIM_CONFORM_GZIP_JSON_H
#define SHOOTDOWN_COSIM_CONFORM_GZIP_JSON_H

#include <zlib.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

namespace shootdown::cosim {

/// Throws std::runtime_error, with the path, if the file cannot be read or is not JSON.
inline nlohmann::json read_json(const std::string& path) {
  gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr)
    throw std::runtime_error(path + ":1:1: file: cannot be opened (a readable file)");
  std::string text;
  std::array<char, 65536> chunk{};
  int bytes = 0;
  while ((bytes = gzread(file, chunk.data(), static_cast<unsigned>(chunk.size()))) > 0) {
    text.append(chunk.data(), static_cast<std::size_t>(bytes));
  }
  const bool closed = gzclose(file) == Z_OK;
  if (bytes != 0 || !closed)
    throw std::runtime_error(path +
                             ":1:1: file: cannot be read to its end (plain text or gzip, whole)");
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    throw std::runtime_error(path + ":1:1: JSON: " + error.what() + " (JSON)");
  }
}

/// A number, or "0x1f" as one.
inline std::uint64_t hex_number(const nlohmann::json& value) {
  if (value.is_number()) return value.get<std::uint64_t>();
  const auto text = value.get<std::string>();
  std::size_t used = 0;
  const std::uint64_t number = std::stoull(text, &used, 0);
  if (used != text.size()) throw std::runtime_error("'" + text + "' is no number");
  return number;
}

}  // namespace shootdown::cosim

#endif
