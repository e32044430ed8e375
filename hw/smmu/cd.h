// Context descriptors: which are legal, and what they say.
// Source: Arm IHI 0070, section 5.4.
#ifndef SHOOTDOWN_HW_SMMU_CD_H
#define SHOOTDOWN_HW_SMMU_CD_H

#include <optional>

#include "hw/arch/smmuv3_tables.h"
#include "hw/smmu/ste.h"
#include "hw/smmu/stream_config.h"

namespace shootdown::hw {

/// Stage 1 as a CD describes it.
struct ContextEntry {
  Stage1Context context;
  FaultPolicy faults;
};

/// `stream` is the STE through which the CD was reached. Nothing if the CD is illegal (C_BAD_CD).
std::optional<ContextEntry> decode_cd(const arch::smmuv3::Cd& cd, const StreamEntry& stream,
                                      const StructureRules& rules);

}  // namespace shootdown::hw

#endif
