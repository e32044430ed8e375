#include "hw/smmu/client.h"

#include <cstring>

#include "hw/arch/check.h"

namespace shootdown::hw {

namespace smmuv3 = arch::smmuv3;
namespace reg = arch::smmuv3::reg;
using smmuv3::EventType;

namespace {

arch::Access access_of(const tlm::tlm_generic_payload& trans) {
  return trans.is_write() ? arch::Access::kWrite : arch::Access::kRead;
}

}  // namespace

void Client::abort_transaction(tlm::tlm_generic_payload& trans) {
  trans.set_response_status(tlm::TLM_ADDRESS_ERROR_RESPONSE);
}

Mmu::Outcome Client::bypass(arch::VirtAddr va) {
  Mmu::Outcome outcome;
  outcome.entry.page = arch::page_of(va);
  outcome.entry.output = {outcome.entry.page.value};
  outcome.source = TranslationSource::kBypass;
  return outcome;
}

// ---- Every transaction -----------------------------------------------------------------------

void Client::transport(tlm::tlm_generic_payload& trans) {
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

Client::Attempt Client::begin(tlm::tlm_generic_payload& trans, StreamExtension& stream) {
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

void Client::apply(const AccessOverrides& overrides, Attempt& attempt) {
  AccessRequest& request = attempt.request;
  request.privileged = overrides.privileged.value_or(attempt.stream.privileged);
  request.instruction = request.access == arch::Access::kRead &&
                        overrides.instruction.value_or(attempt.stream.instruction);
}

void Client::apply(const StreamConfig& config, Attempt& attempt) {
  attempt.requester.asid = config.context.stage1.space.asid;
  apply(config.overrides, attempt);
}

EventSource Client::source_of(const Attempt& attempt) const {
  return {.stream = attempt.stream,
          .address = {attempt.trans.get_address()},
          .access = attempt.request.access,
          .privileged = attempt.request.privileged,
          .instruction = attempt.request.instruction};
}

bool Client::forward(tlm::tlm_generic_payload& trans, arch::PhysAddr pa) {
  sc_core::sc_time delay;
  const bool ok = parts_.bus.transport(trans.get_command(), pa, trans.get_data_ptr(),
                                       trans.get_data_length(), delay);
  parts_.simulation.sleep(delay);
  trans.set_response_status(ok ? tlm::TLM_OK_RESPONSE : tlm::TLM_ADDRESS_ERROR_RESPONSE);
  return ok;
}

// ---- Untranslated transactions ---------------------------------------------------------------

void Client::untranslated(tlm::tlm_generic_payload& trans, StreamExtension& stream) {
  Attempt access = begin(trans, stream);
  run(access);
  // An early retry has ended the access; software's answer will find nobody waiting.
  if (access.stag) parts_.stalls.leave(*access.stag);
}

void Client::run(Attempt& access) {
  tlm::tlm_generic_payload& trans = access.trans;
  // A retry is a transaction that arrives anew: configuration and translation are looked up again.
  for (;;) {
    if (!parts_.registers.enabled(smmuv3::cr0::Smmuen::kMask)) {
      const std::uint32_t gbpa = parts_.registers.get(reg::kGbpa);
      const bool abort = smmuv3::gbpa::Abort::get(gbpa) != 0 || !in_range(trans.get_address());
      if (abort) {
        abort_transaction(trans);
      } else {
        complete(access, bypass(access.request.va));
      }
      return;
    }
    if (attempt(access) != End::kRetry) return;
  }
}

Client::End Client::attempt(Attempt& access) {
  access.in_flight.emplace(parts_.mmu);
  const ConfigResult found = parts_.configs.find(access.stream.access_id, access.stream.stream_id,
                                                 access.stream.substream_id);
  if (const auto* fault = std::get_if<ConfigFault>(&found)) {
    return configuration_failed(access, *fault);
  }
  const StreamConfig& config = *std::get_if<StreamConfig>(&found);
  if (config.kind == StreamConfig::Kind::kAbort) {
    abort_transaction(access.trans);
    return End::kTerminated;
  }
  apply(config, access);
  // What does not go through stage 1 has to be an address that stage 2, or the bus, can take.
  if (!config.context.has_stage1 || config.kind == StreamConfig::Kind::kBypass) {
    if (!in_range(access.request.va.value)) {
      Mmu::Outcome outcome;
      outcome.problem.type = EventType::kFAddrSize;
      return translation_failed(access, config, outcome);
    }
  }
  const Mmu::Outcome outcome = config.kind == StreamConfig::Kind::kBypass
                                   ? bypass(access.request.va)
                                   : parts_.mmu.translate(access.stream.access_id, access.requester,
                                                          config.context, access.request);
  if (outcome.fault() != EventType::kNone) return translation_failed(access, config, outcome);
  return complete(access, outcome);
}

Client::End Client::complete(Attempt& access, const Mmu::Outcome& outcome) {
  // The tag byte is no part of the address that was translated, nor of the offset in the page.
  AccessDone done{.access_id = access.stream.access_id,
                  .requester = access.requester,
                  .va = access.request.va,
                  .pa = outcome.entry.translate(access.request.va),
                  .access = access.request.access,
                  .source = outcome.source,
                  .bytes = 0,
                  .translated_ps = parts_.simulation.now_ps()};
  if (access.stream.kind == StreamExtension::Kind::kPageFault) {
    access.trans.set_response_status(tlm::TLM_OK_RESPONSE);
  } else if (forward(access.trans, done.pa)) {
    done.bytes = access.trans.get_data_length();
  }
  parts_.events.write(done);
  return End::kDone;
}

// ---- Faults ----------------------------------------------------------------------------------

Client::End Client::terminate(Attempt& access, const FaultPolicy& policy) {
  if (policy.abort) {
    abort_transaction(access.trans);
    return End::kTerminated;
  }
  if (access.trans.is_read()) {
    std::memset(access.trans.get_data_ptr(), 0, access.trans.get_data_length());
  }
  access.trans.set_response_status(tlm::TLM_OK_RESPONSE);
  return End::kTerminated;
}

Client::End Client::configuration_failed(Attempt& access, const ConfigFault& fault) {
  apply(fault.overrides, access);
  const smmuv3::EventRecord event = configuration_event(source_of(access), fault);
  if (fault.stage2 && smmuv3::can_stall(fault.type)) {
    const TranslationFault published{.access_id = access.stream.access_id,
                                     .requester = access.requester,
                                     .va = access.request.va,
                                     .access = access.request.access,
                                     .type = fault.type,
                                     .source = TranslationSource::kWalk,
                                     .stalled = fault.policy.stall,
                                     .stag = 0};
    if (fault.policy.stall) return stall(access, event, published);
    parts_.events.write(published);
    if (fault.policy.record && !access.stag) parts_.event_queue.write(event, false, false);
    return terminate(access, fault.policy);
  }
  const bool silent = fault.type == EventType::kCBadStreamid &&
                      smmuv3::cr2::RecInvSid::get(parts_.registers.get(reg::kCr2)) == 0;
  if (!silent && !access.stag) parts_.event_queue.write(event, false, false);
  abort_transaction(access.trans);
  return End::kTerminated;
}

Client::End Client::translation_failed(Attempt& access, const StreamConfig& config,
                                       const Mmu::Outcome& outcome) {
  const TranslationProblem& problem = outcome.problem;
  // Everything but the four translation faults is recorded and aborted whatever the policy says;
  // so is an address too large for a stage 1 that is not there.
  const bool governed = smmuv3::can_stall(problem.type) &&
                        (problem.stage2 || config.context.has_stage1) &&
                        config.kind == StreamConfig::Kind::kTranslate;
  const FaultPolicy policy = !governed ? FaultPolicy{.stall = false, .record = true, .abort = true}
                             : problem.stage2 ? config.stage2_faults
                                              : config.stage1_faults;
  const TranslationFault published{.access_id = access.stream.access_id,
                                   .requester = access.requester,
                                   .va = access.request.va,
                                   .access = access.request.access,
                                   .type = problem.type,
                                   .source = outcome.source,
                                   .stalled = policy.stall,
                                   .stag = 0};
  const smmuv3::EventRecord event = translation_event(source_of(access), problem);
  if (policy.stall) return stall(access, event, published);
  parts_.events.write(published);
  // An early retry has had its event (section 3.12.2.2).
  if (policy.record && !access.stag) parts_.event_queue.write(event, false, config.merge_events);
  return terminate(access, policy);
}

Client::End Client::hold(Attempt& access) {
  // What cannot be reported now waits outside the in-flight set, because a CMD_SYNC must not wait
  // for software, and is tried again from the start: its translation may have been invalidated
  // meanwhile.
  parts_.events.write(AccessHeld{.access_id = access.stream.access_id});
  access.in_flight.reset();
  if (parts_.stalls.wait_unreported(access.stream.stream_id)) return End::kRetry;
  return terminate(access, {.abort = true});
}

Client::End Client::stall(Attempt& access, const smmuv3::EventRecord& event,
                          TranslationFault published) {
  if (access.stag) return wait_for_answer(access);  // a failed early retry says nothing
  if (!parts_.event_queue.writable()) return hold(access);
  const StallKey key{.stream_id = access.stream.stream_id,
                     .substream_id = access.stream.substream_id,
                     .page = arch::page_of(access.request.va).value,
                     .access = access.request.access,
                     .privileged = access.request.privileged,
                     .instruction = access.request.instruction};
  if (choices_.suppress_duplicates && parts_.stalls.has_alike(key)) return hold(access);
  access.stag = parts_.stalls.allocate(key);
  if (!access.stag) return hold(access);
  published.stag = *access.stag;
  parts_.events.write(published);
  smmuv3::EventRecord record = event;
  record[1] |= smmuv3::event1::Stall::of(1) | smmuv3::event1::Stag::of(*access.stag);
  if (parts_.event_queue.write(record, true, false) == EventQueue::Written::kNotWritable) {
    parts_.stalls.cancel(*access.stag);
    access.stag.reset();
    return hold(access);
  }
  // A record that the bus refused is lost, and the stall waits for CMD_STALL_TERM (section 7.2.2).
  return wait_for_answer(access);
}

Client::End Client::wait_for_answer(Attempt& access) {
  access.in_flight.reset();  // stalled transactions do not hold up CMD_SYNC
  const std::uint64_t early_ps =
      parts_.simulation.clock_period().value() * choices_.early_retry_cycles;
  const auto answer = parts_.stalls.wait(*access.stag, early_ps);
  if (!answer) return End::kRetry;
  const std::uint16_t stag = *access.stag;
  access.stag.reset();
  parts_.events.write(StallResumed{.access_id = access.stream.access_id,
                                   .stream_id = access.stream.stream_id,
                                   .stag = stag,
                                   .retry = *answer == StallAnswer::kRetry});
  if (*answer == StallAnswer::kRetry) return End::kRetry;
  // CMD_RESUME says how it ends, not CD.A.
  return terminate(access, {.abort = *answer == StallAnswer::kAbort});
}

}  // namespace shootdown::hw
