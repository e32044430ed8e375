#include "sw/smmu/attach_v6_10.h"

#include "sw/smmu/ats.h"
#include "sw/smmu/context_descriptors.h"
#include "sw/smmu/domain_finalise.h"
#include "sw/smmu/entries.h"
#include "sw/smmu/install.h"

namespace shootdown::sw::smmu {

namespace {

void enable_ats(Cpu& cpu, ArmSmmuDevice& smmu, Master& master) {
  if (!master.ats_enabled) return;
  ++master.domain->nr_ats_masters;
  smmu.atc_inv_domain(cpu, *master.domain, kNoPasid, 0, 0);
  switch_ats(master, true);
}

void disable_ats(Cpu& cpu, ArmSmmuDevice& smmu, Master& master) {
  if (!master.ats_enabled) return;
  switch_ats(master, false);
  smmu.atc_inv_master(cpu, master, kNoPasid);
  --master.domain->nr_ats_masters;
}

/// The first master of a domain decides how all of them are.
AttachResult join_domain(Cpu& cpu, ArmSmmuDevice& smmu, Master& master, Domain& domain) {
  if (!domain.translates()) return AttachResult::kOk;
  const bool shared_table = !smmu.behaviour().smmu_master_cd_table;
  if (!domain.finalised) {
    const AttachResult result = finalise_domain(cpu, smmu, domain);
    if (result != AttachResult::kOk) return result;
    domain.stall_enabled = master.stall_enabled;
    if (domain.stage != Domain::Stage::kStage1 || !shared_table) return AttachResult::kOk;
    if (!alloc_cd_table(cpu, smmu, domain.cd_table, master.ssid_bits)) {
      return AttachResult::kNoMemory;
    }
    // The master is not on the list yet, so that this syncs with nobody. No STE leads here yet.
    const Entry cd = make_s1_cd(domain, domain.stall_enabled);
    return write_ctx_desc(cpu, smmu, domain, kNoPasid, cd) ? AttachResult::kOk
                                                           : AttachResult::kNoMemory;
  }
  if (domain.stage != Domain::Stage::kStage1 || !shared_table) return AttachResult::kOk;
  const bool alike =
      master.ssid_bits == domain.cd_table.cd_max() && master.stall_enabled == domain.stall_enabled;
  return alike ? AttachResult::kOk : AttachResult::kInvalid;
}

}  // namespace

AttachResult attach_after_detach(Cpu& cpu, ArmSmmuDevice& smmu, Master& master, Domain& domain) {
  detach_dev(cpu, smmu, master);
  const AttachResult joined = join_domain(cpu, smmu, master, domain);
  if (joined != AttachResult::kOk) return joined;
  master.domain = &domain;
  master.ats_enabled = domain.translates() && ats_supported(smmu, master);
  const bool own_table =
      domain.stage == Domain::Stage::kStage1 && smmu.behaviour().smmu_master_cd_table;
  if (own_table) {
    // The STE may still lead to the CD of the domain before; a plain write wants it invalid.
    const bool in_use = smmu.behaviour().smmu_write_entry && master.cd_table.allocated();
    if (in_use && !smmu.behaviour().smmu_write_cd_entry) {
      (void)write_ctx_desc(cpu, smmu, master, kNoPasid, {});
    }
    if (!alloc_cd_table(cpu, smmu, master.cd_table, master.ssid_bits)) {
      return AttachResult::kNoMemory;
    }
    const Entry cd = make_s1_cd(domain, master.stall_enabled);
    if (!write_ctx_desc(cpu, smmu, master, kNoPasid, cd)) return AttachResult::kNoMemory;
  }
  install_ste_for_dev(
      cpu, smmu, master,
      make_domain_ste(smmu, master, &domain, own_table ? master.cd_table : domain.cd_table,
                      master.ats_enabled));
  // Nothing leads to the CD of the domain before any more.
  if (smmu.behaviour().smmu_write_entry && !own_table && master.cd_table.allocated()) {
    (void)write_ctx_desc(cpu, smmu, master, kNoPasid, {});
  }
  domain.devices.insert(domain.devices.begin(), {.master = &master});
  enable_ats(cpu, smmu, master);
  return AttachResult::kOk;
}

void detach_dev(Cpu& cpu, ArmSmmuDevice& smmu, Master& master) {
  if (master.domain == nullptr) return;
  Domain& domain = *master.domain;
  disable_ats(cpu, smmu, master);
  std::erase_if(domain.devices, [&](const Attachment& a) { return a.master == &master; });
  master.domain = nullptr;
  master.ats_enabled = false;
  // With write_entry() the STE goes from one domain's to the next one's without a break, and so
  // does the CD.
  if (smmu.behaviour().smmu_write_entry) return;
  install_ste_for_dev(cpu, smmu, master, make_abort_ste());
  if (smmu.behaviour().smmu_master_cd_table && master.cd_table.allocated()) {
    write_ctx_desc(cpu, smmu, master, kNoPasid, {});
  }
}

}  // namespace shootdown::sw::smmu
