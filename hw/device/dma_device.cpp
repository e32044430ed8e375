#include "hw/device/dma_device.h"

#include <string>

namespace shootdown::hw {

using Fault = arch::FaultKind;

DmaDevice::DmaDevice(const sc_core::sc_module_name& name, Simulation& simulation,
                     SignalBoard& signals, const DmaDeviceConfig& config)
    : sc_core::sc_module(name),
      simulation_(simulation),
      signals_(signals),
      config_(config),
      program_thread_(simulation, "program", [this] { run_program(); }),
      atc_drained_(simulation),
      page_answered_(simulation) {
  if (config_.atc) {
    atc_.emplace(config_.atc->geometry);
    atc_thread_.emplace(simulation, "atc_invalidate", [this] { invalidation_loop(); });
  }
  stream_.stream_id = config_.stream_id;
  stream_.substream_id = config_.substream_id;
  payload_.set_extension(&stream_);
  access_id_ = first_access_id();
}

void DmaDevice::power_on() {
  if (atc_thread_) atc_thread_->start();
}

void DmaDevice::start_program() {
  if (!program_.empty()) program_thread_.start();
}

void DmaDevice::run_steps(const std::vector<DmaStep>& steps) {
  for (const DmaStep& step : steps) {
    std::visit([this](const auto& s) { run_step(s); }, step);
  }
}

void DmaDevice::run_step(const DmaRepeat& step) {
  for (std::uint64_t i = 0; i < step.times; ++i) run_steps(step.steps);
}

void DmaDevice::run_program() {
  run_steps(program_);
  simulation_.synchronize();
}

void DmaDevice::run_step(const DmaAccess& step) {
  for (std::uint64_t i = 0; i < step.count; ++i) {
    const arch::VirtAddr va = step.va + i * step.stride_bytes;
    unsigned attempt = 0;
    for (;;) {
      std::uint64_t data = step.value;
      if (access(va, step.access, data, step.bytes)) {
        break;
      }
      const bool gave_up = ++attempt > config_.retry_attempts;
      events.write(DeviceRetry{.va = va, .attempt = attempt, .gave_up = gave_up});
      if (gave_up) {
        ++failed_;
        break;
      }
      simulation_.sleep_cycles(config_.retry_delay_cycles);
    }
  }
}

bool DmaDevice::access(arch::VirtAddr va, arch::Access access, std::uint64_t& data,
                       unsigned bytes) {
  if (atc_) return access_through_atc(va, access, data, bytes);
  return transport(StreamExtension::Kind::kUntranslated, ++access_id_, va.value, access, data,
                   bytes);
}

bool DmaDevice::transport(StreamExtension::Kind kind, std::uint64_t access_id,
                          std::uint64_t address, arch::Access access, std::uint64_t& data,
                          unsigned bytes) {
  stream_.kind = kind;
  stream_.access_id = access_id;
  stream_.no_write = access == arch::Access::kRead;
  payload_.set_command(access == arch::Access::kRead ? tlm::TLM_READ_COMMAND
                                                     : tlm::TLM_WRITE_COMMAND);
  payload_.set_address(address);
  payload_.set_data_ptr(reinterpret_cast<unsigned char*>(&data));
  payload_.set_data_length(bytes);
  payload_.set_streaming_width(bytes);
  payload_.set_response_status(tlm::TLM_INCOMPLETE_RESPONSE);
  sc_core::sc_time delay;
  out->b_transport(payload_, delay);
  simulation_.sleep(delay);
  return payload_.is_response_ok();
}

Requester DmaDevice::requester() const {
  return {.asid = observed_asid_,
          .stream_id = config_.stream_id,
          .substream_id = config_.substream_id.value_or(arch::SubstreamId{})};
}

bool DmaDevice::access_through_atc(arch::VirtAddr va, arch::Access access, std::uint64_t& data,
                                   unsigned bytes) {
  const std::uint64_t access_id = ++access_id_;
  const InFlight::Generation generation = atc_in_flight_.enter();
  // Leaves the in-flight set on every way out, an abort of the run among them.
  struct Leave {
    DmaDevice& device;
    InFlight::Generation generation;
    Leave(DmaDevice& of, InFlight::Generation entered) : device(of), generation(entered) {}
    Leave(const Leave&) = delete;
    Leave& operator=(const Leave&) = delete;
    ~Leave() {
      if (device.atc_in_flight_.leave(generation)) device.atc_drained_.wake_all();
    }
  };
  std::optional<Leave> in_flight(std::in_place, *this, generation);

  // The ATC of one device serves one address space: no tag beside the address. What was found is
  // copied: it may be gone when the latency has passed.
  const TlbEntry* hit = atc_->lookup(va, {});
  std::optional<TlbEntry> entry;
  if (hit != nullptr) entry = *hit;
  const bool permitted = hit != nullptr && hit->permissions.permits(access, false);
  atc_events.write(TlbLookup{.access_id = access_id,
                             .requester = requester(),
                             .va = va,
                             .access = access,
                             .outcome = hit == nullptr ? LookupOutcome::kMiss
                                        : permitted    ? LookupOutcome::kHit
                                                       : LookupOutcome::kNoPermission,
                             .pa = hit == nullptr ? arch::PhysAddr{} : hit->translate(va),
                             .regime = arch::Regime::kEl1});
  simulation_.sleep_cycles(config_.atc->hit_latency_cycles);
  TranslationSource source = TranslationSource::kAtc;
  const bool ask_again =
      entry && !permitted && config_.atc->hit_without_permission == HitWithoutPermission::kRewalk;
  if (ask_again) {
    atc_events.write(PermissionPolicy{.access_id = access_id,
                                      .requester = requester(),
                                      .va = va,
                                      .access = access,
                                      .rewalk = true});
  }
  if (!entry || ask_again) {
    entry = request_translation(access_id, va, access);
    source = TranslationSource::kWalk;
  }
  if (!entry || !entry->permissions.permits(access, false)) {
    refused(access_id, va, access, source);
    in_flight.reset();
    // On success the page is there for the retry, which goes through the ATC again.
    ask_for_page(access_id, va, access, data, bytes);
    return false;
  }
  const std::uint64_t translated_ps = simulation_.now_ps();
  const arch::PhysAddr pa = entry->translate(va);
  const bool moved =
      transport(StreamExtension::Kind::kTranslated, access_id, pa.value, access, data, bytes);
  events.write(AccessDone{.access_id = access_id,
                          .requester = requester(),
                          .va = va,
                          .pa = pa,
                          .access = access,
                          .source = TranslationSource::kAtc,
                          .bytes = moved ? bytes : 0,
                          .translated_ps = translated_ps});
  return moved;
}

void DmaDevice::refused(std::uint64_t access_id, arch::VirtAddr va, arch::Access access,
                        TranslationSource source) {
  atc_events.write(TranslationFault{.access_id = access_id,
                                    .requester = requester(),
                                    .va = va,
                                    .access = access,
                                    .type = Fault::kPermission,
                                    .text = name_of(Fault::kPermission),
                                    .source = source,
                                    .stalled = false,
                                    .stag = 0});
}

std::optional<TlbEntry> DmaDevice::request_translation(std::uint64_t access_id, arch::VirtAddr va,
                                                       arch::Access access) {
  const std::uint64_t epoch = atc_->epoch();
  std::uint64_t no_data = 0;
  if (!transport(StreamExtension::Kind::kTranslationRequest, access_id, va.value, access, no_data,
                 0)) {
    return std::nullopt;
  }
  const StreamExtension::Answer answer = stream_.answer;
  if (answer.unsupported || (!answer.read && !answer.write)) return std::nullopt;
  observed_asid_ = answer.asid;
  TlbEntry entry{.page = arch::page_of(va, answer.page_shift),
                 .output = answer.output,
                 .page_shift = answer.page_shift,
                 .permissions = arch::vmsa64::Permissions::of(
                     {.user_read = answer.read, .user_write = answer.write})};
  const TlbFillResult filled = atc_->fill(entry, epoch);
  if (filled.evicted) {
    atc_events.write(TlbEvict{.asid = observed_asid_,
                              .global = false,
                              .page = filled.evicted->page,
                              .page_shift = filled.evicted->page_shift});
  }
  atc_events.write(TlbFill{.access_id = access_id,
                           .requester = requester(),
                           .global = false,
                           .page = entry.page,
                           .page_shift = entry.page_shift,
                           .output = entry.output,
                           .permissions = entry.permissions,
                           .dropped = filled.dropped});
  return entry;
}

void DmaDevice::invalidate_atc(const arch::Invalidation& what,
                               std::optional<arch::SubstreamId> substream_id,
                               std::uint64_t command_number, std::function<void()> completed) {
  // "Unsupported request" counts as complete (IHI 0070 section 3.9); so does a PASID that this
  // device does not use.
  const bool other = substream_id && substream_id != config_.substream_id;
  if (!atc_ || other) {
    completed();
    return;
  }
  invalidations_.push_back({what, command_number, std::move(completed)});
  atc_thread_->wake();
}

void DmaDevice::ask_for_page(std::uint64_t access_id, arch::VirtAddr va, arch::Access access,
                             std::uint64_t& data, unsigned bytes) {
  if (config_.atc->page_requests) {
    request_page(access_id, va, access);
  } else {
    transport(StreamExtension::Kind::kPageFault, access_id, va.value, access, data, bytes);
  }
}

void DmaDevice::request_page(std::uint64_t access_id, arch::VirtAddr va, arch::Access access) {
  constexpr unsigned kGroups = 512;
  last_group_ = (last_group_ + 1) % kGroups;
  waits_for_group_ = last_group_;
  stream_.page_request = {.address = arch::page_of(va),
                          .group = last_group_,
                          .last = true,
                          .read = true,
                          .write = access == arch::Access::kWrite,
                          .execute = false,
                          .privileged = false};
  std::uint64_t no_data = 0;
  transport(StreamExtension::Kind::kPageRequest, access_id, va.value, access, no_data, 0);
  if (stream_.answer.page_response) {
    waits_for_group_.reset();
    return;
  }
  while (waits_for_group_) page_answered_.wait();
}

void DmaDevice::page_response(std::optional<arch::SubstreamId>, unsigned group, PageResponse) {
  // Granted or not, the device asks for the translation again and sees.
  if (waits_for_group_ != group) return;
  waits_for_group_.reset();
  page_answered_.wake_all();
}

void DmaDevice::invalidation_loop() {
  for (;;) {
    while (invalidations_.empty()) simulation_.block();
    simulation_.choice(ChoiceKind::kCommand);
    const PendingInvalidation next = std::move(invalidations_.front());
    invalidations_.pop_front();
    simulation_.sleep_cycles(config_.atc->invalidate_latency_cycles);
    const unsigned removed = atc_->invalidate(next.what);
    atc_events.write(TlbInvalidate{.cause = InvalidationCause::kAtcInvalidation,
                                   .cause_id = next.number,
                                   .what = next.what,
                                   .removed = removed});
    const InFlight::Generation generation = atc_in_flight_.close();
    while (!atc_in_flight_.drained(generation)) atc_drained_.wait();
    atc_events.write(AtcInvalidationCompleted{.command_number = next.number});
    simulation_.choice(ChoiceKind::kTime);  // the answer may come later
    next.completed();
  }
}

void DmaDevice::reset() {
  if (atc_) atc_->reset();
  atc_in_flight_.reset();
  atc_drained_.reset();
  invalidations_.clear();
  waits_for_group_.reset();
  last_group_ = 0;
  page_answered_.reset();
  observed_asid_ = {};
  access_id_ = first_access_id();
  failed_ = 0;
}

}  // namespace shootdown::hw
