#include "hw/smmu/command_queue.h"

#include <algorithm>

#include "hw/smmu/command_rules.h"

namespace shootdown::hw {

namespace smmuv3 = arch::smmuv3;
namespace reg = arch::smmuv3::reg;
namespace cmd0 = arch::smmuv3::cmd0;
namespace cmd1 = arch::smmuv3::cmd1;
using smmuv3::Command;
using smmuv3::CommandErrorCode;
using smmuv3::Opcode;

namespace {

arch::StreamId stream_of(const Command& command) {
  return arch::StreamId{static_cast<std::uint32_t>(cmd0::Sid::get(command.dw0))};
}
std::optional<arch::SubstreamId> substream_of(const Command& command) {
  if (cmd0::Ssv::get(command.dw0) == 0) return std::nullopt;
  return arch::SubstreamId{static_cast<std::uint32_t>(cmd0::Ssid::get(command.dw0))};
}

}  // namespace

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

unsigned CommandQueue::log2_size() const {
  const auto wanted = smmuv3::queue_base::Log2Size::get(parts_.registers.get(reg::kCmdqBase));
  return std::min(static_cast<unsigned>(wanted), features_.command_queue_log2);
}

arch::PhysAddr CommandQueue::slot_address(std::uint32_t cons) const {
  const std::uint64_t bytes = parts_.align_queue ? smmuv3::kCommandBytes << log2_size() : 0;
  const std::uint64_t base = smmuv3::queue_start(parts_.registers.get64(reg::kCmdqBase), bytes);
  return {base + smmuv3::QueueIndex::slot(cons, log2_size()) * smmuv3::kCommandBytes};
}

bool CommandQueue::runnable() const {
  const RegisterFile& registers = parts_.registers;
  return registers.enabled(smmuv3::cr0::Cmdqen::kMask) &&
         smmuv3::gerror::CmdqErr::get(registers.active_errors()) == 0 &&
         !smmuv3::QueueIndex::empty(registers.get(reg::kCmdqProd), registers.get(reg::kCmdqCons),
                                    log2_size());
}

void CommandQueue::fetch_loop() {
  for (;;) {
    while (!runnable()) parts_.simulation.block();
    executing_ = true;
    step();
    executing_ = false;
    idle_.wake_all();
  }
}

void CommandQueue::drain() {
  while (executing_) idle_.wait();
}

void CommandQueue::step() {
  parts_.simulation.choice(ChoiceKind::kCommand);
  if (!runnable()) return;
  RegisterFile& registers = parts_.registers;
  const auto cons =
      static_cast<std::uint32_t>(smmuv3::cmdq_cons::Rd::get(registers.get(reg::kCmdqCons)));
  ++number_;  // one that cannot be read has a number too: its error is no other command's
  Command command;
  if (!parts_.bus.read(slot_address(cons), &command, smmuv3::kCommandBytes)) {
    return fail(CommandErrorCode::kAbt);
  }
  parts_.events.write(
      CommandFetched{.number = number_, .command = smmuv3::describe(command, rules())});
  if (const auto why = why_illegal(command, features_)) {
    parts_.events.write(IllegalUse{.rule = *why, .detail = {command.dw0}});
    return fail(CommandErrorCode::kIll);
  }
  if (const auto why = why_questionable(command, features_)) {
    parts_.events.write(IllegalUse{.rule = *why, .detail = {command.dw1}});
  }
  parts_.simulation.sleep_cycles(config_.command_latency_cycles);
  if (!execute(command)) return;
  registers.set(reg::kCmdqCons, smmuv3::QueueIndex::next(cons, log2_size()));
  // Who sees the interrupt sees that the command is consumed (section 3.18).
  if (smmuv3::opcode_of(command) == Opcode::kSync) signal(command);
}

smmuv3::InvalidationRules CommandQueue::rules() const {
  return {.range_invalidation = features_.range_invalidation,
          .stage2 = features_.stage2,
          .e2h = smmuv3::cr2::E2h::get(parts_.registers.get(reg::kCr2)) != 0};
}

bool CommandQueue::execute(const Command& command) {
  const Opcode opcode = smmuv3::opcode_of(command);
  if (smmuv3::is_tlbi(opcode)) {
    invalidate_translations(command);
    return true;
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
    case Opcode::kPriResp:
      answer_page_request(command);
      break;
    case Opcode::kResume:
      resume(command);
      break;
    case Opcode::kStallTerm:
      parts_.stalls.terminate(stream_of(command));
      break;
    case Opcode::kSync:
      return sync();
    default:
      break;  // prefetch is a hint
  }
  return true;
}

void CommandQueue::invalidate_translations(const Command& command) {
  const RegisterFile& registers = parts_.registers;
  arch::Invalidation what = smmuv3::decode_invalidation(command, rules());
  what.vmid_wildcard_bits = static_cast<std::uint8_t>(
      std::min<std::uint64_t>(smmuv3::cr0::Vmw::get(registers.get(reg::kCr0Ack)), 4));
  invalidations_.push_back({what, number_});
  invalidator_.wake();
}

void CommandQueue::invalidate_configuration(const Command& command) {
  const arch::StreamId sid = stream_of(command);
  const arch::SubstreamId ssid{static_cast<std::uint32_t>(cmd0::Ssid::get(command.dw0))};
  const bool leaf = cmd1::Leaf::get(command.dw1) != 0;
  switch (smmuv3::opcode_of(command)) {
    case Opcode::kCfgiSteRange: {
      const auto range = static_cast<unsigned>(cmd1::CfgiRange::get(command.dw1));
      if (range == smmuv3::kCfgiRangeAll) {
        parts_.configs.invalidate_all();
      } else {
        parts_.configs.invalidate_streams(sid, range + 1, /*leaf=*/false);
      }
      break;
    }
    case Opcode::kCfgiCd:
      parts_.configs.invalidate_cd(sid, ssid, leaf);
      break;
    case Opcode::kCfgiCdAll:
      parts_.configs.invalidate_cds(sid);
      break;
    default:
      parts_.configs.invalidate_streams(sid, 0, leaf);
      break;
  }
}

void CommandQueue::invalidate_atc(const Command& command) {
  const auto atc = atcs_.find(stream_of(command).value);
  if (atc == atcs_.end() || !parts_.registers.enabled(smmuv3::cr0::Smmuen::kMask)) return;
  ++atc_.waiting;
  atc_.deadline_ps = parts_.simulation.now_ps() +
                     parts_.simulation.clock_period().value() * config_.atc_timeout_cycles;
  // G: whatever the PASID.
  const auto substream =
      cmd0::AtcGlobal::get(command.dw0) != 0 ? std::nullopt : substream_of(command);
  atc->second->invalidate_atc(smmuv3::decode_atc_inv(command), substream, number_,
                              [this, round = atc_round_] {
                                if (round != atc_round_) return;
                                --atc_.waiting;
                                idle_.wake_all();
                              });
}

bool CommandQueue::wait_for_atcs() {
  while (atc_.waiting != 0) {
    const std::uint64_t now = parts_.simulation.now_ps();
    if (now >= atc_.deadline_ps) return false;
    idle_.wait_for_ps(atc_.deadline_ps - now);
  }
  return true;
}

void CommandQueue::answer_page_request(const Command& command) {
  const auto atc = atcs_.find(stream_of(command).value);
  if (atc == atcs_.end() || !parts_.registers.enabled(smmuv3::cr0::Smmuen::kMask)) return;
  atc->second->page_response(substream_of(command),
                             static_cast<unsigned>(cmd1::PrgIndex::get(command.dw1)),
                             static_cast<PageResponse>(cmd1::PriResponse::get(command.dw1)));
}

void CommandQueue::resume(const Command& command) {
  // Where everything that is terminated is aborted, Ab is not looked at.
  const bool abort = cmd0::ResumeAbort::get(command.dw0) != 0 || features_.abort_only;
  const StallAnswer answer = cmd0::ResumeRetry::get(command.dw0) != 0 ? StallAnswer::kRetry
                             : abort                                  ? StallAnswer::kAbort
                                                                      : StallAnswer::kRazWi;
  parts_.stalls.resume(stream_of(command), static_cast<std::uint16_t>(cmd1::Stag::get(command.dw1)),
                       answer);
}

bool CommandQueue::sync() {
  if (!config_.sync_ignores_invalidations) {
    while (invalidating_ || !invalidations_.empty()) idle_.wait();
    parts_.mmu.drain();
    if (!wait_for_atcs()) {
      // Which of them failed is not known. The next attempt has nothing to wait for.
      ++atc_round_;
      atc_ = {};
      fail(CommandErrorCode::kAtcInvSync);
      return false;
    }
  }
  parts_.events.write(SyncCompleted{.number = number_});
  parts_.simulation.choice(ChoiceKind::kCommand);  // CONS may move later
  return true;
}

void CommandQueue::signal(const Command& command) {
  if (cmd0::SyncSignal::get(command.dw0) == smmuv3::kSyncSignalInterrupt) {
    const arch::PhysAddr address{features_.msi ? cmd1::MsiAddress::get(command.dw1) : 0};
    parts_.interrupts.sync_completed(
        address, static_cast<std::uint32_t>(cmd0::SyncMsiData::get(command.dw0)));
  }
}

void CommandQueue::invalidation_loop() {
  for (;;) {
    while (invalidations_.empty()) parts_.simulation.block();
    invalidating_ = true;
    parts_.simulation.choice(ChoiceKind::kCommand);
    const PendingInvalidation next = invalidations_.front();
    invalidations_.pop_front();
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
  parts_.events.write(CommandError{.number = number_,
                                   .code = static_cast<unsigned>(code),
                                   .text = name_of(code),
                                   .timeout = code == CommandErrorCode::kAtcInvSync});
  parts_.interrupts.error(smmuv3::gerror::CmdqErr::kMask);
}

void CommandQueue::reset() {
  invalidations_.clear();
  invalidating_ = executing_ = false;
  idle_.reset();
  atc_ = {};
  atc_round_ = 0;
  number_ = 0;
}

}  // namespace shootdown::hw
