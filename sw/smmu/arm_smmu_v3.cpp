#include "sw/smmu/arm_smmu_v3.h"

#include <algorithm>
#include <array>
#include <bit>

#include "hw/arch/check.h"
#include "hw/arch/smmuv3_registers.h"
#include "hw/arch/smmuv3_tables.h"
#include "sw/smmu/commands.h"

namespace shootdown::sw::smmu {

namespace smmuv3 = arch::smmuv3;
namespace reg = arch::smmuv3::reg;

namespace {
// WB, inner shareable, for queues and tables.
constexpr std::uint32_t kCr1 = 0xd75;
constexpr std::uint64_t kReadAllocate = std::uint64_t{1} << 62;
constexpr unsigned kLinearCdLog2Max = 10;  // linear CD table up to 64 KiB
}  // namespace

std::uint32_t ArmSmmuDevice::read_reg(Cpu& cpu, std::uint32_t offset) {
  return static_cast<std::uint32_t>(cpu.mmio_read(config_.registers + offset, 4));
}
void ArmSmmuDevice::write_reg(Cpu& cpu, std::uint32_t offset, std::uint32_t value) {
  cpu.mmio_write(config_.registers + offset, value, 4);
}
void ArmSmmuDevice::write_reg64(Cpu& cpu, std::uint32_t offset, std::uint64_t value) {
  cpu.mmio_write(config_.registers + offset, value, 8);
}
void ArmSmmuDevice::write_reg_sync(Cpu& cpu, std::uint32_t offset, std::uint32_t ack,
                                   std::uint32_t value) {
  write_reg(cpu, offset, value);
  while (read_reg(cpu, ack) != value) cpu.cpu_relax();
}

bool ArmSmmuDevice::probe(Cpu& cpu) {
  const FunctionTrace trace(cpu, "arm_smmu_device_probe");
  using namespace smmuv3;  // register fields
  const std::uint32_t idr0_value = read_reg(cpu, reg::kIdr0);
  const std::uint32_t idr1_value = read_reg(cpu, reg::kIdr1);
  const std::uint32_t idr3_value = read_reg(cpu, reg::kIdr3);
  if (idr0::S1p::get(idr0_value) == 0 || (idr0::Ttf::get(idr0_value) & 2) == 0 ||
      idr0::Cohacc::get(idr0_value) == 0) {
    return false;
  }
  const auto stall_model = idr0::StallModel::get(idr0_value);
  features_.stalls = stall_model != kStallModelTerminateOnly;
  features_.ats = idr0::Ats::get(idr0_value) != 0;
  features_.broadcast = idr0::Btm::get(idr0_value) != 0 && config_.use_broadcast;
  features_.range_invalidation = idr3::Ril::get(idr3_value) != 0;
  features_.ssid_bits = static_cast<unsigned>(idr1::SsidSize::get(idr1_value));
  features_.cmdq_log2 = static_cast<unsigned>(idr1::Cmdqs::get(idr1_value));
  features_.evtq_log2 = static_cast<unsigned>(idr1::Eventqs::get(idr1_value));
  if (!init_tables(cpu)) return false;
  reset(cpu);
  return true;
}

bool ArmSmmuDevice::init_tables(Cpu& cpu) {
  PageAllocator& pages = kernel_.pages;
  strtab_log2_ = static_cast<unsigned>(std::bit_width(config_.max_stream_id));
  strtab_ = pages.alloc_contiguous(cpu, smmuv3::kSteBytes << strtab_log2_);
  cmdq_ = pages.alloc_contiguous(cpu, smmuv3::kCommandBytes << features_.cmdq_log2);
  evtq_ = pages.alloc_contiguous(cpu, smmuv3::kEventBytes << features_.evtq_log2);
  for (Page* table : {strtab_, cmdq_, evtq_}) {
    if (table == nullptr) return false;
    for (std::uint64_t i = 0; i < std::uint64_t{1} << table->order; ++i) {
      cpu.clear_page(table->address + i * arch::kPageSize);
    }
  }
  return true;
}

void ArmSmmuDevice::reset(Cpu& cpu) {
  const FunctionTrace trace(cpu, "arm_smmu_device_reset");
  using namespace smmuv3;  // register fields
  write_reg_sync(cpu, reg::kCr0, reg::kCr0Ack, 0);
  write_reg(cpu, reg::kCr1, kCr1);
  // Mainline always sets PTM; it is left out only where the SMMU is to follow broadcasts.
  write_reg(cpu, reg::kCr2,
            static_cast<std::uint32_t>(cr2::RecInvSid::of(1) | cr2::Ptm::of(!features_.broadcast)));
  write_reg64(cpu, reg::kStrtabBase, strtab_->address.value | kReadAllocate);
  write_reg(cpu, reg::kStrtabBaseCfg,
            static_cast<std::uint32_t>(strtab_base_cfg::Log2Size::of(strtab_log2_)));
  write_reg64(cpu, reg::kCmdqBase, cmdq_->address.value | kReadAllocate | features_.cmdq_log2);
  write_reg(cpu, reg::kCmdqProd, 0);
  write_reg(cpu, reg::kCmdqCons, 0);
  std::uint32_t enables = static_cast<std::uint32_t>(cr0::Cmdqen::kMask);
  write_reg_sync(cpu, reg::kCr0, reg::kCr0Ack, enables);
  const std::array<Command, 1> configuration{cfgi_all()};
  issue_cmdlist(cpu, configuration, true);
  const std::array<Command, 1> translations{tlbi_nsnh_all()};
  issue_cmdlist(cpu, translations, true);
  write_reg64(cpu, reg::kEventqBase, evtq_->address.value | kReadAllocate | features_.evtq_log2);
  write_reg(cpu, reg::kEventqProd, 0);
  write_reg(cpu, reg::kEventqCons, 0);
  enables |= static_cast<std::uint32_t>(cr0::Eventqen::kMask);
  write_reg_sync(cpu, reg::kCr0, reg::kCr0Ack, enables);
  if (features_.ats) {
    enables |= static_cast<std::uint32_t>(cr0::Atschk::kMask);
    write_reg_sync(cpu, reg::kCr0, reg::kCr0Ack, enables);
  }
  write_reg_sync(cpu, reg::kIrqCtrl, reg::kIrqCtrlAck, 0);
  write_reg_sync(cpu, reg::kIrqCtrl, reg::kIrqCtrlAck,
                 static_cast<std::uint32_t>(irq_ctrl::Gerror::kMask | irq_ctrl::Eventq::kMask));
  enables |= static_cast<std::uint32_t>(cr0::Smmuen::kMask);
  write_reg_sync(cpu, reg::kCr0, reg::kCr0Ack, enables);
}

bool ArmSmmuDevice::attach_master(Cpu& cpu, Master& master) {
  const FunctionTrace trace(cpu, "arm_smmu_write_strtab_ent");
  using namespace smmuv3;  // STE fields
  const unsigned cd_log2 = std::min(features_.ssid_bits, kLinearCdLog2Max);
  master.cd_table = kernel_.pages.alloc_contiguous(cpu, kCdBytes << cd_log2);
  if (master.cd_table == nullptr) return false;
  for (std::uint64_t i = 0; i < std::uint64_t{1} << master.cd_table->order; ++i) {
    cpu.clear_page(master.cd_table->address + i * arch::kPageSize);
  }
  const arch::PhysAddr ste = strtab_->address + std::uint64_t{master.stream_id.value} * kSteBytes;
  const bool forbid_stall = features_.stalls && !master.stall_enabled;
  cpu.store(ste + 8, ste1::S1Dss::of(kS1DssSsid0) | ste1::S1Cir::of(1) | ste1::S1Cor::of(1) |
                         ste1::S1Csh::of(3) | ste1::S1Stalld::of(forbid_stall) |
                         ste1::Eats::of(master.ats_enabled) | ste1::Strw::of(kStrwNsEl1));
  // Everything else first, then V: two CFGI_STE with a SYNC each.
  const std::array<Command, 1> invalidate{cfgi_ste(master.stream_id, true)};
  issue_cmdlist(cpu, invalidate, true);
  cpu.store(ste, ste0::Valid::of(1) | ste0::Config::of(kSteConfigS1) |
                     ste0::S1ContextPtr::set(0, master.cd_table->address.value) |
                     ste0::S1CdMax::of(cd_log2));
  issue_cmdlist(cpu, invalidate, true);
  const std::array<Command, 1> prefetch{prefetch_config(master.stream_id)};
  issue_cmdlist(cpu, prefetch, false);
  return true;
}

void ArmSmmuDevice::write_ctx_desc(Cpu& cpu, Master& master, arch::SubstreamId ssid,
                                   const UserContext& context) {
  const FunctionTrace trace(cpu, "arm_smmu_write_ctx_desc");
  using namespace smmuv3;  // CD fields
  const arch::PhysAddr cd = master.cd_table->address + std::uint64_t{ssid.value} * kCdBytes;
  cpu.store(cd + 8, cd1::Ttb0::set(0, context.pgd.value));
  cpu.store(cd + 16, 0);
  cpu.store(cd + 24, 0xff);  // MAIR: index 0 = normal, write-back
  const std::array<Command, 1> invalidate{cfgi_cd(master.stream_id, ssid, true)};
  issue_cmdlist(cpu, invalidate, true);
  // ASET = 0: the ASID is the CPUs' (these releases pin it and share it).
  cpu.store(cd, cd0::T0sz::of(context.t0sz) | cd0::Tg0::of(kTg0Granule4k) | cd0::Ir0::of(1) |
                    cd0::Or0::of(1) | cd0::Sh0::of(3) | cd0::Epd1::of(1) | cd0::Valid::of(1) |
                    cd0::Ips::of(5) | cd0::Aa64::of(1) | cd0::S::of(master.stall_enabled) |
                    cd0::R::of(1) | cd0::A::of(1) | cd0::Aset::of(0) |
                    cd0::AsidField::of(context.asid.value));
  issue_cmdlist(cpu, invalidate, true);
}

void ArmSmmuDevice::quiet_ctx_desc(Cpu& cpu, Master& master, arch::SubstreamId ssid) {
  const FunctionTrace trace(cpu, "arm_smmu_write_ctx_desc");
  const arch::PhysAddr cd = master.cd_table->address + std::uint64_t{ssid.value} * smmuv3::kCdBytes;
  cpu.store(cd, cpu.load(cd) | smmuv3::cd0::Epd0::of(1));
  const std::array<Command, 1> invalidate{cfgi_cd(master.stream_id, ssid, true)};
  issue_cmdlist(cpu, invalidate, true);
}

void ArmSmmuDevice::issue_cmdlist(Cpu& cpu, std::span<const Command> commands, bool sync_wanted) {
  const FunctionTrace trace(cpu, "arm_smmu_cmdq_issue_cmdlist");
  std::vector<Command> list(commands.begin(), commands.end());
  if (sync_wanted) list.push_back(sync());
  if (list.empty()) return;
  std::uint32_t target = 0;
  {
    const SpinGuard lock(cmdq_lock_, cpu);
    for (const Command& command : list) {
      while (smmuv3::QueueIndex::full(cmdq_prod_, cmdq_cons_, features_.cmdq_log2)) {
        // The consumer has to see what is there before it can make room.
        write_reg(cpu, reg::kCmdqProd, cmdq_prod_);
        cpu.cpu_relax();
        cmdq_cons_ =
            static_cast<std::uint32_t>(smmuv3::cmdq_cons::Rd::get(read_reg(cpu, reg::kCmdqCons)));
      }
      const auto slot = std::uint64_t{smmuv3::QueueIndex::slot(cmdq_prod_, features_.cmdq_log2)};
      const arch::PhysAddr address = cmdq_->address + slot * smmuv3::kCommandBytes;
      cpu.store(address, command.dw0);
      cpu.store(address + 8, command.dw1);
      cmdq_prod_ = smmuv3::QueueIndex::next(cmdq_prod_, features_.cmdq_log2);
      cpu.trace(CommandSubmitted{.command = command});
    }
    target = cmdq_prod_;
    // dma_wmb(): the commands are visible before the index.
    cpu.dsb(Barrier::kIshst);
    write_reg(cpu, reg::kCmdqProd, cmdq_prod_);
  }
  if (!sync_wanted) return;
  cpu.preempt_disable();
  wait_until_consumed(cpu, target);
  cpu.preempt_enable();
  cpu.trace(SyncObserved{});
}

void ArmSmmuDevice::wait_until_consumed(Cpu& cpu, std::uint32_t prod) {
  const std::uint32_t mask = (std::uint32_t{2} << features_.cmdq_log2) - 1;
  for (;;) {
    const auto cons =
        static_cast<std::uint32_t>(smmuv3::cmdq_cons::Rd::get(read_reg(cpu, reg::kCmdqCons)));
    // Consumed if CONS has reached `prod`: the distance counts modulo twice the queue.
    const std::uint32_t behind = (prod - cons) & mask;
    if (behind == 0 || behind > (mask >> 1) + 1) return;
    cpu.cpu_relax();
  }
}

void ArmSmmuDevice::evtq_thread(Cpu& cpu, FaultSink& sink) {
  const FunctionTrace trace(cpu, "arm_smmu_evtq_thread");
  const unsigned log2 = features_.evtq_log2;
  std::uint32_t cons = read_reg(cpu, reg::kEventqCons);
  for (;;) {
    const std::uint32_t prod = read_reg(cpu, reg::kEventqProd);
    if (smmuv3::QueueIndex::empty(prod, cons, log2)) break;
    const auto slot = std::uint64_t{smmuv3::QueueIndex::slot(cons, log2)};
    const arch::PhysAddr address = evtq_->address + slot * smmuv3::kEventBytes;
    smmuv3::EventRecord event{};
    for (std::size_t word = 0; word < event.size(); ++word) {
      event[word] = cpu.load(address + 8 * word);
    }
    const auto overflow = static_cast<std::uint32_t>(smmuv3::eventq::Overflow::kMask);
    // CONS carries the acknowledgement of an overflow.
    cons = smmuv3::QueueIndex::next(cons, log2) | (prod & overflow);
    write_reg(cpu, reg::kEventqCons, cons);
    const auto type = static_cast<smmuv3::EventType>(smmuv3::event0::Type::get(event[0]));
    if (smmuv3::can_stall(type) && smmuv3::event1::Stall::get(event[1]) != 0) {
      sink.report_device_fault(cpu, event);
    } else {
      ++unhandled_events_;  // the kernel logs it
    }
  }
}

void ArmSmmuDevice::gerror_handler(Cpu& cpu) {
  const FunctionTrace trace(cpu, "arm_smmu_gerror_handler");
  const std::uint32_t gerror = read_reg(cpu, reg::kGerror);
  const std::uint32_t gerrorn = read_reg(cpu, reg::kGerrorN);
  if (smmuv3::gerror::CmdqErr::get(gerror ^ gerrorn) != 0) {
    const std::uint32_t cons = read_reg(cpu, reg::kCmdqCons);
    const auto code = static_cast<smmuv3::CommandErrorCode>(smmuv3::cmdq_cons::Err::get(cons));
    if (code == smmuv3::CommandErrorCode::kIll) {
      // arm_smmu_cmdq_skip_err(): the slot becomes a CMD_SYNC.
      const auto slot = std::uint64_t{smmuv3::QueueIndex::slot(cons, features_.cmdq_log2)};
      const arch::PhysAddr address = cmdq_->address + slot * smmuv3::kCommandBytes;
      cpu.store(address, sync().dw0);
      cpu.store(address + 8, sync().dw1);
    }
  }
  write_reg(cpu, reg::kGerrorN, gerror);
}

}  // namespace shootdown::sw::smmu
