// The context descriptors of a domain until v6.10: arm_smmu_write_ctx_desc(). They are in one table
// of the domain, from v6.7 on in a table of each of its masters.
#ifndef SHOOTDOWN_SW_SMMU_CONTEXT_DESCRIPTORS_H
#define SHOOTDOWN_SW_SMMU_CONTEXT_DESCRIPTORS_H

#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/smmu/arm_smmu_v3.h"
#include "sw/smmu/domain.h"
#include "sw/smmu/entry_writer.h"

namespace shootdown::sw::smmu {

/// Installs `cd` for SubstreamID `ssid`; all zero: removes it. False: out of range or of memory.
bool write_ctx_desc(Cpu& cpu, ArmSmmuDevice& smmu, Domain& domain, arch::SubstreamId ssid,
                    const Entry& cd);
/// As above, but only in the table of one master (v6.7 on).
bool write_ctx_desc(Cpu& cpu, ArmSmmuDevice& smmu, Master& master, arch::SubstreamId ssid,
                    const Entry& cd);
/// Whether an access of a process that has gone stalls as before: until b41932f54458, and where the
/// hardware has no other way.
bool quiet_cd_stalls(const ArmSmmuDevice& smmu);
/// quiet_cd, until v6.9: keeps the CD valid, and disables its walks.
void quiet_ctx_desc(Cpu& cpu, ArmSmmuDevice& smmu, Domain& domain, arch::SubstreamId ssid);
/// The domain's own CD gets its new ASID.
void update_ctx_desc_asid(Cpu& cpu, ArmSmmuDevice& smmu, Domain& domain);

}  // namespace shootdown::sw::smmu

#endif
