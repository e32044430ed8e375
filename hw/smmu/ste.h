// Stream table entries: which are legal, and what they say.
// Source: Arm IHI 0070, section 5.2; the stage 2 geometry: Arm ARM, AArch64.S2InvalidSL,
// AArch64.S2InconsistentSL.
#ifndef SHOOTDOWN_HW_SMMU_STE_H
#define SHOOTDOWN_HW_SMMU_STE_H

#include <cstdint>
#include <optional>

#include "hw/arch/smmuv3_tables.h"
#include "hw/arch/types.h"
#include "hw/mmu/translation_context.h"
#include "hw/smmu/smmu_features.h"
#include "hw/smmu/stream_config.h"

namespace shootdown::hw {

/// What beside the structures decides how they are read.
struct StructureRules {
  SmmuFeatures features;
  bool e2h{};     ///< CR2.E2H
  bool atschk{};  ///< CR0.ATSCHK
};

struct StreamEntry {
  enum class Kind : std::uint8_t { kAbort, kBypass, kTranslate };
  Kind kind{Kind::kAbort};
  bool stage1{};
  bool stage2{};
  // Stage 1.
  std::uint64_t context_ptr{};   ///< a PA, or an IPA if there is a stage 2
  unsigned cd_max{};             ///< log2 of the number of CDs; 0: no substreams
  unsigned cd_format{};          ///< kS1Fmt*
  unsigned default_substream{};  ///< S1DSS
  bool stall_disabled{};         ///< S1STALLD
  arch::Regime regime{arch::Regime::kEl1};
  arch::Vmid vmid{};
  // Stage 2.
  Stage2Context stage2_context;
  FaultPolicy stage2_faults;
  // Both.
  StreamConfig::Ats ats{StreamConfig::Ats::kNone};
  bool merge_events{};
  AccessOverrides overrides;
};

/// Nothing if the STE is illegal (C_BAD_STE).
std::optional<StreamEntry> decode_ste(const arch::smmuv3::Ste& ste, const StructureRules& rules);

}  // namespace shootdown::hw

#endif
