#include "sw/smmu/arm_smmu_v3.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "hw/arch/smmuv3_registers.h"
#include "hw/arch/smmuv3_tables.h"
#include "sw/smmu/entries.h"

namespace shootdown::sw::smmu {

namespace smmuv3 = arch::smmuv3;
namespace reg = arch::smmuv3::reg;

namespace {

constexpr std::uint64_t kWriteAllocate = std::uint64_t{1} << 62;
constexpr unsigned kLinearCdLog2Max = 10;  // CTXDESC_LINEAR_CDMAX

/// CR1: queues and tables are write-back and inner shareable.
constexpr std::uint32_t memory_attributes() {
  using namespace smmuv3::cr1;
  constexpr unsigned kWriteBack = 1;
  constexpr unsigned kInnerShareable = 3;
  return static_cast<std::uint32_t>(QueueIc::of(kWriteBack) | QueueOc::of(kWriteBack) |
                                    QueueSh::of(kInnerShareable) | TableIc::of(kWriteBack) |
                                    TableOc::of(kWriteBack) | TableSh::of(kInnerShareable));
}
static_assert(memory_attributes() == 0xd75);

std::uint32_t masked(std::uint64_t mask) { return static_cast<std::uint32_t>(mask); }

}  // namespace

// ---- Bringing it up --------------------------------------------------------------------------

bool ArmSmmuDevice::probe(Cpu& cpu) {
  const FunctionTrace trace(cpu, "arm_smmu_device_probe");
  const IdRegisterValues id{.idr0 = registers_.read(cpu, reg::kIdr0),
                            .idr1 = registers_.read(cpu, reg::kIdr1),
                            .idr3 = registers_.read(cpu, reg::kIdr3),
                            .idr5 = registers_.read(cpu, reg::kIdr5),
                            .iidr = registers_.read(cpu, reg::kIidr)};
  const auto features = probe_features(id, config_.host);
  if (!features) return false;
  features_ = *features;
  features_.broadcast = smmuv3::idr0::Btm::get(id.idr0) != 0 && config_.use_broadcast;
  asids_.set_bits(features_.asid_bits);
  vmids_.set_bits(features_.vmid_bits);
  if (!init_structures(cpu)) return false;
  reset(cpu);
  return true;
}

bool ArmSmmuDevice::init_structures(Cpu& cpu) {
  PageAllocator& pages = kernel_.pages;
  Entry initial = make_abort_ste();
  // Older releases write SHCFG wherever they write an STE without a domain.
  if (!behaviour().smmu_write_entry) initial[1] = smmuv3::ste1::Shcfg::of(smmuv3::kShcfgIncoming);
  if (!stream_table_.init(cpu, pages, features_, initial)) return false;
  if (!cmdq_.init(cpu, pages, features_)) return false;
  evtq_ = pages.alloc_cleared(cpu, smmuv3::kEventBytes << features_.evtq_log2);
  if (evtq_ == nullptr) return false;
  if (!features_.pri) return true;
  priq_ = pages.alloc_cleared(cpu, smmuv3::kPageRequestBytes << features_.priq_log2);
  return priq_ != nullptr;
}

void ArmSmmuDevice::reset(Cpu& cpu) {
  const FunctionTrace trace(cpu, "arm_smmu_device_reset");
  using namespace smmuv3;  // register fields
  std::uint32_t enables = 0;
  const auto enable = [&](std::uint64_t mask) {
    enables |= masked(mask);
    registers_.write_sync(cpu, reg::kCr0, reg::kCr0Ack, enables);
  };
  registers_.write_sync(cpu, reg::kCr0, reg::kCr0Ack, 0);
  registers_.write(cpu, reg::kCr1, memory_attributes());
  // Mainline always sets PTM; it is left out only where the SMMU is to follow broadcasts.
  registers_.write(
      cpu, reg::kCr2,
      cr2::RecInvSid::of(1) | cr2::Ptm::of(!features_.broadcast) | cr2::E2h::of(features_.e2h));
  registers_.write64(cpu, reg::kStrtabBase, stream_table_.base_register());
  registers_.write(cpu, reg::kStrtabBaseCfg, stream_table_.base_cfg_register());

  cmdq_.write_base(cpu);
  enable(cr0::Cmdqen::kMask);
  cmdq_.issue_with_sync(cpu, cfgi_all());
  if (features_.hyp) cmdq_.issue_with_sync(cpu, tlbi(Opcode::kTlbiEl2All));
  cmdq_.issue_with_sync(cpu, tlbi(Opcode::kTlbiNsnhAll));

  registers_.write64(cpu, reg::kEventqBase,
                     evtq_->address.value | kWriteAllocate | features_.evtq_log2);
  registers_.write(cpu, reg::kEventqProd, 0);
  registers_.write(cpu, reg::kEventqCons, 0);
  enable(cr0::Eventqen::kMask);
  if (features_.pri) {
    registers_.write64(cpu, reg::kPriqBase,
                       priq_->address.value | kWriteAllocate | features_.priq_log2);
    registers_.write(cpu, reg::kPriqProd, 0);
    registers_.write(cpu, reg::kPriqCons, 0);
    enable(cr0::Priqen::kMask);
  }
  if (features_.ats) enable(cr0::Atschk::kMask);
  setup_irqs(cpu);
  enable(cr0::Smmuen::kMask);
}

void ArmSmmuDevice::setup_irqs(Cpu& cpu) {
  using namespace smmuv3;  // register fields
  registers_.write_sync(cpu, reg::kIrqCtrl, reg::kIrqCtrlAck, 0);
  // arm_smmu_setup_msis(): the interrupts are wired.
  registers_.write64(cpu, reg::kGerrorIrqCfg0, 0);
  registers_.write64(cpu, reg::kEventqIrqCfg0, 0);
  if (features_.pri) registers_.write64(cpu, reg::kPriqIrqCfg0, 0);
  std::uint64_t interrupts = irq_ctrl::Gerror::kMask | irq_ctrl::Eventq::kMask;
  if (features_.pri) interrupts |= irq_ctrl::Priq::kMask;
  registers_.write_sync(cpu, reg::kIrqCtrl, reg::kIrqCtrlAck, interrupts);
}

bool ArmSmmuDevice::probe_device(Cpu& cpu, Master& master) {
  const FunctionTrace trace(cpu, "arm_smmu_probe_device");
  for (const arch::StreamId sid : master.device.streams) {
    if (!stream_table_.init_sid(cpu, kernel_.pages, sid)) return false;
  }
  // Bridged devices may have one StreamID several times, but no two devices the same.
  for (const arch::StreamId sid : master.device.streams) {
    const Master* other = find_master(sid);
    if (other != nullptr && other != &master) return false;
  }
  for (const arch::StreamId sid : master.device.streams) masters_[sid.value] = &master;
  master.ssid_bits = std::min(features_.ssid_bits, master.device.pasid_bits);
  if (!features_.two_level_cd) master.ssid_bits = std::min(master.ssid_bits, kLinearCdLog2Max);
  master.stall_enabled = (features_.stalls && master.device.can_stall) || features_.stall_forced;
  return true;
}

Master* ArmSmmuDevice::find_master(arch::StreamId sid) const {
  const auto found = masters_.find(sid.value);
  return found == masters_.end() ? nullptr : found->second;
}

// ---- Invalidation ----------------------------------------------------------------------------

void ArmSmmuDevice::issue_invalidation(Cpu& cpu, std::span<const Command> commands) {
  cmdq_.issue_batch(cpu, commands, !kernel_.inject.skip_cmd_sync);
}

void ArmSmmuDevice::tlb_inv_asid(Cpu& cpu, arch::Asid asid) {
  const FunctionTrace trace(cpu, "arm_smmu_tlb_inv_asid");
  const Command command = tlbi(features_.e2h ? Opcode::kTlbiEl2Asid : Opcode::kTlbiNhAsid, asid);
  issue_invalidation(cpu, {&command, 1});
}

void ArmSmmuDevice::tlb_inv_range_asid(Cpu& cpu, arch::Asid asid, std::uint64_t iova,
                                       std::uint64_t size, unsigned leaf_shift) {
  const FunctionTrace trace(cpu, "arm_smmu_tlb_inv_range_asid");
  const TlbiTarget target{.opcode = features_.e2h ? Opcode::kTlbiEl2Va : Opcode::kTlbiNhVa,
                          .asid = asid};
  const auto commands = tlb_inv_range(target, iova, size,
                                      {.leaf_shift = leaf_shift,
                                       .granule_shift = config_.host.page_shift,
                                       .range_invalidation = features_.range_invalidation});
  issue_invalidation(cpu, commands);
}

void ArmSmmuDevice::tlb_inv_range_domain(Cpu& cpu, Domain& domain, std::uint64_t iova,
                                         std::uint64_t size, unsigned granule_shift, bool leaf) {
  const FunctionTrace trace(cpu, "arm_smmu_tlb_inv_range_domain");
  TlbiTarget target{.leaf = leaf};
  if (domain.stage == Domain::Stage::kStage2) {
    target.opcode = Opcode::kTlbiS2Ipa;
    target.vmid = domain.vmid;
  } else {
    target.opcode = features_.e2h ? Opcode::kTlbiEl2Va : Opcode::kTlbiNhVa;
    target.asid = domain.asid;
  }
  const auto commands = tlb_inv_range(target, iova, size,
                                      {.leaf_shift = domain.leaf_shift,
                                       .granule_shift = granule_shift,
                                       .range_invalidation = features_.range_invalidation});
  cmdq_.issue_batch(cpu, commands);
  // Never leaf-only: a table may be gone with everything below it.
  atc_inv_domain(cpu, domain, kNoPasid, iova, size);
}

void ArmSmmuDevice::iotlb_sync(Cpu& cpu, Domain& domain, std::uint64_t start, std::uint64_t last,
                               unsigned page_shift) {
  if (page_shift == 0) return;
  tlb_inv_range_domain(cpu, domain, start, last - start + 1, page_shift, true);
}

void ArmSmmuDevice::tlb_inv_walk(Cpu& cpu, Domain& domain, std::uint64_t iova, std::uint64_t size,
                                 unsigned granule_shift) {
  tlb_inv_range_domain(cpu, domain, iova, size, granule_shift, false);
}

void ArmSmmuDevice::tlb_inv_context(Cpu& cpu, Domain& domain) {
  const FunctionTrace trace(cpu, "arm_smmu_tlb_inv_context");
  if (domain.stage == Domain::Stage::kStage2) {
    cmdq_.issue_with_sync(cpu, tlbi(Opcode::kTlbiS12Vmall, {}, domain.vmid));
  } else {
    tlb_inv_asid(cpu, domain.asid);
  }
  atc_inv_domain(cpu, domain, kNoPasid, 0, 0);
}

void ArmSmmuDevice::atc_inv_domain(Cpu& cpu, Domain& domain, arch::SubstreamId ssid,
                                   std::uint64_t iova, std::uint64_t size) {
  if (!features_.ats || domain.nr_ats_masters == 0) return;
  const FunctionTrace trace(cpu, "arm_smmu_atc_inv_domain");
  const bool knows_ssid = behaviour().smmu_sva_domains;
  std::vector<Command> commands;
  for (const Attachment& attachment : domain.devices) {
    if (!attachment.master->ats_enabled) continue;
    const arch::SubstreamId pasid = knows_ssid ? attachment.ssid : ssid;
    for (const arch::StreamId sid : attachment.master->device.streams) {
      commands.push_back(atc_inv(sid, pasid, iova, size));
    }
  }
  issue_invalidation(cpu, commands);
}

void ArmSmmuDevice::atc_inv_master(Cpu& cpu, Master& master, arch::SubstreamId ssid) {
  const FunctionTrace trace(cpu, "arm_smmu_atc_inv_master");
  std::vector<Command> commands;
  for (const arch::StreamId sid : master.device.streams) {
    commands.push_back(atc_inv(sid, ssid, 0, 0));
  }
  cmdq_.issue_batch(cpu, commands);
}

void ArmSmmuDevice::sync_cd(Cpu& cpu, std::span<Master* const> masters, arch::SubstreamId ssid,
                            bool leaf) {
  std::vector<Command> commands;
  for (const Master* master : masters) {
    for (const arch::StreamId sid : master->device.streams) {
      commands.push_back(cfgi_cd(sid, ssid, leaf));
    }
  }
  cmdq_.issue_batch(cpu, commands);
}

void ArmSmmuDevice::sync_ste(Cpu& cpu, arch::StreamId sid) {
  cmdq_.issue_with_sync(cpu, cfgi_ste(sid, true));
}

void ArmSmmuDevice::page_response(Cpu& cpu, arch::StreamId sid, std::uint16_t stag, bool success) {
  cmdq_.issue(cpu, resume(sid, stag, success ? ResumeResponse::kRetry : ResumeResponse::kAbort));
}

// ---- Interrupts ------------------------------------------------------------------------------

namespace {

/// Empties a queue of records that the SMMU writes; `handle` gets each of them.
template <std::size_t Words, class Handle>
void drain_queue(Cpu& cpu, const Registers& registers, arch::PhysAddr base, unsigned log2,
                 std::uint32_t prod_offset, std::uint32_t cons_offset, Handle&& handle) {
  constexpr auto kOverflow = static_cast<std::uint32_t>(smmuv3::eventq::Overflow::kMask);
  std::uint32_t cons = registers.read(cpu, cons_offset);
  for (;;) {
    const std::uint32_t prod = registers.read(cpu, prod_offset);
    if (smmuv3::QueueIndex::empty(prod, cons, log2)) {
      // An overflow is acknowledged when there is space again (queue_sync_cons_ovf()).
      if (((prod ^ cons) & kOverflow) != 0) registers.write(cpu, cons_offset, cons ^ kOverflow);
      return;
    }
    const auto slot = std::uint64_t{smmuv3::QueueIndex::slot(cons, log2)};
    std::array<std::uint64_t, Words> record{};
    for (std::size_t word = 0; word < Words; ++word) {
      record[word] = cpu.load(base + slot * sizeof(record) + 8 * word);
    }
    cons = smmuv3::QueueIndex::next(cons, log2) | (cons & kOverflow);
    registers.write(cpu, cons_offset, cons);
    handle(record);
  }
}

}  // namespace

void ArmSmmuDevice::evtq_thread(Cpu& cpu, FaultSink& sink) {
  const FunctionTrace trace(cpu, "arm_smmu_evtq_thread");
  drain_queue<4>(cpu, registers_, evtq_->address, features_.evtq_log2, reg::kEventqProd,
                 reg::kEventqCons,
                 [&](const smmuv3::EventRecord& event) { handle_event(cpu, sink, event); });
}

void ArmSmmuDevice::handle_event(Cpu& cpu, FaultSink& sink, const smmuv3::EventRecord& event) {
  // What returns here is logged by the kernel, and not answered.
  const auto type = static_cast<smmuv3::EventType>(smmuv3::event0::Type::get(event[0]));
  if (!smmuv3::can_stall(type) || smmuv3::event1::Stall::get(event[1]) == 0) return;
  if (smmuv3::event1::S2::get(event[1]) != 0 && !behaviour().smmu_s2_stall) return;
  Master* master = find_master({static_cast<std::uint32_t>(smmuv3::event0::Sid::get(event[0]))});
  if (master != nullptr) sink.report_device_fault(cpu, *master, event);
}

void ArmSmmuDevice::priq_thread(Cpu& cpu) {
  if (priq_ == nullptr) return;
  const FunctionTrace trace(cpu, "arm_smmu_priq_thread");
  drain_queue<2>(cpu, registers_, priq_->address, features_.priq_log2, reg::kPriqProd,
                 reg::kPriqCons, [&](const std::array<std::uint64_t, 2>& request) {
                   handle_page_request(cpu, request[0], request[1]);
                 });
}

void ArmSmmuDevice::handle_page_request(Cpu& cpu, std::uint64_t dw0, std::uint64_t dw1) {
  const FunctionTrace trace(cpu, "arm_smmu_handle_ppr");
  if (smmuv3::pri0::Last::get(dw0) == 0) return;
  const bool has_ssid = smmuv3::pri0::Ssv::get(dw0) != 0;
  const auto ssid = static_cast<std::uint32_t>(smmuv3::pri0::Ssid::get(dw0));
  cmdq_.issue(cpu, pri_resp({.sid = {static_cast<std::uint32_t>(smmuv3::pri0::Sid::get(dw0))},
                             .has_ssid = has_ssid,
                             .ssid = has_ssid ? arch::SubstreamId{ssid} : kNoPasid,
                             .index = static_cast<unsigned>(smmuv3::pri1::PrgIndex::get(dw1))},
                            PriResponse::kDeny));
}

void ArmSmmuDevice::gerror_handler(Cpu& cpu) {
  const FunctionTrace trace(cpu, "arm_smmu_gerror_handler");
  const std::uint32_t gerror = registers_.read(cpu, reg::kGerror);
  const std::uint32_t gerrorn = registers_.read(cpu, reg::kGerrorN);
  if (smmuv3::gerror::CmdqErr::get(gerror ^ gerrorn) != 0) cmdq_.skip_err(cpu);
  registers_.write(cpu, reg::kGerrorN, gerror);
}

}  // namespace shootdown::sw::smmu
