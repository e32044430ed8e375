// Whether the RTL can stand for a TLB of a configuration: the one answer that the loader, the
// matrix and `shootdown list` ask for.
#ifndef SHOOTDOWN_COSIM_CONFIG_RTL_SUPPORT_H
#define SHOOTDOWN_COSIM_CONFIG_RTL_SUPPORT_H

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cosim/config/config.h"

namespace shootdown::cosim {

/// TLB shapes for which the RTL has been built, as (entries, ways).
using RtlGeometries = std::vector<std::pair<unsigned, unsigned>>;

/// Why the RTL cannot do it.
struct RtlObstacle {
  std::string key;      ///< of the TLB, or of the SMMU, that asks for too much
  std::string problem;  ///< in words
  std::string allowed;
};

/// Of any TLB; nothing if the RTL has been built for it.
std::optional<RtlObstacle> rtl_obstacle(const hw::TlbGeometry& tlb, const RtlGeometries& built);
/// Of what an SMMU asks of its TLB beyond the geometry: the RTL TLB knows one regime, one VMID and
/// the pages of the 4 KiB granule.
std::optional<RtlObstacle> rtl_obstacle(const hw::SmmuConfig& smmu);
/// Of all TLBs of a machine, as one sentence.
std::optional<std::string> rtl_obstacle(const HardwareConfig& hardware, const RtlGeometries& built);

}  // namespace shootdown::cosim

#endif
