#include "sw/smmu/context_descriptors.h"

#include <algorithm>
#include <vector>

#include "hw/arch/smmuv3_tables.h"

namespace shootdown::sw::smmu {

namespace cd0 = arch::smmuv3::cd0;

namespace {

/// A table and who walks it.
struct Users {
  CdTable* table;
  std::vector<Master*> masters;
};

std::vector<Users> users_of(const KernelBehaviour& behaviour, Domain& domain) {
  std::vector<Users> result;
  if (!behaviour.smmu_master_cd_table) {
    Users all{.table = &domain.cd_table, .masters = {}};
    for (const Attachment& attachment : domain.devices) all.masters.push_back(attachment.master);
    result.push_back(std::move(all));
    return result;
  }
  for (const Attachment& attachment : domain.devices) {
    result.push_back({.table = &attachment.master->cd_table, .masters = {attachment.master}});
  }
  return result;
}

/// The first word is written last: with V the SMMU may use the others, in any order.
void install(Cpu& cpu, arch::PhysAddr address, const Entry& cd, const std::function<void()>& sync) {
  for (std::size_t word = 1; word <= 3; ++word) cpu.store(address + 8 * word, cd[word]);
  sync();
  cpu.store(address, cd[0]);
  sync();
}

void replace_first_word(Cpu& cpu, arch::PhysAddr address, std::uint64_t value,
                        const std::function<void()>& sync) {
  cpu.store(address, value);
  sync();
}

bool write_one(Cpu& cpu, ArmSmmuDevice& smmu, const Users& users, arch::SubstreamId ssid,
               const Entry& cd) {
  const auto sync = [&] { smmu.sync_cd(cpu, users.masters, ssid, true); };
  const auto address = users.table->find_or_alloc(
      cpu, smmu.kernel().pages, ssid, [&] { smmu.sync_cd(cpu, users.masters, ssid, false); });
  if (!address) return false;
  if (smmu.behaviour().smmu_write_cd_entry) {
    EntryWriter(cpu, *address, cd_used, sync).write(cd);
  } else if (cd0::Valid::get(cd[0]) == 0) {
    replace_first_word(cpu, *address, 0, sync);
  } else {
    install(cpu, *address, cd, sync);
  }
  return true;
}

/// Changes the CD of `ssid` wherever the domain has one.
template <class Change>
void change(Cpu& cpu, ArmSmmuDevice& smmu, Domain& domain, arch::SubstreamId ssid,
            Change&& changed) {
  for (const Users& users : users_of(smmu.behaviour(), domain)) {
    const auto address = users.table->find(ssid);
    if (!address) continue;
    replace_first_word(cpu, *address, changed(cpu.load(*address)),
                       [&] { smmu.sync_cd(cpu, users.masters, ssid, true); });
  }
}

}  // namespace

bool write_ctx_desc(Cpu& cpu, ArmSmmuDevice& smmu, Domain& domain, arch::SubstreamId ssid,
                    const Entry& cd) {
  const FunctionTrace trace(cpu, "arm_smmu_write_ctx_desc");
  const std::vector<Users> all = users_of(smmu.behaviour(), domain);
  return std::all_of(all.begin(), all.end(),
                     [&](const Users& users) { return write_one(cpu, smmu, users, ssid, cd); });
}

bool write_ctx_desc(Cpu& cpu, ArmSmmuDevice& smmu, Master& master, arch::SubstreamId ssid,
                    const Entry& cd) {
  const FunctionTrace trace(cpu, "arm_smmu_write_ctx_desc");
  return write_one(cpu, smmu, {.table = &master.cd_table, .masters = {&master}}, ssid, cd);
}

bool quiet_cd_stalls(const ArmSmmuDevice& smmu) {
  return !smmu.behaviour().smmu_quiet_no_stall || smmu.features().stall_forced;
}

void quiet_ctx_desc(Cpu& cpu, ArmSmmuDevice& smmu, Domain& domain, arch::SubstreamId ssid) {
  const FunctionTrace trace(cpu, "arm_smmu_write_ctx_desc");
  const std::uint64_t dropped = quiet_cd_stalls(smmu) ? 0 : cd0::S::kMask | cd0::R::kMask;
  change(cpu, smmu, domain, ssid,
         [&](std::uint64_t word) { return (word & ~dropped) | cd0::Epd0::of(1); });
}

void update_ctx_desc_asid(Cpu& cpu, ArmSmmuDevice& smmu, Domain& domain) {
  const FunctionTrace trace(cpu, "arm_smmu_write_ctx_desc");
  change(cpu, smmu, domain, kNoPasid,
         [&](std::uint64_t word) { return cd0::AsidField::set(word, domain.asid.value); });
}

}  // namespace shootdown::sw::smmu
