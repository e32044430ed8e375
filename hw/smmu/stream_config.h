// What an STE and a CD together say about the transactions of a stream, ready for use.
#ifndef SHOOTDOWN_HW_SMMU_STREAM_CONFIG_H
#define SHOOTDOWN_HW_SMMU_STREAM_CONFIG_H

#include <cstdint>
#include <optional>

#include "hw/arch/smmuv3_events.h"
#include "hw/arch/types.h"
#include "hw/mmu/translation_context.h"
#include "hw/mmu/two_stage_walk.h"

namespace shootdown::hw {

/// What becomes of a translation fault (IHI 0070, 3.12): CD.{A,R,S}, STE.{S2R,S2S}.
struct FaultPolicy {
  bool stall{};
  bool record{};
  bool abort{true};  ///< false: a terminated read returns zero, a write vanishes

  bool operator==(const FaultPolicy&) const = default;
};

/// STE.PRIVCFG and INSTCFG; nothing: as the transaction says.
struct AccessOverrides {
  std::optional<bool> privileged{};
  std::optional<bool> instruction{};

  bool operator==(const AccessOverrides&) const = default;
};

struct StreamConfig {
  enum class Kind : std::uint8_t { kAbort, kBypass, kTranslate };
  enum class Ats : std::uint8_t { kNone, kFull, kSplitStage };
  Kind kind{Kind::kAbort};
  TranslationContext context;
  FaultPolicy stage1_faults;
  FaultPolicy stage2_faults;
  Ats ats{Ats::kNone};
  bool merge_events{};  ///< STE.MEV
  AccessOverrides overrides;

  bool operator==(const StreamConfig&) const = default;
};

/// Why a transaction has no configuration.
struct ConfigFault {
  arch::smmuv3::EventType type{};
  arch::PhysAddr fetch_address{};  ///< of F_STE_FETCH and F_CD_FETCH
  /// Stage 2 could not translate the address of the CD; `type` is its type. The policy is the
  /// STE's.
  bool stage2{};
  arch::IpaAddr ipa{};
  FaultPolicy policy{.stall = false, .record = true, .abort = true};
  AccessOverrides overrides{};  ///< the STE's, which the event of a stage 2 fault shows
};

}  // namespace shootdown::hw

#endif
