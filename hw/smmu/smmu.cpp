#include "hw/smmu/smmu.h"

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

Requester requester_of(const StreamExtension& stream, const StreamConfig& config) {
  return {.asid = config.context.asid,
          .stream_id = stream.stream_id,
          .substream_id = stream.substream_id.value_or(arch::SubstreamId{})};
}

Mmu::Outcome bypass(arch::VirtAddr va) {
  return {.fault = EventType::kNone,
          .entry = {.page = arch::page_of(va), .output = {arch::page_of(va).value}},
          .source = TranslationSource::kBypass};
}

smmuv3::EventRecord make_record(EventType type, const StreamExtension& stream, arch::VirtAddr va,
                                arch::Access access) {
  using namespace smmuv3;  // event fields
  EventRecord record{};
  record[0] =
      event0::Type::of(static_cast<unsigned>(type)) | event0::Sid::of(stream.stream_id.value);
  if (stream.substream_id) {
    record[0] |= event0::Ssv::of(1) | event0::Ssid::of(stream.substream_id->value);
  }
  if (can_stall(type) || type == EventType::kFWalkEabt) {
    record[1] = event1::Rnw::of(access == arch::Access::kRead) |
                event1::Class::of(type == EventType::kFWalkEabt ? kClassTableWalk : kClassInput);
    record[2] = va.value;
  } else if (type == EventType::kFBadAtsTreq || type == EventType::kFTranslForbidden) {
    record[1] = event1::Rnw::of(access == arch::Access::kRead);
    record[2] = va.value;
  }
  return record;
}

}  // namespace

Smmu::Smmu(const sc_core::sc_module_name& name, Simulation& simulation, DvmNetwork& dvm,
           const SmmuConfig& config, TlbEngine* engine)
    : sc_core::sc_module(name),
      bus("bus", simulation),
      simulation_(simulation),
      config_(config),
      registers_(config.features, config.queues,
                 [this](std::string_view rule, std::uint32_t offset) {
                   events.write(IllegalUse{.rule = rule, .detail = offset});
                 }),
      mmu_(simulation, bus, events, config.mmu, engine),
      configs_(config.config_cache_entries),
      stalls_(simulation, config.queues.stall_max),
      event_queue_(simulation, bus, events, registers_, event_interrupt, gerror_interrupt),
      commands_("cmdq",
                {.simulation = simulation,
                 .bus = bus,
                 .events = events,
                 .registers = registers_,
                 .mmu = mmu_,
                 .configs = configs_,
                 .stalls = stalls_,
                 .gerror_interrupt = gerror_interrupt},
                config.features, config.commands) {
  if (config.features.broadcast) dvm.attach(*this, this->name());
}

// ---- Registers -------------------------------------------------------------------------------

void Smmu::register_transport(tlm::tlm_generic_payload& trans, sc_core::sc_time& delay) {
  delay += simulation_.clock_period() * config_.register_latency_cycles;
  const auto offset = static_cast<std::uint32_t>(trans.get_address());
  const unsigned bytes = trans.get_data_length();
  if ((bytes != 4 && bytes != 8) || offset % bytes != 0) {
    trans.set_response_status(tlm::TLM_BURST_ERROR_RESPONSE);
    return;
  }
  std::uint64_t value = 0;
  if (trans.is_read()) {
    value = registers_.read(offset, bytes);
    std::memcpy(trans.get_data_ptr(), &value, bytes);
  } else {
    std::memcpy(&value, trans.get_data_ptr(), bytes);
    registers_.write(offset, value, bytes);
    register_written(offset);
  }
  trans.set_response_status(tlm::TLM_OK_RESPONSE);
}

void Smmu::register_written(std::uint32_t offset) {
  switch (offset) {
    case reg::kCr0:
      write_cr0();
      break;
    case reg::kIrqCtrl:
      registers_.set(reg::kIrqCtrlAck, registers_.get(reg::kIrqCtrl));
      break;
    case reg::kGbpa: {
      const std::uint32_t value = registers_.get(reg::kGbpa);
      registers_.set(reg::kGbpa, value & ~static_cast<std::uint32_t>(smmuv3::gbpa::Update::kMask));
      break;
    }
    case reg::kCmdqProd:
    case reg::kGerrorN:
      commands_.software_moved();
      break;
    case reg::kEventqCons:
      event_queue_.software_moved();
      break;
    default:
      break;
  }
}

void Smmu::write_cr0() {
  const std::uint32_t before = registers_.get(reg::kCr0Ack);
  const std::uint32_t now = registers_.get(reg::kCr0);
  registers_.set(reg::kCr0Ack, now);
  if (smmuv3::cr0::Smmuen::get(before) != 0 && smmuv3::cr0::Smmuen::get(now) == 0) {
    stalls_.terminate(std::nullopt);
  }
  commands_.software_moved();
  event_queue_.software_moved();
}

// ---- Device transactions ---------------------------------------------------------------------

void Smmu::device_transport(tlm::tlm_generic_payload& trans, sc_core::sc_time&) {
  auto* stream = trans.get_extension<StreamExtension>();
  SHOOTDOWN_CHECK(stream != nullptr, "device transaction without a stream");
  switch (stream->kind) {
    case StreamExtension::Kind::kUntranslated:
    case StreamExtension::Kind::kPageRequest:
      untranslated(trans, *stream);
      break;
    case StreamExtension::Kind::kTranslated:
      translated(trans, *stream);
      break;
    case StreamExtension::Kind::kTranslationRequest:
      translation_request(trans, *stream);
      break;
  }
}

void Smmu::terminate(tlm::tlm_generic_payload& trans, bool abort) {
  if (abort) {
    trans.set_response_status(tlm::TLM_ADDRESS_ERROR_RESPONSE);
    return;
  }
  if (trans.is_read()) std::memset(trans.get_data_ptr(), 0, trans.get_data_length());
  trans.set_response_status(tlm::TLM_OK_RESPONSE);
}

bool Smmu::forward(tlm::tlm_generic_payload& trans, arch::PhysAddr pa) {
  sc_core::sc_time delay;
  const bool ok =
      bus.transport(trans.get_command(), pa, trans.get_data_ptr(), trans.get_data_length(), delay);
  simulation_.sleep(delay);
  trans.set_response_status(ok ? tlm::TLM_OK_RESPONSE : tlm::TLM_ADDRESS_ERROR_RESPONSE);
  return ok;
}

void Smmu::untranslated(tlm::tlm_generic_payload& trans, StreamExtension& stream) {
  if (!registers_.enabled(smmuv3::cr0::Smmuen::kMask)) {
    if (smmuv3::gbpa::Abort::get(registers_.get(reg::kGbpa)) != 0) return terminate(trans, true);
    forward(trans, arch::PhysAddr{trans.get_address()});
    return;
  }
  // A retry is a transaction that arrives anew: configuration and translation are looked up again.
  while (attempt(trans, stream) == AccessEnd::kRetry) {
  }
}

Smmu::AccessEnd Smmu::attempt(tlm::tlm_generic_payload& trans, StreamExtension& stream) {
  const arch::VirtAddr va{trans.get_address()};
  const arch::Access access = access_of(trans);
  std::optional<InFlightAccess> in_flight(std::in_place, mmu_);
  const ConfigResult found = config_of(stream);
  if (const auto* bad = std::get_if<ConfigFault>(&found)) {
    record(bad->type, stream, va, access, bad->fetch_address);
    terminate(trans, true);
    return AccessEnd::kTerminated;
  }
  const StreamConfig& config = *std::get_if<StreamConfig>(&found);
  if (config.kind == StreamConfig::Kind::kAbort) {
    terminate(trans, true);
    return AccessEnd::kTerminated;
  }
  const Requester requester = requester_of(stream, config);
  const Mmu::Outcome outcome = config.kind == StreamConfig::Kind::kBypass
                                   ? bypass(va)
                                   : mmu_.translate(stream.access_id, requester, config.context, va,
                                                    access, /*privileged=*/false);
  if (outcome.fault != EventType::kNone) {
    const AccessEnd end = fault(stream, requester, va, access, config, outcome, in_flight);
    if (end == AccessEnd::kTerminated) terminate(trans, config.abort);
    return end;
  }
  AccessDone done{.access_id = stream.access_id,
                  .requester = requester,
                  .va = va,
                  .pa = outcome.entry.translate(va),
                  .access = access,
                  .source = outcome.source,
                  .bytes = 0,
                  .translated_ps = simulation_.now_ps()};
  if (stream.kind == StreamExtension::Kind::kPageRequest) {
    trans.set_response_status(tlm::TLM_OK_RESPONSE);
  } else if (forward(trans, done.pa)) {
    done.bytes = trans.get_data_length();
  }
  events.write(done);
  return AccessEnd::kDone;
}

Smmu::AccessEnd Smmu::fault(const StreamExtension& stream, const Requester& requester,
                            arch::VirtAddr va, arch::Access access, const StreamConfig& config,
                            const Mmu::Outcome& outcome, std::optional<InFlightAccess>& in_flight) {
  const bool stalls = smmuv3::can_stall(outcome.fault) && config.stall;
  smmuv3::EventRecord event = make_record(outcome.fault, stream, va, access);
  TranslationFault published{.access_id = stream.access_id,
                             .requester = requester,
                             .va = va,
                             .access = access,
                             .type = outcome.fault,
                             .source = outcome.source,
                             .stalled = stalls,
                             .stag = 0};
  if (!stalls) {
    events.write(published);
    // Everything but the four translation faults is recorded whatever CD.R says.
    if (config.record || !smmuv3::can_stall(outcome.fault)) event_queue_.write(event, false);
    return AccessEnd::kTerminated;
  }
  // What cannot be reported now waits outside the in-flight set, because a CMD_SYNC must not wait
  // for software, and is tried again from the start: its translation may have been invalidated
  // meanwhile.
  const auto hold = [&] {
    events.write(AccessHeld{.access_id = stream.access_id});
    in_flight.reset();
  };
  if (!event_queue_.writable()) {
    hold();
    event_queue_.wait_for_space();
    return AccessEnd::kRetry;
  }
  const auto stag = stalls_.allocate(stream.stream_id);
  if (!stag) {
    hold();
    stalls_.wait_for_free();
    return AccessEnd::kRetry;
  }
  published.stag = *stag;
  events.write(published);
  event[1] |= smmuv3::event1::Stall::of(1) | smmuv3::event1::Stag::of(*stag);
  switch (event_queue_.write(event, true)) {
    case EventQueue::Written::kYes:
      break;
    case EventQueue::Written::kNotWritable:
      stalls_.cancel(*stag);
      hold();
      event_queue_.wait_for_space();
      return AccessEnd::kRetry;
    case EventQueue::Written::kAborted:
      stalls_.cancel(*stag);
      return AccessEnd::kTerminated;
  }
  in_flight.reset();  // stalled transactions do not hold up CMD_SYNC
  const StallAnswer answer = stalls_.wait(*stag);
  events.write(StallResumed{.access_id = stream.access_id,
                            .stream_id = stream.stream_id,
                            .stag = *stag,
                            .retry = answer == StallAnswer::kRetry});
  return answer == StallAnswer::kRetry ? AccessEnd::kRetry : AccessEnd::kTerminated;
}

void Smmu::translated(tlm::tlm_generic_payload& trans, const StreamExtension& stream) {
  const arch::VirtAddr va{trans.get_address()};
  const InFlightAccess in_flight(mmu_);
  if (!registers_.enabled(smmuv3::cr0::Smmuen::kMask)) {
    record(EventType::kFTranslForbidden, stream, va, access_of(trans), {});
    return terminate(trans, true);
  }
  if (registers_.enabled(smmuv3::cr0::Atschk::kMask)) {
    const ConfigResult found = config_of(stream);
    const auto* config = std::get_if<StreamConfig>(&found);
    if (config == nullptr || !config->ats) {
      record(EventType::kFTranslForbidden, stream, va, access_of(trans), {});
      return terminate(trans, true);
    }
  }
  forward(trans, arch::PhysAddr{trans.get_address()});
}

void Smmu::translation_request(tlm::tlm_generic_payload& trans, StreamExtension& stream) {
  const arch::VirtAddr va{trans.get_address()};
  const arch::Access access = access_of(trans);
  stream.answer = {};
  trans.set_response_status(tlm::TLM_OK_RESPONSE);
  const InFlightAccess in_flight(mmu_);
  if (!registers_.enabled(smmuv3::cr0::Smmuen::kMask)) {
    stream.answer.unsupported = true;
    return;
  }
  const ConfigResult found = config_of(stream);
  if (std::holds_alternative<ConfigFault>(found)) {
    return terminate(trans, true);  // CA; recorded only with REC_CFG_ATS
  }
  const StreamConfig& config = *std::get_if<StreamConfig>(&found);
  if (!config.ats || config.kind != StreamConfig::Kind::kTranslate) {
    stream.answer.unsupported = true;
    record(EventType::kFBadAtsTreq, stream, va, access, {});
    return;
  }
  const Requester requester = requester_of(stream, config);
  const Mmu::Outcome outcome =
      mmu_.translate(stream.access_id, requester, config.context, va, access, /*privileged=*/false);
  if (outcome.fault == EventType::kFWalkEabt) return terminate(trans, true);
  stream.answer.asid = config.context.asid;
  // A missing translation is answered with R=W=0, missing permission with what there is: neither
  // is an error or an event (IHI 0070 section 3.9.1).
  if (outcome.fault == EventType::kNone || outcome.fault == EventType::kFPermission) {
    stream.answer.read = outcome.entry.permissions.user_read;
    stream.answer.write = outcome.entry.permissions.user_write;
    stream.answer.output = outcome.entry.output;
    stream.answer.page_shift = outcome.entry.page_shift;
  }
  events.write(AtsAnswered{.access_id = stream.access_id,
                           .requester = requester,
                           .va = va,
                           .read = stream.answer.read,
                           .write = stream.answer.write});
}

ConfigResult Smmu::config_of(const StreamExtension& stream) {
  if (const StreamConfig* cached = configs_.lookup(stream.stream_id, stream.substream_id)) {
    return *cached;
  }
  const std::uint64_t epoch = configs_.epoch();
  const StreamTable table{
      .base = {smmuv3::strtab_base::Addr::get(registers_.get64(reg::kStrtabBase))},
      .log2_size = static_cast<unsigned>(
          smmuv3::strtab_base_cfg::Log2Size::get(registers_.get(reg::kStrtabBaseCfg)))};
  ConfigResult found = fetch_config(config_.features, table, stream.stream_id, stream.substream_id,
                                    [this](arch::PhysAddr address, std::uint64_t* words) {
                                      return bus.read(address, words, smmuv3::kSteBytes);
                                    });
  if (const auto* config = std::get_if<StreamConfig>(&found)) {
    configs_.fill(stream.stream_id, stream.substream_id, *config, epoch);
  }
  return found;
}

void Smmu::record(EventType type, const StreamExtension& stream, arch::VirtAddr va,
                  arch::Access access, arch::PhysAddr fetch_address) {
  if (type == EventType::kCBadStreamid &&
      smmuv3::cr2::RecInvSid::get(registers_.get(reg::kCr2)) == 0) {
    return;
  }
  smmuv3::EventRecord event = make_record(type, stream, va, access);
  event[3] = fetch_address.value;
  event_queue_.write(event, false);
}

// ---- Broadcast TLB maintenance ---------------------------------------------------------------

bool Smmu::takes_part_in_broadcast() const {
  return smmuv3::cr2::Ptm::get(registers_.get(reg::kCr2)) == 0;
}

void Smmu::dvm_operation(const DvmOperation& operation) {
  if (!takes_part_in_broadcast()) return;
  mmu_.invalidate(arch::decode_tlbi(operation.op, operation.operand), InvalidationCause::kDvm,
                  operation.id);
}

void Smmu::dvm_complete() {
  if (takes_part_in_broadcast()) mmu_.drain();
}

void Smmu::reset() {
  registers_.reset();
  mmu_.reset();
  configs_.reset();
  stalls_.reset();
  event_queue_.reset();
  commands_.reset();
}

}  // namespace shootdown::hw
