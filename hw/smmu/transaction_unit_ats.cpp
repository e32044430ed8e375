// ATS and PRI: translation requests, translated transactions, page requests.
#include "hw/smmu/fault_events.h"
#include "hw/smmu/transaction_unit.h"

namespace shootdown::hw {

namespace smmuv3 = arch::smmuv3;
namespace reg = arch::smmuv3::reg;
using smmuv3::EventType;

void TransactionUnit::refuse(Attempt& attempt, EventType type) {
  parts_.event_queue.write(address_event(source_of(attempt), type), false);
}

void TransactionUnit::refused(const Attempt& attempt, const Mmu::Outcome& outcome) {
  parts_.events.write(fault_of(attempt, outcome.fault(), event_type_of(outcome.fault()),
                               outcome.source, /*stalled=*/false));
}

void TransactionUnit::ats_failed(Attempt& attempt, const ConfigFault& fault) {
  const std::uint32_t cr2 = parts_.registers.get(reg::kCr2);
  // RECINVSID has a say in translation requests, not in translated traffic (3.9.1.2, 3.9.1.3).
  const bool hidden = fault.type == EventType::kCBadStreamid &&
                      attempt.stream.kind == StreamExtension::Kind::kTranslationRequest &&
                      smmuv3::cr2::RecInvSid::get(cr2) == 0;
  if (smmuv3::cr2::RecCfgAts::get(cr2) != 0 && !hidden) {
    parts_.event_queue.write(configuration_event(source_of(attempt), fault), false);
  }
  abort_transaction(attempt.trans);
}

void TransactionUnit::translated(tlm::tlm_generic_payload& trans,
                                 const StreamExtension& presented) {
  // Without IDR3.PASIDTT a PASID and what comes with it is no part of translated traffic.
  StreamExtension stream = presented;
  stream.substream_id.reset();
  stream.privileged = stream.instruction = false;
  Attempt attempt = begin(trans, stream);
  attempt.in_flight.emplace(parts_.mmu);
  if (!parts_.registers.enabled(smmuv3::cr0::Smmuen::kMask)) {
    refuse(attempt, EventType::kFTranslForbidden);
    return abort_transaction(trans);
  }
  if (parts_.registers.enabled(smmuv3::cr0::Atschk::kMask)) {
    const ConfigResult found = parts_.configs.find_stream_entry(stream.access_id, stream.stream_id);
    const auto* config = std::get_if<StreamConfig>(&found);
    if (config == nullptr) return ats_failed(attempt, *std::get_if<ConfigFault>(&found));
    if (config->kind == StreamConfig::Kind::kAbort) return abort_transaction(trans);
    if (config->ats == StreamConfig::Ats::kNone) {
      refuse(attempt, EventType::kFTranslForbidden);
      return abort_transaction(trans);
    }
    if (config->ats == StreamConfig::Ats::kSplitStage) {
      return translate_split_stage(attempt, *config);
    }
  }
  if (!in_range(trans.get_address())) return abort_transaction(trans);  // section 3.9.1.1
  forward(trans, arch::PhysAddr{trans.get_address()});
}

void TransactionUnit::translate_split_stage(Attempt& attempt, const StreamConfig& config) {
  apply(config, attempt);
  const Mmu::Outcome outcome = parts_.mmu.translate(attempt.stream.access_id, attempt.requester,
                                                    config.context, attempt.request);
  if (outcome.fault() == arch::FaultKind::kNone) {
    forward(attempt.trans, outcome.entry.translate(attempt.request.va));
    return;
  }
  refused(attempt, outcome);
  // EATS = 2 excludes S2S = 1: there is nobody to wait for.
  if (config.stage2_faults.record || !smmuv3::can_stall(event_type_of(outcome.fault()))) {
    parts_.event_queue.write(translation_event(source_of(attempt), outcome.problem),
                             config.merge_events);
  }
  abort_transaction(attempt.trans);
}

void TransactionUnit::translation_request(tlm::tlm_generic_payload& trans,
                                          StreamExtension& stream) {
  Attempt attempt = begin(trans, stream);
  attempt.request.access = stream.no_write ? arch::Access::kRead : arch::Access::kWrite;
  stream.answer = {};
  trans.set_response_status(tlm::TLM_OK_RESPONSE);
  attempt.in_flight.emplace(parts_.mmu);
  if (!parts_.registers.enabled(smmuv3::cr0::Smmuen::kMask)) {
    stream.answer.unsupported = true;
    refuse(attempt, EventType::kFBadAtsTreq);
    return;
  }
  const ConfigResult found =
      parts_.configs.find(stream.access_id, stream.stream_id, stream.substream_id);
  if (const auto* fault = std::get_if<ConfigFault>(&found)) {
    if (fault->stage2 && fault->type != EventType::kFWalkEabt) return;  // R = W = 0
    return ats_failed(attempt, *fault);                                 // completer abort
  }
  const StreamConfig& config = *std::get_if<StreamConfig>(&found);
  if (config.kind == StreamConfig::Kind::kAbort) {
    stream.answer.unsupported = true;
    return;
  }
  if (config.ats == StreamConfig::Ats::kNone) {
    stream.answer.unsupported = true;
    refuse(attempt, EventType::kFBadAtsTreq);
    return;
  }
  answer_translation(attempt, config);
}

void TransactionUnit::answer_translation(Attempt& attempt, const StreamConfig& config) {
  StreamExtension& stream = attempt.stream;
  // Priv and Exe come only with a PASID (section 13.7.1); Exe is asked for beside an access.
  const bool has_pasid = stream.substream_id.has_value();
  const bool execute = has_pasid && stream.instruction;
  attempt.requester.asid = config.context.stage1.space.asid;
  attempt.request.privileged = config.overrides.privileged.value_or(has_pasid && stream.privileged);
  attempt.request.instruction = false;
  if (config.kind == StreamConfig::Kind::kBypass) {  // S1DSS: the address is its own translation
    if (!in_range(attempt.request.va.value)) return;
    const Mmu::Outcome same = bypass(attempt.request.va);
    stream.answer.read = stream.answer.write = true;
    stream.answer.execute = execute;
    stream.answer.output = same.entry.output;
    return;
  }
  const auto translate = [&] {
    return parts_.mmu.translate(stream.access_id, attempt.requester, config.context,
                                attempt.request);
  };
  Mmu::Outcome outcome = translate();
  // What may not be written may be there to be read.
  if (outcome.fault() == arch::FaultKind::kPermission && !outcome.has_entry &&
      attempt.request.access == arch::Access::kWrite) {
    attempt.request.access = arch::Access::kRead;
    outcome = translate();
  }
  if (outcome.fault() == arch::FaultKind::kWalkAbort) {
    refused(attempt, outcome);
    if (smmuv3::cr2::RecCfgAts::get(parts_.registers.get(reg::kCr2)) != 0) {
      parts_.event_queue.write(translation_event(source_of(attempt), outcome.problem), false);
    }
    return abort_transaction(attempt.trans);
  }
  stream.answer.asid = attempt.requester.asid;
  // A missing translation is answered with R=W=0, missing permission with what there is: neither
  // is an error or an event (IHI 0070 section 3.9.1).
  const bool found = outcome.fault() == arch::FaultKind::kNone ||
                     (outcome.fault() == arch::FaultKind::kPermission && outcome.has_entry);
  if (found) {
    const TlbEntry& entry = outcome.entry;
    // In a split the endpoint gets an IPA, and stage 2 has its say again when it is used.
    const bool split = config.ats == StreamConfig::Ats::kSplitStage;
    const bool privileged = attempt.request.privileged;
    const auto granted = entry.permissions & entry.stage2;
    StreamExtension::Answer& answer = stream.answer;
    answer.read = granted.permits(arch::Access::kRead, privileged);
    answer.write = granted.permits(arch::Access::kWrite, privileged);
    answer.execute = execute && answer.read && granted.permits_fetch(privileged);
    // Where nothing is granted, the answer is about the smallest page.
    if (answer.read || answer.write) {
      answer.output = split ? arch::PhysAddr{entry.ipa.value} : entry.output;
      answer.page_shift = entry.page_shift;
    }
  }
  parts_.events.write(AtsAnswered{.access_id = stream.access_id,
                                  .requester = attempt.requester,
                                  .va = attempt.request.va,
                                  .read = stream.answer.read,
                                  .write = stream.answer.write});
}

bool TransactionUnit::has_ste(const StreamExtension& stream) {
  const ConfigResult found = parts_.configs.find_stream_entry(stream.access_id, stream.stream_id);
  const auto* fault = std::get_if<ConfigFault>(&found);
  return fault == nullptr || fault->type == EventType::kFStreamDisabled;
}

void TransactionUnit::page_request(tlm::tlm_generic_payload& trans, StreamExtension& stream) {
  stream.answer = {};
  auto response = parts_.pri_queue.push(stream.stream_id, stream.substream_id, stream.page_request);
  // Whether the answer has a PASID is for the STE to say (PPAR); without one there is no good
  // answer.
  if (response == PageResponse::kSuccess && stream.substream_id && !has_ste(stream)) {
    response = PageResponse::kFailure;
  }
  stream.answer.page_response = response;
  trans.set_response_status(tlm::TLM_OK_RESPONSE);
}

}  // namespace shootdown::hw
