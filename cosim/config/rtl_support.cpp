#include "cosim/config/rtl_support.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace shootdown::cosim {

std::optional<RtlObstacle> rtl_obstacle(const hw::TlbGeometry& tlb, const RtlGeometries& built) {
  if (tlb.replacement != hw::Replacement::kPlru) {
    return RtlObstacle{.key = "replacement",
                       .problem = "the RTL replaces by plru only",
                       .allowed = "replacement: plru, or model: systemc"};
  }
  if (std::find(built.begin(), built.end(), std::pair(tlb.entries, tlb.ways)) != built.end()) {
    return std::nullopt;
  }
  std::vector<std::string> shapes;
  for (const auto& [entries, ways] : built) shapes.push_back(fmt::format("{}/{}", entries, ways));
  return RtlObstacle{
      .key = "entries",
      .problem =
          fmt::format("the RTL is not built for {} entries in {} ways", tlb.entries, tlb.ways),
      .allowed = fmt::format("entries/ways {}; or model: systemc", fmt::join(shapes, ", "))};
}

std::optional<RtlObstacle> rtl_obstacle(const hw::SmmuConfig& smmu) {
  const hw::SmmuFeatures& features = smmu.features;
  const char* what = features.stage2                              ? "stage2"
                     : features.hyp                               ? "el2"
                     : features.granule16k || features.granule64k ? "granules"
                     : features.permission_overrides              ? "permission_overrides"
                     : smmu.mmu.splinter_blocks                   ? "splinter_blocks"
                     : smmu.mmu.merge_contiguous                  ? "merge_contiguous"
                     : features.hardware_update != hw::HardwareUpdate::kNone ? "hardware_update"
                                                                             : nullptr;
  if (what == nullptr) return std::nullopt;
  return RtlObstacle{.key = what,
                     .problem = fmt::format("the RTL TLB knows no {}", what),
                     .allowed = fmt::format("tlb.model: systemc, or the SMMU without {}", what)};
}

std::optional<std::string> rtl_obstacle(const HardwareConfig& hardware,
                                        const RtlGeometries& built) {
  const auto say = [](const char* where, const RtlObstacle& obstacle) {
    return fmt::format("{}{}: {}", where, obstacle.key, obstacle.problem);
  };
  if (const auto cpu = rtl_obstacle(hardware.cpu.translator.tlb, built)) {
    return say("cpu_tlb.", *cpu);
  }
  if (const auto smmu = rtl_obstacle(hardware.smmu.mmu.translator.tlb, built)) {
    return say("smmu.tlb.", *smmu);
  }
  if (const auto smmu = rtl_obstacle(hardware.smmu)) return say("smmu.", *smmu);
  return std::nullopt;
}

}  // namespace shootdown::cosim
