// From a StreamID to its STE, and from a SubstreamID to its CD.
// Source: Arm IHI 0070, sections 3.3, 3.4.3, 5.1 and 5.3, 6.3.24 and 6.3.25.
#ifndef SHOOTDOWN_CONFORM_REFERENCE_REFERENCE_LOOKUP_H
#define SHOOTDOWN_CONFORM_REFERENCE_REFERENCE_LOOKUP_H

#include <cstdint>

#include "conform/reference/reference_cd.h"
#include "conform/reference/reference_event.h"
#include "conform/reference/reference_features.h"
#include "conform/reference/reference_smmu.h"
#include "conform/reference/reference_ste.h"
#include "conform/reference/reference_walk.h"

namespace shootdown::conform::reference {

/// The STE, found legal.
Result<StreamTableEntry> find_ste(const Features& features, const Registers& registers,
                                  std::uint32_t stream_id, Memory& memory);

/// The CD of `substream_id`, which is within S1CDMax, found legal. Through stage 2 if there is one.
Result<ContextDescriptor> find_cd(const Features& features, const Registers& registers,
                                  const StreamTableEntry& ste, std::uint32_t stream_id,
                                  std::uint32_t substream_id, Walker& walker, Memory& memory);

}  // namespace shootdown::conform::reference

#endif
