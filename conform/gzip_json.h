// Reads recorded cases: JSON, plain or compressed with gzip.
#ifndef SHOOTDOWN_CONFORM_GZIP_JSON_H
#define SHOOTDOWN_CONFORM_GZIP_JSON_H

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

namespace shootdown::conform {

/// What the library says of its own names left out.
inline std::string problem_of(const std::exception& error) {
  const std::string text = error.what();
  const std::size_t end = text.find("] ");
  return text.starts_with("[json.") && end != std::string::npos ? text.substr(end + 2) : text;
}

/// What `use` returns; what it throws, with the place in front.
template <class Use>
auto at_place(const std::string& place, Use&& use) {
  try {
    return use();
  } catch (const std::exception& problem) {
    throw std::runtime_error(place + ": " + problem_of(problem));
  }
}

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
  } catch (const nlohmann::json::parse_error& error) {
    const std::string before = text.substr(0, error.byte == 0 ? 0 : error.byte - 1);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const auto column = before.size() - (before.rfind('\n') + 1) + 1;  // npos + 1 is 0
    throw std::runtime_error(path + ":" + std::to_string(line) + ":" + std::to_string(column) +
                             ": JSON: " + problem_of(error) + " (JSON)");
  }
}

/// A number, or "0x1f" as one.
inline std::uint64_t hex_number(const nlohmann::json& value) {
  if (value.is_number()) return value.get<std::uint64_t>();
  const auto text = value.get<std::string>();
  std::size_t used = 0;
  std::uint64_t number = 0;
  try {
    number = std::stoull(text, &used, 0);
  } catch (const std::logic_error&) {
    used = text.size() + 1;  // no digits, or too many
  }
  if (used != text.size()) throw std::runtime_error("'" + text + "' is no number");
  return number;
}

}  // namespace shootdown::conform

#endif
