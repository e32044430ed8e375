#include "sw/smmu/install.h"

#include <algorithm>

#include "hw/arch/check.h"
#include "hw/arch/smmuv3_tables.h"
#include "sw/smmu/entries.h"

namespace shootdown::sw::smmu {

using namespace arch::smmuv3;  // the field names below read like the specification

bool alloc_cd_table(Cpu& cpu, ArmSmmuDevice& smmu, CdTable& table, unsigned ssid_bits) {
  return table.allocated() ||
         table.alloc(cpu, smmu.kernel().pages, ssid_bits, smmu.features().two_level_cd);
}

Entry make_domain_ste(ArmSmmuDevice& smmu, const Master& master, const Domain* domain,
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

namespace {

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

void install_ste_for_dev(Cpu& cpu, ArmSmmuDevice& smmu, Master& master, const Entry& target) {
  master.cd_in_ste = ste0::Config::get(target[0]) == kSteConfigS1;
  master.ste_ats_enabled = ste1::Eats::get(target[1]) == kEatsFull;
  const auto& streams = master.device.streams;
  for (auto sid = streams.begin(); sid != streams.end(); ++sid) {
    // Bridged devices may have one StreamID several times.
    if (std::find(streams.begin(), sid, *sid) == sid) write_ste(cpu, smmu, *sid, target);
  }
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

}  // namespace shootdown::sw::smmu
