// Stream table entries: their fields, and what makes one illegal.
// Source: Arm IHI 0070, sections 5.2 and 5.5.
#ifndef SHOOTDOWN_CONFORM_REFERENCE_REFERENCE_STE_H
#define SHOOTDOWN_CONFORM_REFERENCE_REFERENCE_STE_H

#include <array>
#include <cstdint>

#include "conform/reference/reference_features.h"
#include "conform/reference/reference_geometry.h"
#include "conform/reference/reference_smmu.h"

namespace shootdown::conform::reference {

/// STE.S1DSS, for traffic without a SubstreamID. 3 acts as kTerminate.
inline constexpr unsigned kS1dssBypass = 1;
inline constexpr unsigned kS1dssSubstream0 = 2;

struct StreamTableEntry {
  explicit StreamTableEntry(const std::array<std::uint64_t, 8>& words);

  bool valid;
  unsigned config;

  unsigned s1_format;
  std::uint64_t s1_context_ptr;
  unsigned s1_cd_max;
  unsigned s1_dss;
  bool s1_stall_disabled;

  bool s2_fwb;
  unsigned eats;
  unsigned stream_world;
  unsigned priv_cfg, inst_cfg;

  std::uint16_t s2_vmid;
  unsigned s2_t0sz, s2_sl0, s2_tg, s2_ps;
  bool s2_aa64, s2_endi, s2_affd, s2_ptw, s2_hd, s2_ha, s2_stall, s2_record;
  std::uint64_t s2_ttb;

  bool traffic_passes() const { return config >= 4; }
  bool stage1() const { return traffic_passes() && (config & 1) != 0; }
  bool stage2() const { return traffic_passes() && (config & 2) != 0; }

  /// Whether substreams are enabled; with IDR1.SSIDSIZE 0, S1CDMax is ignored.
  bool substreams(const Features& features) const;
  /// The granule of S2TG; 0 if reserved.
  unsigned s2_granule_shift() const;
  /// Of a legal entry with stage 2.
  Geometry s2_geometry(const Features& features) const;
  Fetch::World world(const Features& features, const Registers& registers) const;
  /// The VMID that tags what is cached for this stream; 0 where there is none.
  std::uint16_t vmid_tag(const Features& features, const Registers& registers) const;
};

bool illegal(const StreamTableEntry& ste, const Features& features);

}  // namespace shootdown::conform::reference

#endif
