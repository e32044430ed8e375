// The event type by which an SMMU tells of a translation fault. Source: Arm IHI 0070, section 7.3.
#ifndef SHOOTDOWN_HW_SMMU_FAULT_EVENTS_H
#define SHOOTDOWN_HW_SMMU_FAULT_EVENTS_H

#include "hw/arch/fault_kind.h"
#include "hw/arch/smmuv3_events.h"

namespace shootdown::hw {

constexpr arch::smmuv3::EventType event_type_of(arch::FaultKind kind) {
  using arch::smmuv3::EventType;
  switch (kind) {
    case arch::FaultKind::kNone:
      break;
    case arch::FaultKind::kTranslation:
      return EventType::kFTranslation;
    case arch::FaultKind::kAddressSize:
      return EventType::kFAddrSize;
    case arch::FaultKind::kAccessFlag:
      return EventType::kFAccess;
    case arch::FaultKind::kPermission:
      return EventType::kFPermission;
    case arch::FaultKind::kWalkAbort:
      return EventType::kFWalkEabt;
  }
  return EventType::kNone;
}

/// Likewise back, for a fault that a walk of stage 2 met below a configuration.
constexpr arch::FaultKind fault_kind_of(arch::smmuv3::EventType type) {
  using arch::FaultKind;
  for (const FaultKind kind :
       {FaultKind::kTranslation, FaultKind::kAddressSize, FaultKind::kAccessFlag,
        FaultKind::kPermission, FaultKind::kWalkAbort}) {
    if (event_type_of(kind) == type) return kind;
  }
  return FaultKind::kNone;
}

}  // namespace shootdown::hw

#endif
