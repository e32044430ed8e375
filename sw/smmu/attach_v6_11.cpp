#include "sw/smmu/attach_v6_11.h"

#include <algorithm>
#include <optional>

#include "hw/arch/smmuv3_tables.h"
#include "sw/smmu/ats.h"
#include "sw/smmu/domain_finalise.h"
#include "sw/smmu/entries.h"
#include "sw/smmu/install.h"

namespace shootdown::sw::smmu {

using namespace arch::smmuv3;  // the field names below read like the specification

namespace {

/// struct arm_smmu_attach_state
struct AttachState {
  arch::SubstreamId ssid{kNoPasid};
  Domain* old_domain{};
  bool ats_enabled{};
};

/// arm_smmu_attach_prepare(): both domains hear of the master until the change is complete.
/// `cd_needs_ats`: the CD table stays, and its PASIDs may use ATS.
void attach_prepare(ArmSmmuDevice& smmu, Master& master, Domain& domain, AttachState& state,
                    bool cd_needs_ats) {
  if (domain.translates() || cd_needs_ats) state.ats_enabled = ats_supported(smmu, master);
  if (domain.translates()) {
    if (state.ats_enabled) ++domain.nr_ats_masters;
    domain.devices.insert(domain.devices.begin(), {.master = &master, .ssid = state.ssid});
  }
  if (!state.ats_enabled && master.ats_enabled) switch_ats(master, false);
}

/// arm_smmu_remove_master_domain()
void remove_attachment(Master& master, Domain* domain, arch::SubstreamId ssid) {
  if (domain == nullptr || !domain->translates()) return;
  const auto found =
      std::find_if(domain->devices.begin(), domain->devices.end(),
                   [&](const Attachment& a) { return a.master == &master && a.ssid == ssid; });
  if (found == domain->devices.end()) return;
  domain->devices.erase(found);
  if (master.ats_enabled) --domain->nr_ats_masters;
}

/// arm_smmu_attach_commit(): the SMMU uses the new configuration.
void attach_commit(Cpu& cpu, ArmSmmuDevice& smmu, Master& master, const AttachState& state) {
  if (state.ats_enabled && !master.ats_enabled) {
    smmu.atc_inv_master(cpu, master, kNoPasid);
    switch_ats(master, true);
  } else if (state.ats_enabled) {
    // What the ATC holds is the old translation.
    smmu.atc_inv_master(cpu, master, state.ssid);
  } else if (master.ats_enabled) {
    smmu.atc_inv_master(cpu, master, kNoPasid);
  }
  remove_attachment(master, state.old_domain, state.ssid);
  master.ats_enabled = state.ats_enabled;
}

void clear_cd(Cpu& cpu, ArmSmmuDevice& smmu, Master& master, arch::SubstreamId ssid) {
  if (const auto cd = master.cd_table.find(ssid)) {
    write_cd_entry(cpu, smmu, master, ssid, *cd, {});
  }
}

std::optional<arch::PhysAddr> alloc_cd(Cpu& cpu, ArmSmmuDevice& smmu, Master& master,
                                       arch::SubstreamId ssid) {
  if (!alloc_cd_table(cpu, smmu, master.cd_table, master.ssid_bits)) return std::nullopt;
  Master* const masters[] = {&master};
  return master.cd_table.find_or_alloc(cpu, smmu.kernel().pages, ssid,
                                       [&] { smmu.sync_cd(cpu, masters, ssid, false); });
}

/// arm_smmu_attach_dev_ste(): identity or blocked, with the PASIDs' CD table if that is in use.
void attach_without_translation(Cpu& cpu, ArmSmmuDevice& smmu, Master& master, Domain& domain) {
  AttachState state{.old_domain = master.domain};
  const bool ssids_in_use = master.cd_table.used_ssids != 0;
  attach_prepare(smmu, master, domain, state, ssids_in_use);
  const bool bypass = domain.stage == Domain::Stage::kBypass;
  const Entry ste = ssids_in_use
                        ? make_cdtable_ste(smmu.features(), master.cd_table,
                                           {.ats = state.ats_enabled,
                                            .s1dss = bypass ? kS1DssBypass : kS1DssTerminate,
                                            .may_stall = master.stall_enabled})
                        : make_domain_ste(smmu, master, &domain, master.cd_table, false);
  install_ste_for_dev(cpu, smmu, master, ste);
  attach_commit(cpu, smmu, master, state);
  clear_cd(cpu, smmu, master, kNoPasid);
  master.domain = &domain;
}

/// arm_smmu_update_ste(): the STE leads to the CD table, with EATS as wanted.
void update_ste(Cpu& cpu, ArmSmmuDevice& smmu, Master& master, bool ats_enabled) {
  if (master.cd_in_ste && master.ste_ats_enabled == ats_enabled) return;
  const bool bypass = master.domain != nullptr && master.domain->stage == Domain::Stage::kBypass;
  install_ste_for_dev(cpu, smmu, master,
                      make_cdtable_ste(smmu.features(), master.cd_table,
                                       {.ats = ats_enabled,
                                        .s1dss = bypass ? kS1DssBypass : kS1DssTerminate,
                                        .may_stall = master.stall_enabled}));
}

}  // namespace

AttachResult attach_hitless(Cpu& cpu, ArmSmmuDevice& smmu, Master& master, Domain& domain) {
  if (!domain.translates()) {
    attach_without_translation(cpu, smmu, master, domain);
    return AttachResult::kOk;
  }
  const AttachResult finalised = finalise_domain(cpu, smmu, domain);
  if (finalised != AttachResult::kOk) return finalised;
  const bool stage1 = domain.stage == Domain::Stage::kStage1;
  std::optional<arch::PhysAddr> cd;
  if (stage1) {
    cd = alloc_cd(cpu, smmu, master, kNoPasid);
    if (!cd) return AttachResult::kNoMemory;
  } else if (master.cd_table.used_ssids != 0) {
    return AttachResult::kBusy;
  }
  AttachState state{.old_domain = master.domain};
  attach_prepare(smmu, master, domain, state, false);
  if (stage1) {
    write_cd_entry(cpu, smmu, master, kNoPasid, *cd, make_s1_cd(domain, master.stall_enabled));
  }
  install_ste_for_dev(cpu, smmu, master,
                      make_domain_ste(smmu, master, &domain, master.cd_table, state.ats_enabled));
  if (!stage1) clear_cd(cpu, smmu, master, kNoPasid);
  attach_commit(cpu, smmu, master, state);
  master.domain = &domain;
  return AttachResult::kOk;
}

AttachResult set_pasid(Cpu& cpu, ArmSmmuDevice& smmu, Master& master, Domain& domain,
                       arch::SubstreamId pasid, const Entry& cd) {
  const FunctionTrace trace(cpu, "arm_smmu_set_pasid");
  const bool stream_translates = master.domain != nullptr && master.domain->translates();
  if (!master.cd_in_ste && stream_translates) return AttachResult::kInvalid;
  const auto address = alloc_cd(cpu, smmu, master, pasid);
  if (!address) return AttachResult::kNoMemory;
  AttachState state{.ssid = pasid};
  attach_prepare(smmu, master, domain, state, false);
  write_cd_entry(cpu, smmu, master, pasid, *address, cd);
  update_ste(cpu, smmu, master, state.ats_enabled);
  attach_commit(cpu, smmu, master, state);
  return AttachResult::kOk;
}

void remove_dev_pasid(Cpu& cpu, ArmSmmuDevice& smmu, Master& master, Domain& domain,
                      arch::SubstreamId pasid) {
  const FunctionTrace trace(cpu, "arm_smmu_remove_dev_pasid");
  clear_cd(cpu, smmu, master, pasid);
  if (master.ats_enabled) smmu.atc_inv_master(cpu, master, pasid);
  remove_attachment(master, &domain, pasid);
  // The last user of the CD table is gone: back to an STE without one.
  const bool translates = master.domain != nullptr && master.domain->translates();
  if (master.cd_table.used_ssids == 0 && master.domain != nullptr && !translates) {
    attach_without_translation(cpu, smmu, master, *master.domain);
  }
}

}  // namespace shootdown::sw::smmu
