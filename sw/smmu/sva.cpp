#include "sw/smmu/sva.h"

#include <array>

#include "sw/mm/memory.h"
#include "sw/smmu/commands.h"

namespace shootdown::sw::smmu {

namespace smmuv3 = arch::smmuv3;

namespace {
/// CMDQ_MAX_TLBI_OPS: from as many pages on, the whole ASID without range invalidation.
constexpr std::uint64_t kMaxTlbiBytes = 512 * arch::kPageSize;
}  // namespace

void SvaDomain::bind(Cpu& cpu, Master& master) {
  const FunctionTrace trace(cpu, "arm_smmu_sva_bind");
  // On the list before the hardware can walk: no invalidation may miss it.
  masters_.push_back(&master);
  if (masters_.size() == 1) {
    const WriteGuard lock(mm_.mmap_lock, cpu);
    mm_.notifiers.push_back(this);
  }
  smmu_.write_ctx_desc(cpu, master, pasid_, {.pgd = mm_.pgd, .asid = mm_.asid});
  cpu.trace(SvaBound{.mm = mm_.id,
                     .stream_id = master.stream_id,
                     .substream_id = pasid_,
                     .asid = mm_.asid,
                     .atc = master.ats_enabled,
                     .broadcast = smmu_.features().broadcast});
}

void SvaDomain::arch_invalidate_secondary_tlbs(Cpu& cpu, Mm&, arch::VirtAddr start,
                                               arch::VirtAddr end) {
  const bool after = mm_.kernel.behaviour.notify_in_tlb_flush;
  const FunctionTrace trace(
      cpu, after ? "arm_smmu_mm_arch_invalidate_secondary_tlbs" : "arm_smmu_mm_invalidate_range");
  std::uint64_t size = end.value - start.value;
  if (smmu_.features().range_invalidation) {
    if (size == ~std::uint64_t{0}) size = 0;
  } else if (size >= kMaxTlbiBytes) {
    size = 0;
  }
  // TLBs first: an ATC that is emptied before them refills from what they still hold.
  const SoftwareInjections& inject = mm_.kernel.inject;
  if (inject.atc_inv_before_tlbi) atc_inv_domain(cpu, start, size);
  if (!smmu_.features().broadcast) tlb_inv(cpu, start, size);
  if (!inject.atc_inv_before_tlbi) atc_inv_domain(cpu, start, size);
}

void SvaDomain::release(Cpu& cpu, Mm&) {
  const FunctionTrace trace(cpu, "arm_smmu_mm_release");
  released_ = true;
  for (Master* master : masters_) smmu_.quiet_ctx_desc(cpu, *master, pasid_);
  tlb_inv(cpu, {}, 0);
  atc_inv_domain(cpu, {}, 0);
}

void SvaDomain::tlb_inv(Cpu& cpu, arch::VirtAddr start, std::uint64_t size) {
  const FunctionTrace trace(cpu, "arm_smmu_tlb_inv_range_asid");
  const SoftwareInjections& inject = mm_.kernel.inject;
  if (inject.skip_smmu_tlbi) return;
  arch::Asid asid = mm_.asid;
  if (inject.wrong_asid_smmu_tlbi) asid.value ^= 0x8000;
  if (inject.short_smmu_tlbi && size != 0) {
    start = start + size;
    size = arch::kPageSize;
  }
  std::vector<Command> commands;
  if (size == 0) {
    commands.push_back(tlbi_nh_asid(asid));
  } else if (inject.reserved_range_command) {
    commands.push_back(tlbi_nh_va_range(asid, start.value, false, 0, 0, 0));
  } else {
    commands =
        tlb_inv_range(asid, start.value, size, /*leaf=*/false, smmu_.features().range_invalidation);
  }
  // Batches of at most 64; only the last one is followed by a CMD_SYNC.
  constexpr std::size_t kBatch = 64;
  for (std::size_t first = 0; first < commands.size(); first += kBatch) {
    const std::size_t count = std::min(kBatch, commands.size() - first);
    const bool last = first + count == commands.size();
    smmu_.issue_cmdlist(cpu, std::span(commands).subspan(first, count),
                        last && !inject.skip_cmd_sync);
  }
}

void SvaDomain::atc_inv_domain(Cpu& cpu, arch::VirtAddr start, std::uint64_t size) {
  const SoftwareInjections& inject = mm_.kernel.inject;
  std::vector<Command> commands;
  for (const Master* master : masters_) {
    if (master->ats_enabled) {
      commands.push_back(atc_inv(master->stream_id, pasid_, start.value, size));
    }
  }
  if (commands.empty() || inject.skip_atc_inv) return;
  const FunctionTrace trace(cpu, "arm_smmu_atc_inv_domain");
  smmu_.issue_cmdlist(cpu, commands, !inject.skip_cmd_sync);
}

void IopfQueue::report_device_fault(Cpu& cpu, const smmuv3::EventRecord& event) {
  const FunctionTrace trace(cpu, "iommu_report_device_fault");
  queue_.push_back(event);
  cpu.wake_all(work_);
}

void IopfQueue::worker(Cpu& cpu) {
  for (;;) {
    while (queue_.empty()) cpu.sleep_on(work_);
    const smmuv3::EventRecord event = queue_.front();
    queue_.pop_front();
    handle(cpu, event);
  }
}

SvaDomain* IopfQueue::find_domain(arch::SubstreamId pasid) {
  for (SvaDomain* domain : domains_) {
    if (domain->pasid() == pasid) return domain;
  }
  return nullptr;
}

void IopfQueue::handle(Cpu& cpu, const smmuv3::EventRecord& event) {
  const FunctionTrace trace(cpu, "iopf_handler");
  const arch::StreamId sid{static_cast<std::uint32_t>(smmuv3::event0::Sid::get(event[0]))};
  const arch::SubstreamId pasid{static_cast<std::uint32_t>(smmuv3::event0::Ssid::get(event[0]))};
  const auto stag = static_cast<std::uint16_t>(smmuv3::event1::Stag::get(event[1]));
  SvaDomain* domain = find_domain(pasid);
  bool resolved = false;
  if (domain != nullptr && !domain->released()) {  // mmget_not_zero()
    const bool write = smmuv3::event1::Rnw::get(event[1]) == 0;
    resolved = fault_in(cpu, domain->mm(), arch::VirtAddr{event[2]},
                        {.write = write, .remote = true}) == VmFault::kHandled;
  }
  // Whatever fault_in() invalidated is complete: the retry cannot meet what it was told to drop.
  const std::array<Command, 1> answer{resume(sid, stag, resolved)};
  smmu_.issue_cmdlist(cpu, answer, false);
}

}  // namespace shootdown::sw::smmu
