// What the driver writes into stream table entries and context descriptors: arm_smmu_make_*() of
// v6.10 on. Older releases write the same words, but for what write_strtab_ent() adds.
#ifndef SHOOTDOWN_SW_SMMU_ENTRIES_H
#define SHOOTDOWN_SW_SMMU_ENTRIES_H

#include <cstdint>
#include <optional>

#include "hw/arch/types.h"
#include "sw/smmu/cd_table.h"
#include "sw/smmu/domain.h"
#include "sw/smmu/entry_writer.h"
#include "sw/smmu/features.h"
#include "sw/smmu/io_pgtable.h"

namespace shootdown::sw::smmu {

Entry make_abort_ste();
Entry make_bypass_ste(const Features& features);

/// Of a device whose transactions go through stage 1.
struct CdTableSte {
  bool ats{};
  unsigned s1dss{};  ///< STE.S1DSS
  bool may_stall{};
};
Entry make_cdtable_ste(const Features& features, const CdTable& table, const CdTableSte& what);
/// Of a device whose transactions go through stage 2. `stall`: STE.S2S (ce7cb08e22e0).
struct Stage2Ste {
  bool ats{};
  bool stall{};
};
Entry make_s2_domain_ste(const Features& features, const IoPgtable& table, arch::Vmid vmid,
                         const Stage2Ste& what);

/// Of a DMA domain. Its ASID is not the CPUs' (CD.ASET = 1). With dirty tracking the SMMU updates
/// the descriptors (CD.HA and HD).
Entry make_s1_cd(const Domain& domain, bool stall);

/// Of a process whose page tables a device shares.
struct SvaCd {
  std::optional<arch::PhysAddr> pgd;  ///< nothing: the process is gone, every access faults
  arch::Asid asid{};
  bool private_asid{};
  bool stall{};
  bool record{true};
};
Entry make_sva_cd(const HostProperties& host, const SvaCd& what);

}  // namespace shootdown::sw::smmu

#endif
