// Attaching devices until v6.10: a device is detached first, and its STE aborts meanwhile (from
// v6.9 on, without that break). Until v6.6 the CDs are in a table of the domain, from v6.7 on in
// one of each device.
//
// Mirrors arm_smmu_attach_dev() and arm_smmu_detach_dev() and what they call in arm-smmu-v3.c.
#ifndef SHOOTDOWN_SW_SMMU_ATTACH_V6_10_H
#define SHOOTDOWN_SW_SMMU_ATTACH_V6_10_H

#include "sw/kernel/cpu.h"
#include "sw/smmu/arm_smmu_v3.h"
#include "sw/smmu/attach_result.h"
#include "sw/smmu/domain.h"

namespace shootdown::sw::smmu {

/// attach_dev() of these releases.
AttachResult attach_after_detach(Cpu& cpu, ArmSmmuDevice& smmu, Master& master, Domain& domain);
/// Transactions abort from here on; from v6.9 on (7da51af9125c) they go on as before, until the
/// next domain is attached.
void detach_dev(Cpu& cpu, ArmSmmuDevice& smmu, Master& master);

}  // namespace shootdown::sw::smmu

#endif
