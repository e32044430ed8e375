#include "conform/smmu_driver_features.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "conform/gzip_json.h"

namespace shootdown::conform {

namespace smmu = sw::smmu;
using nlohmann::json;

namespace {

/// ARM_SMMU_FEAT_*, bit by bit as the kernel numbers them.
std::uint64_t feature_mask(const smmu::Features& f) {
  const bool bits[] = {f.two_level_stream_table,
                       f.two_level_cd,
                       f.little_endian,
                       f.big_endian,
                       f.pri,
                       f.ats,
                       f.sev,
                       f.msi,
                       f.coherent,
                       f.stage1,
                       f.stage2,
                       f.stalls,
                       f.hyp,
                       f.stall_forced,
                       f.wide_addresses,
                       f.range_invalidation,
                       f.broadcast,
                       f.sva,
                       f.e2h,
                       f.nesting,
                       f.type_overrides,
                       f.access_flag,
                       f.dirty};
  std::uint64_t mask = 0;
  unsigned position = 0;
  for (const bool bit : bits) mask |= std::uint64_t{bit} << position++;
  return mask;
}

}  // namespace

std::string compare_features(const smmu::Features& f, const json& driver) {
  const auto differ = [](const char* what, std::uint64_t ours, std::uint64_t linux) {
    return ours == linux ? std::string()
                         : fmt::format("{} is {:#x}, Linux {:#x}", what, ours, linux);
  };
  const std::uint64_t options = std::uint64_t{f.msi_polling} << 2 | std::uint64_t{f.force_sync}
                                                                        << 3;
  for (const std::string& text :
       {differ("features", feature_mask(f), hex_number(driver.at("features"))),
        differ("options", options, hex_number(driver.at("options"))),
        differ("asid_bits", f.asid_bits, driver.at("asid_bits")),
        differ("ssid_bits", f.ssid_bits, driver.at("ssid_bits")),
        differ("sid_bits", f.sid_bits, driver.at("sid_bits")),
        differ("pgsize_bitmap", f.pgsize_bitmap, hex_number(driver.at("pgsize_bitmap")))}) {
    if (!text.empty()) return text;
  }
  return {};
}

}  // namespace shootdown::conform
