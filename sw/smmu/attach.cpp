#include "sw/smmu/attach.h"

#include <algorithm>

#include "hw/arch/check.h"
#include "hw/arch/smmuv3_tables.h"
#include "sw/smmu/context_descriptors.h"
#include "sw/smmu/entries.h"

namespace shootdown::sw::smmu {

using namespace arch::smmuv3;  // the field names below read like the specification

// ---- Parts of both generations ---------------------------------------------------------------

namespace {

bool ats_supported(const ArmSmmuDevice& smmu, const Master& master) {
  return smmu.features().ats && master.device.ats;
}

void switch_ats(const Master& master, bool on) {
  if (master.device.switch_ats) master.device.switch_ats(on);
}

bool alloc_cd_table(Cpu& cpu, ArmSmmuDevice& smmu, CdTable& table, unsigned ssid_bits) {
  return table.allocated() ||
         table.alloc(cpu, smmu.kernel().pages, ssid_bits, smmu.features().two_level_cd);
}

Entry make_ste(ArmSmmuDevice& smmu, const Master& master, const Domain* domain,
               const CdTable& cd_table, bool ats) {
  if (domain == nullptr || domain->stage == Domain::Stage::kBlocked) return make_abort_ste();
  switch (domain->stage) {
    case Domain::Stage::kBypass:
      return make_bypass_ste(smmu.features());
    case Domain::Stage::kStage2:
      return make_s2_domain_ste(
          smmu.features(), domain->table, domain->vmid,
          {.ats = ats, .stall = smmu.behaviour().smmu_s2_stall && master.stall_enabled});
    default:
      return make_cdtable_ste(
          smmu.features(), cd_table,
          {.ats = ats, .s1dss = kS1DssSsid0, .may_stall = master.stall_enabled});
  }
}

/// arm_smmu_write_strtab_ent() until v6.8: bypass and abort at once; the others are invalid, or
/// bypass, until their first word is written.
void write_strtab_ent(Cpu& cpu, ArmSmmuDevice& smmu, arch::StreamId sid, arch::PhysAddr address,
                      const Entry& target) {
  const auto config = ste0::Config::get(target[0]);
  if (config != kSteConfigS1 && config != kSteConfigS2) {
    cpu.store(address, target[0]);
    cpu.store(address + 8, ste1::Shcfg::of(1));  // use incoming
    cpu.store(address + 16, 0);                  // the VMID
    smmu.sync_ste(cpu, sid);
    return;
  }
  if (config == kSteConfigS1) {
    cpu.store(address + 8, target[1]);
  } else {
    cpu.store(address + 16, target[2]);
    cpu.store(address + 24, target[3]);
    const auto ats = target[1] & ste1::Eats::kMask;
    if (ats != 0) cpu.store(address + 8, cpu.load(address + 8) | ats);
  }
  smmu.sync_ste(cpu, sid);
  cpu.store(address, target[0]);
  smmu.sync_ste(cpu, sid);
  smmu.cmdq().issue(cpu, prefetch_config(sid));
}

/// arm_smmu_install_ste_for_dev()
void install_ste_for_dev(Cpu& cpu, ArmSmmuDevice& smmu, Master& master, const Entry& target) {
  master.cd_in_ste = ste0::Config::get(target[0]) == kSteConfigS1;
  master.ste_ats_enabled = ste1::Eats::get(target[1]) == kEatsFull;
  const auto& streams = master.device.streams;
  for (auto sid = streams.begin(); sid != streams.end(); ++sid) {
    // Bridged devices may have one StreamID several times.
    if (std::find(streams.begin(), sid, *sid) == sid) write_ste(cpu, smmu, *sid, target);
  }
}

}  // namespace

void write_ste(Cpu& cpu, ArmSmmuDevice& smmu, arch::StreamId sid, const Entry& target) {
  const FunctionTrace trace(cpu, "arm_smmu_write_strtab_ent");
  const auto address = smmu.stream_table().find(sid);
  SHOOTDOWN_CHECK(address.has_value(), "a device is attached before it is probed");
  if (!smmu.behaviour().smmu_write_entry) {
    write_strtab_ent(cpu, smmu, sid, *address, target);
    return;
  }
  EntryWriter(cpu, *address, ste_used, [&] { smmu.sync_ste(cpu, sid); }).write(target);
  smmu.cmdq().issue(cpu, prefetch_config(sid));
}

void write_cd_entry(Cpu& cpu, ArmSmmuDevice& smmu, Master& master, arch::SubstreamId ssid,
                    arch::PhysAddr cd, const Entry& target) {
  const FunctionTrace trace(cpu, "arm_smmu_write_cd_entry");
  const bool was_valid = cd0::Valid::get(cpu.load(cd)) != 0;
  const bool becomes_valid = cd0::Valid::get(target[0]) != 0;
  if (ssid != kNoPasid && was_valid != becomes_valid) {
    if (was_valid) {
      --master.cd_table.used_ssids;
    } else {
      ++master.cd_table.used_ssids;
    }
  }
  Master* const masters[] = {&master};
  EntryWriter(cpu, cd, cd_used, [&] { smmu.sync_cd(cpu, masters, ssid, true); }).write(target);
}

AttachResult finalise_domain(Cpu& cpu, ArmSmmuDevice& smmu, Domain& domain) {
  if (domain.finalised) return AttachResult::kOk;
  // Stage 1 if there is one, unless stage 2 was asked for.
  if (domain.stage == Domain::Stage::kStage1 && !smmu.features().stage1) {
    domain.stage = Domain::Stage::kStage2;
  }
  const bool stage2 = domain.stage == Domain::Stage::kStage2;
  if (stage2 && !smmu.features().stage2) return AttachResult::kInvalid;
  if (!alloc_io_pgtable(cpu, smmu.kernel().pages, smmu.features(), smmu.host(), stage2,
                        domain.table)) {
    return AttachResult::kNoMemory;
  }
  domain.leaf_shift = domain.table.leaf_shift();
  const auto id = (stage2 ? smmu.vmids() : smmu.asids()).allocate(&domain);
  if (!id) return AttachResult::kNoMemory;
  if (stage2) {
    domain.vmid = arch::Vmid{*id};
  } else {
    domain.asid = arch::Asid{*id};
  }
  domain.finalised = true;
  return AttachResult::kOk;
}

// ---- Until v6.10 -----------------------------------------------------------------------------

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
  install_ste_for_dev(cpu, smmu, master,
                      make_ste(smmu, master, &domain, own_table ? master.cd_table : domain.cd_table,
                               master.ats_enabled));
  // Nothing leads to the CD of the domain before any more.
  if (smmu.behaviour().smmu_write_entry && !own_table && master.cd_table.allocated()) {
    (void)write_ctx_desc(cpu, smmu, master, kNoPasid, {});
  }
  domain.devices.insert(domain.devices.begin(), {.master = &master});
  enable_ats(cpu, smmu, master);
  return AttachResult::kOk;
}

}  // namespace

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

// ---- From v6.11 on ---------------------------------------------------------------------------

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
                        : make_ste(smmu, master, &domain, master.cd_table, false);
  install_ste_for_dev(cpu, smmu, master, ste);
  attach_commit(cpu, smmu, master, state);
  clear_cd(cpu, smmu, master, kNoPasid);
  master.domain = &domain;
}

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
                      make_ste(smmu, master, &domain, master.cd_table, state.ats_enabled));
  if (!stage1) clear_cd(cpu, smmu, master, kNoPasid);
  attach_commit(cpu, smmu, master, state);
  master.domain = &domain;
  return AttachResult::kOk;
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

AttachResult attach_dev(Cpu& cpu, ArmSmmuDevice& smmu, Master& master, Domain& domain) {
  const FunctionTrace trace(cpu, "arm_smmu_attach_dev");
  return smmu.behaviour().smmu_sva_domains ? attach_hitless(cpu, smmu, master, domain)
                                           : attach_after_detach(cpu, smmu, master, domain);
}

}  // namespace shootdown::sw::smmu
