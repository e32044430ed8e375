#include "conform/smmuv3_step.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "conform/gzip_json.h"

namespace shootdown::conform {

namespace smmuv3 = arch::smmuv3;
using nlohmann::json;

namespace {

constexpr std::uint64_t bits(std::uint64_t word, unsigned high, unsigned low) {
  return word >> low & ((std::uint64_t{2} << (high - low)) - 1);
}

std::size_t dma_bytes(const json& step) {
  constexpr std::int64_t kMost = 1 << 16;
  const auto bytes = step.at("n").get<std::int64_t>();
  if (bytes < 1 || bytes > kMost) {
    throw std::runtime_error(fmt::format("n {} is not from 1 to {}", bytes, kMost));
  }
  return static_cast<std::size_t>(bytes);
}

}  // namespace

std::uint32_t register_offset(const json& step) {
  constexpr std::uint64_t kRegisterBytes = 0x20000;
  const std::uint64_t offset = hex_number(step.at("off"));
  if (offset >= kRegisterBytes || offset % 4 != 0) {
    throw std::runtime_error(fmt::format("off {:#x} is no register (below 0x20000)", offset));
  }
  return static_cast<std::uint32_t>(offset);
}

unsigned register_bytes(const json& step) {
  const auto size = step.at("size").get<unsigned>();
  if (size != 4 && size != 8) {
    throw std::runtime_error(fmt::format("size {} is neither 4 nor 8", size));
  }
  return size;
}

bool is_write(const json& step) {
  const std::string direction = step.at("dir");
  if (direction != "r" && direction != "w") {
    throw std::runtime_error("dir '" + direction + "' is neither r nor w");
  }
  return direction == "w";
}

std::vector<std::uint8_t> dma_data(const json& step) {
  std::vector<std::uint8_t> data(dma_bytes(step));
  if (!is_write(step)) return data;
  const std::string digits = step.at("d");
  const bool hexadecimal = digits.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
  if (!hexadecimal || digits.size() != 2 * data.size()) {
    throw std::runtime_error(
        fmt::format("d '{}' is no {} bytes, two digits each", digits, data.size()));
  }
  for (std::size_t i = 0; i < data.size(); ++i) {
    data[i] = static_cast<std::uint8_t>(std::stoul(digits.substr(2 * i, 2), nullptr, 16));
  }
  return data;
}

// Literal on purpose: the model has rules of its own.
std::optional<smmuv3::Command> instead_of_illegal(const smmuv3::Command& command) {
  const smmuv3::Command sync{0x46, 0};
  const std::uint64_t opcode = bits(command.dw0, 7, 0);
  switch (opcode) {
    case 0x18:  // EL3 commands belong to the Secure queue
    case 0x1a:
    case 0x20:  // no EL2 (IDR0.HYP = 0)
    case 0x21:
    case 0x22:
    case 0x23:
    case 0x40:  // no ATS
    case 0x41:  // no PRI
    case 0x44:  // terminate only (IDR0.STALL_MODEL = 1)
    case 0x45:
      return sync;
    case 0x46:
      return bits(command.dw0, 13, 12) == 3 ? std::optional(sync) : std::nullopt;
    case 0x12:
    case 0x13:
    case 0x2a: {
      const std::uint64_t tg = bits(command.dw1, 11, 10);
      const std::uint64_t ttl = bits(command.dw1, 9, 8);
      const bool no_range = bits(command.dw0, 16, 12) == 0 && bits(command.dw0, 24, 20) == 0;
      const bool no_level = ttl == 0 || (tg == 2 && ttl == 1);
      if (tg == 0 || !no_range || !no_level) return std::nullopt;
      return smmuv3::Command{command.dw0, command.dw1 & ~std::uint64_t{0xf00}};
    }
    default:
      return std::nullopt;
  }
}

}  // namespace shootdown::conform
