// Attaching devices from v6.11 on (d38c28dbefee and its series): the new domain is in place before
// the old one goes, PASIDs have domains of their own, and ATS stays on across the change.
//
// Mirrors arm_smmu_attach_dev(), arm_smmu_attach_dev_identity(), arm_smmu_set_pasid() and what they
// call in arm-smmu-v3.c.
#ifndef SHOOTDOWN_SW_SMMU_ATTACH_V6_11_H
#define SHOOTDOWN_SW_SMMU_ATTACH_V6_11_H

#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/smmu/arm_smmu_v3.h"
#include "sw/smmu/attach_result.h"
#include "sw/smmu/domain.h"
#include "sw/smmu/entry_writer.h"

namespace shootdown::sw::smmu {

/// attach_dev() of these releases.
AttachResult attach_hitless(Cpu& cpu, ArmSmmuDevice& smmu, Master& master, Domain& domain);

/// `cd` is what the domain says of `pasid`.
AttachResult set_pasid(Cpu& cpu, ArmSmmuDevice& smmu, Master& master, Domain& domain,
                       arch::SubstreamId pasid, const Entry& cd);
void remove_dev_pasid(Cpu& cpu, ArmSmmuDevice& smmu, Master& master, Domain& domain,
                      arch::SubstreamId pasid);

}  // namespace shootdown::sw::smmu

#endif
