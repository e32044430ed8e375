// Event records, bit by bit. Source: Arm IHI 0070, section 7.3.
#ifndef SHOOTDOWN_HW_SMMU_EVENT_RECORD_H
#define SHOOTDOWN_HW_SMMU_EVENT_RECORD_H

#include "hw/arch/smmuv3_events.h"
#include "hw/arch/types.h"
#include "hw/iommu/transaction.h"
#include "hw/mmu/two_stage_walk.h"
#include "hw/smmu/stream_config.h"

namespace shootdown::hw {

/// What of a transaction goes into its event.
struct EventSource {
  const StreamExtension& stream;
  arch::VirtAddr address{};  ///< as it came, tag included
  arch::Access access{};
  bool privileged{};
  bool instruction{};
};

/// A translation that failed: F_WALK_EABT and the four that may stall.
arch::smmuv3::EventRecord translation_event(const EventSource& source,
                                            const TranslationProblem& problem);
/// A configuration error, or stage 2's failure to translate the address of a CD.
arch::smmuv3::EventRecord configuration_event(const EventSource& source, const ConfigFault& fault);
/// F_BAD_ATS_TREQ, F_TRANSL_FORBIDDEN, F_UUT.
arch::smmuv3::EventRecord address_event(const EventSource& source, arch::smmuv3::EventType type);

}  // namespace shootdown::hw

#endif
