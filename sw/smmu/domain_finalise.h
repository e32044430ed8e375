// What a domain needs before its first device. Mirrors arm_smmu_domain_finalise() in arm-smmu-v3.c.
#ifndef SHOOTDOWN_SW_SMMU_DOMAIN_FINALISE_H
#define SHOOTDOWN_SW_SMMU_DOMAIN_FINALISE_H

#include "sw/kernel/cpu.h"
#include "sw/smmu/arm_smmu_v3.h"
#include "sw/smmu/attach_result.h"
#include "sw/smmu/domain.h"

namespace shootdown::sw::smmu {

/// arm_smmu_domain_finalise(): page table, ASID or VMID. Until v6.10 attach_dev() does it.
AttachResult finalise_domain(Cpu& cpu, ArmSmmuDevice& smmu, Domain& domain);

}  // namespace shootdown::sw::smmu

#endif
