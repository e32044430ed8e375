// Whether a device may use ATS, and its switch on the bus.
#ifndef SHOOTDOWN_SW_SMMU_ATS_H
#define SHOOTDOWN_SW_SMMU_ATS_H

#include "sw/smmu/arm_smmu_v3.h"
#include "sw/smmu/domain.h"

namespace shootdown::sw::smmu {

/// arm_smmu_ats_supported()
inline bool ats_supported(const ArmSmmuDevice& smmu, const Master& master) {
  return smmu.features().ats && master.device.ats;
}

/// pci_enable_ats(), pci_disable_ats(). No invalidation.
inline void switch_ats(const Master& master, bool on) {
  if (master.device.switch_ats) master.device.switch_ats(on);
}

}  // namespace shootdown::sw::smmu

#endif
