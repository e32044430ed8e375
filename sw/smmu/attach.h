// Attaching devices to domains. The driver has two generations, until v6.10 and from v6.11 on; what
// is here chooses between them.
#ifndef SHOOTDOWN_SW_SMMU_ATTACH_H
#define SHOOTDOWN_SW_SMMU_ATTACH_H

#include "sw/kernel/cpu.h"
#include "sw/smmu/arm_smmu_v3.h"
#include "sw/smmu/attach_result.h"
#include "sw/smmu/domain.h"

namespace shootdown::sw::smmu {

/// The domain of transactions without a PASID: a DMA domain, smmu.identity() or smmu.blocked().
AttachResult attach_dev(Cpu& cpu, ArmSmmuDevice& smmu, Master& master, Domain& domain);

}  // namespace shootdown::sw::smmu

#endif
