// Context descriptors: their fields, and what makes one illegal.
// Source: Arm IHI 0070, sections 5.4 and 5.5.
#ifndef SHOOTDOWN_CONFORM_REFERENCE_REFERENCE_CD_H
#define SHOOTDOWN_CONFORM_REFERENCE_REFERENCE_CD_H

#include <array>
#include <cstdint>

#include "conform/reference/reference_features.h"
#include "conform/reference/reference_geometry.h"
#include "conform/reference/reference_smmu.h"
#include "conform/reference/reference_ste.h"

namespace shootdown::conform::reference {

struct ContextDescriptor {
  /// What there is once for TTB0 and once for TTB1.
  struct Half {
    unsigned tsz{};
    unsigned granule_shift{};  ///< 0 if reserved
    bool walks_disabled{};     ///< EPD
    bool top_byte_ignored{};   ///< TBI
    bool no_hierarchy{};       ///< HAD
    bool no_unprivileged{};    ///< E0PD
    std::uint64_t ttb{};

    Geometry geometry(unsigned output_bits) const;
  };

  explicit ContextDescriptor(const std::array<std::uint64_t, 8>& words);

  bool valid;
  std::array<Half, 2> half;
  bool endi;
  unsigned ips;
  bool affd, wxn, pan, aa64;
  bool hd, ha;
  bool stall, record, abort;
  bool aset;
  std::uint16_t asid;
};

bool illegal(const ContextDescriptor& cd, const StreamTableEntry& ste, Fetch::World world,
             const Features& features);

}  // namespace shootdown::conform::reference

#endif
