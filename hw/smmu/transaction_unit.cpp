#include "hw/smmu/transaction_unit.h"

#include <cstring>

#include "hw/arch/check.h"
#include "hw/smmu/fault_events.h"

namespace shootdown::hw {

namespace smmuv3 = arch::smmuv3;
namespace reg = arch::smmuv3::reg;
using smmuv3::EventType;

namespace {

arch::Access access_of(const tlm::tlm_generic_payload& trans) {
  return trans.is_write() ? arch::Access::kWrite : arch::Access::kRead;
}

}  // namespace

void TransactionUnit::abort_transaction(tlm::tlm_generic_payload& trans) {
  trans.set_response_status(tlm::TLM_ADDRESS_ERROR_RESPONSE);
}

Mmu::Outcome TransactionUnit::bypass(arch::VirtAddr va) {
  Mmu::Outcome outcome;
  outcome.entry.page = arch::page_of(va);
  outcome.entry.output = {outcome.entry.page.value};
  outcome.source = TranslationSource::kBypass;
  return outcome;
}

// ---- Every transaction -----------------------------------------------------------------------

void TransactionUnit::transport(tlm::tlm_generic_payload& trans) {
  auto* stream = trans.get_extension<StreamExtension>();
  SHOOTDOWN_CHECK(stream != nullptr, "device transaction without a stream");
  switch (stream->kind) {
    case StreamExtension::Kind::kUntranslated:
    case StreamExtension::Kind::kPageFault:
      untranslated(trans, *stream);
      break;
    case StreamExtension::Kind::kTranslated:
      translated(trans, *stream);
      break;
    case StreamExtension::Kind::kTranslationRequest:
      translation_request(trans, *stream);
      break;
    case StreamExtension::Kind::kPageRequest:
      page_request(trans, *stream);
      break;
  }
}

TransactionUnit::Attempt TransactionUnit::begin(tlm::tlm_generic_payload& trans,
                                                StreamExtension& stream) {
  return {.trans = trans,
          .stream = stream,
          .requester = {.asid = {},
                        .stream_id = stream.stream_id,
                        .substream_id = stream.substream_id.value_or(arch::SubstreamId{})},
          .request = {.va = {trans.get_address()},
                      .access = access_of(trans),
                      .privileged = stream.privileged,
                      .instruction = stream.instruction && trans.is_read()},
          .stag = std::nullopt,
          .in_flight = std::nullopt};
}

void TransactionUnit::apply(const AccessOverrides& overrides, Attempt& attempt) {
  AccessRequest& request = attempt.request;
  request.privileged = overrides.privileged.value_or(attempt.stream.privileged);
  request.instruction = request.access == arch::Access::kRead &&
                        overrides.instruction.value_or(attempt.stream.instruction);
}

void TransactionUnit::apply(const StreamConfig& config, Attempt& attempt) {
  attempt.requester.asid = config.context.stage1.space.asid;
  apply(config.overrides, attempt);
}

EventSource TransactionUnit::source_of(const Attempt& attempt) const {
  return {.stream = attempt.stream,
          .address = {attempt.trans.get_address()},
          .access = attempt.request.access,
          .privileged = attempt.request.privileged,
          .instruction = attempt.request.instruction};
}

bool TransactionUnit::forward(tlm::tlm_generic_payload& trans, arch::PhysAddr pa) {
  sc_core::sc_time delay;
  const bool ok = parts_.bus.transport(trans.get_command(), pa, trans.get_data_ptr(),
                                       trans.get_data_length(), delay);
  parts_.simulation.sleep(delay);
  trans.set_response_status(ok ? tlm::TLM_OK_RESPONSE : tlm::TLM_ADDRESS_ERROR_RESPONSE);
  return ok;
}

// ---- Untranslated transactions ---------------------------------------------------------------

void TransactionUnit::untranslated(tlm::tlm_generic_payload& trans, StreamExtension& stream) {
  Attempt attempt = begin(trans, stream);
  run(attempt);
  // An early retry has ended the access; software's answer will find nobody waiting.
  if (attempt.stag) parts_.stalls.leave(*attempt.stag);
}

void TransactionUnit::run(Attempt& attempt) {
  tlm::tlm_generic_payload& trans = attempt.trans;
  // A retry is a transaction that arrives anew: configuration and translation are looked up again.
  for (;;) {
    parts_.simulation.choice(ChoiceKind::kTime);  // it may arrive later
    if (!parts_.registers.enabled(smmuv3::cr0::Smmuen::kMask)) {
      const std::uint32_t gbpa = parts_.registers.get(reg::kGbpa);
      const bool abort = smmuv3::gbpa::Abort::get(gbpa) != 0 || !in_range(trans.get_address());
      if (abort) {
        abort_transaction(trans);
      } else {
        complete(attempt, bypass(attempt.request.va));
      }
      return;
    }
    if (try_once(attempt) != End::kRetry) return;
  }
}

TransactionUnit::End TransactionUnit::try_once(Attempt& attempt) {
  attempt.in_flight.emplace(parts_.mmu);
  const ConfigResult found = parts_.configs.find(attempt.stream.access_id, attempt.stream.stream_id,
                                                 attempt.stream.substream_id);
  if (const auto* fault = std::get_if<ConfigFault>(&found)) {
    return configuration_failed(attempt, *fault);
  }
  const StreamConfig& config = *std::get_if<StreamConfig>(&found);
  if (config.kind == StreamConfig::Kind::kAbort) {
    abort_transaction(attempt.trans);
    return End::kTerminated;
  }
  apply(config, attempt);
  // What does not go through stage 1 has to be an address that stage 2, or the bus, can take.
  if (!config.context.has_stage1 || config.kind == StreamConfig::Kind::kBypass) {
    if (!in_range(attempt.request.va.value)) {
      Mmu::Outcome outcome;
      outcome.problem.type = arch::FaultKind::kAddressSize;
      return translation_failed(attempt, config, outcome);
    }
  }
  const Mmu::Outcome outcome =
      config.kind == StreamConfig::Kind::kBypass
          ? bypass(attempt.request.va)
          : parts_.mmu.translate(attempt.stream.access_id, attempt.requester, config.context,
                                 attempt.request);
  if (outcome.fault() != arch::FaultKind::kNone)
    return translation_failed(attempt, config, outcome);
  return complete(attempt, outcome);
}

TransactionUnit::End TransactionUnit::complete(Attempt& attempt, const Mmu::Outcome& outcome) {
  // The tag byte is no part of the address that was translated, nor of the offset in the page.
  AccessDone done{.access_id = attempt.stream.access_id,
                  .requester = attempt.requester,
                  .va = attempt.request.va,
                  .pa = outcome.entry.translate(attempt.request.va),
                  .access = attempt.request.access,
                  .source = outcome.source,
                  .bytes = 0,
                  .translated_ps = parts_.simulation.now_ps()};
  if (attempt.stream.kind == StreamExtension::Kind::kPageFault) {
    attempt.trans.set_response_status(tlm::TLM_OK_RESPONSE);
  } else if (forward(attempt.trans, done.pa)) {
    done.bytes = attempt.trans.get_data_length();
  }
  parts_.events.write(done);
  return End::kDone;
}

// ---- Faults ----------------------------------------------------------------------------------

TransactionUnit::End TransactionUnit::terminate(Attempt& attempt, const FaultPolicy& policy) {
  if (policy.abort) {
    abort_transaction(attempt.trans);
    return End::kTerminated;
  }
  if (attempt.trans.is_read()) {
    std::memset(attempt.trans.get_data_ptr(), 0, attempt.trans.get_data_length());
  }
  attempt.trans.set_response_status(tlm::TLM_OK_RESPONSE);
  return End::kTerminated;
}

TranslationFault TransactionUnit::fault_of(const Attempt& attempt, arch::FaultKind kind,
                                           EventType type, TranslationSource source, bool stalled) {
  return {.access_id = attempt.stream.access_id,
          .requester = attempt.requester,
          .va = attempt.request.va,
          .access = attempt.request.access,
          .type = kind,
          .text = name_of(type),
          .source = source,
          .stalled = stalled,
          .stag = 0};
}

TransactionUnit::End TransactionUnit::configuration_failed(Attempt& attempt,
                                                           const ConfigFault& fault) {
  apply(fault.overrides, attempt);
  const smmuv3::EventRecord event = configuration_event(source_of(attempt), fault);
  if (fault.stage2 && smmuv3::can_stall(fault.type)) {
    const TranslationFault published = fault_of(attempt, fault_kind_of(fault.type), fault.type,
                                                TranslationSource::kWalk, fault.policy.stall);
    if (fault.policy.stall) return stall(attempt, event, published);
    parts_.events.write(published);
    if (fault.policy.record && !attempt.stag) parts_.event_queue.write(event, false);
    return terminate(attempt, fault.policy);
  }
  const bool silent = fault.type == EventType::kCBadStreamid &&
                      smmuv3::cr2::RecInvSid::get(parts_.registers.get(reg::kCr2)) == 0;
  if (!silent && !attempt.stag) parts_.event_queue.write(event, false);
  abort_transaction(attempt.trans);
  return End::kTerminated;
}

TransactionUnit::End TransactionUnit::translation_failed(Attempt& attempt,
                                                         const StreamConfig& config,
                                                         const Mmu::Outcome& outcome) {
  const TranslationProblem& problem = outcome.problem;
  // Everything but the four translation faults is recorded and aborted whatever the policy says;
  // so is an address too large for a stage 1 that is not there.
  const bool governed = smmuv3::can_stall(event_type_of(problem.type)) &&
                        (problem.stage2 || config.context.has_stage1) &&
                        config.kind == StreamConfig::Kind::kTranslate;
  const FaultPolicy policy = !governed ? FaultPolicy{.stall = false, .record = true, .abort = true}
                             : problem.stage2 ? config.stage2_faults
                                              : config.stage1_faults;
  const TranslationFault published =
      fault_of(attempt, problem.type, event_type_of(problem.type), outcome.source, policy.stall);
  const smmuv3::EventRecord event = translation_event(source_of(attempt), problem);
  if (policy.stall) return stall(attempt, event, published);
  parts_.events.write(published);
  // An early retry has had its event (section 3.12.2.2).
  if (policy.record && !attempt.stag) parts_.event_queue.write(event, config.merge_events);
  return terminate(attempt, policy);
}

TransactionUnit::End TransactionUnit::hold(Attempt& attempt) {
  // What cannot be reported now waits outside the in-flight set, because a CMD_SYNC must not wait
  // for software, and is tried again from the start: its translation may have been invalidated
  // meanwhile.
  parts_.events.write(AccessHeld{.access_id = attempt.stream.access_id});
  attempt.in_flight.reset();
  if (parts_.stalls.wait_unreported(attempt.stream.stream_id)) return End::kRetry;
  return terminate(attempt, {.abort = true});
}

TransactionUnit::End TransactionUnit::stall(Attempt& attempt, const smmuv3::EventRecord& event,
                                            TranslationFault published) {
  if (attempt.stag) {  // a failed early retry is not reported again
    parts_.events.write(AccessHeld{.access_id = attempt.stream.access_id});
    return wait_for_answer(attempt);
  }
  if (!parts_.event_queue.writable()) return hold(attempt);
  const StallKey key{.stream_id = attempt.stream.stream_id,
                     .substream_id = attempt.stream.substream_id,
                     .page = arch::page_of(attempt.request.va).value,
                     .access = attempt.request.access,
                     .privileged = attempt.request.privileged,
                     .instruction = attempt.request.instruction};
  if (choices_.suppress_duplicates && parts_.stalls.has_alike(key)) return hold(attempt);
  attempt.stag = parts_.stalls.allocate(key);
  if (!attempt.stag) return hold(attempt);
  published.stag = *attempt.stag;
  smmuv3::EventRecord record = event;
  record[1] |= smmuv3::event1::Stall::of(1) | smmuv3::event1::Stag::of(*attempt.stag);
  if (parts_.event_queue.write_stalled(record, published) == EventQueue::Written::kNotWritable) {
    // Software may have terminated it meanwhile, by its stream.
    if (parts_.stalls.answered(*attempt.stag)) {
      parts_.events.write(published);
      return wait_for_answer(attempt);
    }
    parts_.stalls.cancel(*attempt.stag);
    attempt.stag.reset();
    return hold(attempt);
  }
  // A record that the bus refused is lost, and the stall waits for CMD_STALL_TERM (section 7.2.2).
  return wait_for_answer(attempt);
}

TransactionUnit::End TransactionUnit::wait_for_answer(Attempt& attempt) {
  attempt.in_flight.reset();  // stalled transactions do not hold up CMD_SYNC
  const std::uint64_t early_ps =
      parts_.simulation.clock_period().value() * choices_.early_retry_cycles;
  const auto answer = parts_.stalls.wait(*attempt.stag, early_ps);
  if (!answer) return End::kRetry;
  const std::uint16_t stag = *attempt.stag;
  attempt.stag.reset();
  parts_.events.write(StallResumed{.access_id = attempt.stream.access_id,
                                   .stream_id = attempt.stream.stream_id,
                                   .stag = stag,
                                   .retry = *answer == StallAnswer::kRetry});
  if (*answer == StallAnswer::kRetry) return End::kRetry;
  // CMD_RESUME says how it ends, not CD.A.
  return terminate(attempt, {.abort = *answer == StallAnswer::kAbort});
}

}  // namespace shootdown::hw
