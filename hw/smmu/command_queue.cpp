#include "hw/smmu/command_queue.h"

#include <algorithm>

namespace shootdown::hw {

namespace smmuv3 = arch::smmuv3;
namespace reg = arch::smmuv3::reg;
using smmuv3::Command;
using smmuv3::CommandErrorCode;
using smmuv3::Opcode;

CommandQueue::CommandQueue(const std::string& name, const Parts& parts,
                           const SmmuFeatures& features, const CommandQueueConfig& config)
    : parts_(parts),
      features_(features),
      config_(config),
      fetcher_(parts.simulation, (name + "_fetch").c_str(), [this] { fetch_loop(); }),
      invalidator_(parts.simulation, (name + "_invalidate").c_str(),
                   [this] { invalidation_loop(); }),
      idle_(parts.simulation) {}

void CommandQueue::start() {
  fetcher_.start();
  invalidator_.start();
}

void CommandQueue::software_moved() { fetcher_.wake(); }

unsigned CommandQueue::log2_size() const {
  const auto wanted = smmuv3::queue_base::Log2Size::get(parts_.registers.get(reg::kCmdqBase));
  const auto limit = smmuv3::idr1::Cmdqs::get(parts_.registers.get(reg::kIdr1));
  return static_cast<unsigned>(std::min(wanted, limit));
}

bool CommandQueue::runnable() const {
  const RegisterFile& registers = parts_.registers;
  const auto active = registers.get(reg::kGerror) ^ registers.get(reg::kGerrorN);
  return registers.enabled(smmuv3::cr0::Cmdqen::kMask) &&
         smmuv3::gerror::CmdqErr::get(active) == 0 &&
         !smmuv3::QueueIndex::empty(registers.get(reg::kCmdqProd), registers.get(reg::kCmdqCons),
                                    log2_size());
}

void CommandQueue::fetch_loop() {
  for (;;) {
    while (!runnable()) parts_.simulation.block();
    RegisterFile& registers = parts_.registers;
    const unsigned log2 = log2_size();
    const std::uint32_t cons =
        static_cast<std::uint32_t>(smmuv3::cmdq_cons::Rd::get(registers.get(reg::kCmdqCons)));
    const arch::PhysAddr base{smmuv3::queue_base::Addr::get(registers.get64(reg::kCmdqBase))};
    Command command;
    const auto slot = std::uint64_t{smmuv3::QueueIndex::slot(cons, log2)};
    const arch::PhysAddr address = base + slot * smmuv3::kCommandBytes;
    if (!parts_.bus.read(address, &command, smmuv3::kCommandBytes)) {
      fail(CommandErrorCode::kAbt);
      continue;
    }
    ++number_;
    parts_.events.write(CommandFetched{.number = number_, .command = command});
    if (const auto why = illegal(command)) {
      parts_.events.write(IllegalUse{.rule = *why, .detail = command.dw0});
      fail(CommandErrorCode::kIll);
      continue;
    }
    report_questionable(command);
    parts_.simulation.sleep_cycles(config_.command_latency_cycles);
    execute(command);
    registers.set(reg::kCmdqCons, smmuv3::QueueIndex::next(cons, log2));
  }
}

std::optional<std::string_view> CommandQueue::illegal(const Command& command) const {
  if (smmuv3::cmd0::Ssec::get(command.dw0) != 0) return "SSec set in a Non-secure command";
  switch (smmuv3::opcode_of(command)) {
    case Opcode::kTlbiEl2All:
    case Opcode::kTlbiEl2Asid:
    case Opcode::kTlbiEl2Va:
    case Opcode::kTlbiEl2Vaa:
      // Legal with IDR0.HYP only; accepted so that a host at EL2 can be modelled.
    case Opcode::kTlbiNhVa:
    case Opcode::kTlbiNhVaa:
      if (smmuv3::is_tlbi_by_address(smmuv3::opcode_of(command)) &&
          smmuv3::range_fault(command, features_.range_invalidation) ==
              smmuv3::RangeFault::kReserved) {
        return "TLBI with TG set and NUM = SCALE = TTL = 0 is reserved (IHI 0070, 4.4.1.1)";
      }
      return std::nullopt;
    case Opcode::kPrefetchConfig:
    case Opcode::kPrefetchAddr:
    case Opcode::kCfgiSte:
    case Opcode::kCfgiSteRange:
    case Opcode::kCfgiCd:
    case Opcode::kCfgiCdAll:
    case Opcode::kTlbiNhAll:
    case Opcode::kTlbiNhAsid:
    case Opcode::kTlbiNsnhAll:
      return std::nullopt;
    case Opcode::kAtcInv:
      if (!features_.ats) return "CMD_ATC_INV without IDR0.ATS";
      return std::nullopt;
    case Opcode::kResume:
    case Opcode::kStallTerm:
      if (!features_.stall_model) return "CMD_RESUME without the stall model (IDR0.STALL_MODEL)";
      return std::nullopt;
    case Opcode::kSync:
      if (smmuv3::cmd0::SyncSignal::get(command.dw0) == smmuv3::kSyncSignalIllegal) {
        return "CMD_SYNC with CS = 3 is reserved (IHI 0070, 4.7.3)";
      }
      return std::nullopt;
  }
  return "unknown command opcode";
}

void CommandQueue::report_questionable(const Command& command) {
  if (!smmuv3::is_tlbi_by_address(smmuv3::opcode_of(command))) return;
  switch (smmuv3::range_fault(command, features_.range_invalidation)) {
    case smmuv3::RangeFault::kMisaligned:
      parts_.events.write(IllegalUse{
          .rule = "TLBI range not aligned to its TTL: the effect is a free choice (IHI 0070, "
                  "4.4.1.1)",
          .detail = command.dw1});
      break;
    case smmuv3::RangeFault::kNotPresent:
      parts_.events.write(
          IllegalUse{.rule = "TLBI range fields used without IDR3.RIL (IHI 0070, 4.4.1.1)",
                     .detail = command.dw0});
      break;
    default:
      break;
  }
}

void CommandQueue::execute(const Command& command) {
  const Opcode opcode = smmuv3::opcode_of(command);
  if (smmuv3::is_tlbi(opcode)) {
    invalidations_.push_back(
        {smmuv3::decode_invalidation(command, features_.range_invalidation), number_});
    invalidator_.wake();
    return;
  }
  switch (opcode) {
    case Opcode::kCfgiSte:
    case Opcode::kCfgiSteRange:
    case Opcode::kCfgiCd:
    case Opcode::kCfgiCdAll:
      invalidate_configuration(command);
      break;
    case Opcode::kAtcInv:
      invalidate_atc(command);
      break;
    case Opcode::kResume:
      resume(command);
      break;
    case Opcode::kStallTerm:
      parts_.stalls.terminate(
          arch::StreamId{static_cast<std::uint32_t>(smmuv3::cmd0::Sid::get(command.dw0))});
      break;
    case Opcode::kSync:
      sync();
      break;
    default:
      break;  // prefetch is a hint
  }
}

void CommandQueue::invalidate_configuration(const Command& command) {
  const arch::StreamId sid{static_cast<std::uint32_t>(smmuv3::cmd0::Sid::get(command.dw0))};
  const arch::SubstreamId ssid{static_cast<std::uint32_t>(smmuv3::cmd0::Ssid::get(command.dw0))};
  switch (smmuv3::opcode_of(command)) {
    case Opcode::kCfgiSteRange: {
      const auto range = static_cast<unsigned>(smmuv3::cmd1::CfgiRange::get(command.dw1));
      if (range == smmuv3::kCfgiRangeAll) {
        parts_.configs.invalidate_all();
      } else {
        parts_.configs.invalidate_streams(sid, range + 1);
      }
      break;
    }
    case Opcode::kCfgiCd:
      parts_.configs.invalidate_substream(sid, ssid);
      break;
    default:
      parts_.configs.invalidate_streams(sid, 0);
      break;
  }
}

void CommandQueue::invalidate_atc(const Command& command) {
  const auto atc = atcs_.find(static_cast<std::uint32_t>(smmuv3::cmd0::Sid::get(command.dw0)));
  if (atc == atcs_.end() || !parts_.registers.enabled(smmuv3::cr0::Smmuen::kMask)) return;
  ++atc_pending_;
  atc->second->invalidate_atc(smmuv3::decode_atc_inv(command), number_, [this] {
    --atc_pending_;
    idle_.wake_all();
  });
}

void CommandQueue::resume(const Command& command) {
  using namespace smmuv3;  // command fields
  const StallAnswer answer = cmd0::ResumeRetry::get(command.dw0) != 0   ? StallAnswer::kRetry
                             : cmd0::ResumeAbort::get(command.dw0) != 0 ? StallAnswer::kAbort
                                                                        : StallAnswer::kRazWi;
  parts_.stalls.resume(arch::StreamId{static_cast<std::uint32_t>(cmd0::Sid::get(command.dw0))},
                       static_cast<std::uint16_t>(cmd1::Stag::get(command.dw1)), answer);
}

void CommandQueue::sync() {
  if (!config_.sync_ignores_invalidations) {
    while (invalidating_ || !invalidations_.empty()) idle_.wait();
    parts_.mmu.drain();
    while (atc_pending_ != 0) idle_.wait();
  }
  parts_.events.write(SyncCompleted{.number = number_});
}

void CommandQueue::invalidation_loop() {
  for (;;) {
    while (invalidations_.empty()) parts_.simulation.block();
    const PendingInvalidation next = invalidations_.front();
    invalidations_.pop_front();
    invalidating_ = true;
    parts_.mmu.invalidate(next.what, InvalidationCause::kCommand, next.number);
    invalidating_ = false;
    if (invalidations_.empty()) idle_.wake_all();
  }
}

void CommandQueue::fail(CommandErrorCode code) {
  RegisterFile& registers = parts_.registers;
  const auto rd = smmuv3::cmdq_cons::Rd::get(registers.get(reg::kCmdqCons));
  // The code is visible before the flag (IHI 0070, 4.1.3).
  registers.set(reg::kCmdqCons, static_cast<std::uint32_t>(
                                    smmuv3::cmdq_cons::Err::set(rd, static_cast<unsigned>(code))));
  registers.set(reg::kGerror, registers.get(reg::kGerror) ^
                                  static_cast<std::uint32_t>(smmuv3::gerror::CmdqErr::kMask));
  parts_.events.write(CommandError{.number = number_, .code = static_cast<unsigned>(code)});
  if (smmuv3::irq_ctrl::Gerror::get(registers.get(reg::kIrqCtrlAck)) != 0) {
    parts_.events.write(InterruptRaised{.line = "gerror"});
    parts_.gerror_interrupt.raise();
  }
}

void CommandQueue::reset() {
  invalidations_.clear();
  invalidating_ = false;
  idle_.reset();
  atc_pending_ = 0;
  number_ = 0;
}

}  // namespace shootdown::hw
