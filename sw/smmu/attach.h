// Attaching devices to domains. Two generations of the driver: until v6.10 a device is detached
// first and its STE aborts meanwhile (from v6.9 on, without that break); from v6.11 on
// (d38c28dbefee and its series) the new domain is in place before the old one goes, PASIDs have
// domains of their own, and ATS stays on across the change.
//
// Mirrors arm_smmu_attach_dev(), arm_smmu_attach_dev_identity(), arm_smmu_set_pasid() and what they
// call in arm-smmu-v3.c.
#ifndef SHOOTDOWN_SW_SMMU_ATTACH_H
#define SHOOTDOWN_SW_SMMU_ATTACH_H

#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/smmu/arm_smmu_v3.h"
#include "sw/smmu/domain.h"
#include "sw/smmu/entry_writer.h"

namespace shootdown::sw::smmu {

enum class [[nodiscard]] AttachResult{
    kOk,
    kInvalid,   ///< -EINVAL: the SMMU lacks the stage, or the device differs from those in the
                ///< domain
    kBusy,      ///< -EBUSY: PASIDs are in use, which a domain of stage 2 has no room for
    kNoMemory,  ///< -ENOMEM, -ENOSPC: no page, or no ASID or VMID, is left
};

/// arm_smmu_domain_finalise(): page table, ASID or VMID. Until v6.10 attach_dev() does it.
AttachResult finalise_domain(Cpu& cpu, ArmSmmuDevice& smmu, Domain& domain);

/// The domain of transactions without a PASID: a DMA domain, smmu.identity() or smmu.blocked().
AttachResult attach_dev(Cpu& cpu, ArmSmmuDevice& smmu, Master& master, Domain& domain);
/// Until v6.10. Transactions abort from here on; from v6.9 on (7da51af9125c) they go on as before,
/// until the next domain is attached.
void detach_dev(Cpu& cpu, ArmSmmuDevice& smmu, Master& master);

/// From v6.11 on: `cd` is what the domain says of `pasid`.
AttachResult set_pasid(Cpu& cpu, ArmSmmuDevice& smmu, Master& master, Domain& domain,
                       arch::SubstreamId pasid, const Entry& cd);
void remove_dev_pasid(Cpu& cpu, ArmSmmuDevice& smmu, Master& master, Domain& domain,
                      arch::SubstreamId pasid);

/// Writes the STE of one stream, as the release does, and hints that it will be used.
void write_ste(Cpu& cpu, ArmSmmuDevice& smmu, arch::StreamId sid, const Entry& target);
/// arm_smmu_write_cd_entry().
void write_cd_entry(Cpu& cpu, ArmSmmuDevice& smmu, Master& master, arch::SubstreamId ssid,
                    arch::PhysAddr cd, const Entry& target);

}  // namespace shootdown::sw::smmu

#endif
