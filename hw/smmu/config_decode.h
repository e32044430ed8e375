// From a StreamID and SubstreamID to what the tables in memory say about them. No time, no cache.
//
// Source: Arm IHI 0070, sections 5.2, 5.4 and the order of configuration errors in 7.3.1. Linear
// stream tables and linear CD tables, stage 1, 4 KiB granule. What is not present in the ID
// registers is illegal here too.
#ifndef SHOOTDOWN_HW_SMMU_CONFIG_DECODE_H
#define SHOOTDOWN_HW_SMMU_CONFIG_DECODE_H

#include <cstdint>
#include <functional>
#include <optional>
#include <variant>

#include "hw/arch/smmuv3_events.h"
#include "hw/arch/smmuv3_tables.h"
#include "hw/arch/types.h"
#include "hw/mmu/stage1_walk.h"
#include "hw/smmu/smmu_config.h"

namespace shootdown::hw {

struct StreamTable {
  arch::PhysAddr base{};
  unsigned log2_size{};
};

/// What an STE and a CD together tell the translation.
struct StreamConfig {
  enum class Kind : std::uint8_t { kAbort, kBypass, kTranslate };
  Kind kind{Kind::kAbort};
  Stage1Context context;
  bool stall{};   ///< CD.S
  bool record{};  ///< CD.R
  bool abort{};   ///< CD.A; false: a terminated read returns zero, a write vanishes
  bool ats{};     ///< STE.EATS
};

struct ConfigFault {
  arch::smmuv3::EventType type{};
  arch::PhysAddr fetch_address{};  ///< of F_STE_FETCH and F_CD_FETCH
};

using ConfigResult = std::variant<StreamConfig, ConfigFault>;
/// Reads 64 bytes; false on a bus error. May block.
using StructureReader = std::function<bool(arch::PhysAddr, std::uint64_t* words)>;

ConfigResult fetch_config(const SmmuFeatures& features, const StreamTable& table,
                          arch::StreamId stream_id, std::optional<arch::SubstreamId> substream_id,
                          const StructureReader& read);

}  // namespace shootdown::hw

#endif
