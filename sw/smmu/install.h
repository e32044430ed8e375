// Putting stream table entries and context descriptors in place while the SMMU may read them.
// Mirrors arm_smmu_write_strtab_ent(), arm_smmu_install_ste_for_dev(), arm_smmu_write_cd_entry()
// and arm_smmu_alloc_cd_tables() in arm-smmu-v3.c.
#ifndef SHOOTDOWN_SW_SMMU_INSTALL_H
#define SHOOTDOWN_SW_SMMU_INSTALL_H

#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/smmu/arm_smmu_v3.h"
#include "sw/smmu/cd_table.h"
#include "sw/smmu/domain.h"
#include "sw/smmu/entry_writer.h"

namespace shootdown::sw::smmu {

/// Writes the STE of one stream, as the release does, and hints that it will be used.
void write_ste(Cpu& cpu, ArmSmmuDevice& smmu, arch::StreamId sid, const Entry& target);
/// arm_smmu_install_ste_for_dev(): the STE of each stream of the device.
void install_ste_for_dev(Cpu& cpu, ArmSmmuDevice& smmu, Master& master, const Entry& target);
/// arm_smmu_write_cd_entry().
void write_cd_entry(Cpu& cpu, ArmSmmuDevice& smmu, Master& master, arch::SubstreamId ssid,
                    arch::PhysAddr cd, const Entry& target);

/// The STE of a device in `domain`; null: it aborts. `cd_table` is that of stage 1.
Entry make_domain_ste(ArmSmmuDevice& smmu, const Master& master, const Domain* domain,
                      const CdTable& cd_table, bool ats);
/// Memory for the table, unless it has some. False: none is left.
bool alloc_cd_table(Cpu& cpu, ArmSmmuDevice& smmu, CdTable& table, unsigned ssid_bits);

}  // namespace shootdown::sw::smmu

#endif
