#include "hw/smmu/event_record.h"

#include "hw/smmu/fault_events.h"

namespace shootdown::hw {

using namespace arch::smmuv3;  // event fields

namespace {

EventRecord common(const EventSource& source, EventType type) {
  EventRecord record{};
  record[0] = event0::Type::of(static_cast<unsigned>(type)) |
              event0::Sid::of(source.stream.stream_id.value);
  if (type == EventType::kFStreamDisabled) return record;
  // C_BAD_SUBSTREAMID always has a SubstreamID, that of the CD, and no SSV that says so.
  if (type == EventType::kCBadSubstreamid) {
    const arch::SubstreamId ssid = source.stream.substream_id.value_or(arch::SubstreamId{});
    record[0] |= event0::Ssid::of(ssid.value);
  } else if (source.stream.substream_id) {
    record[0] |= event0::Ssv::of(1) | event0::Ssid::of(source.stream.substream_id->value);
  }
  return record;
}

std::uint64_t access_bits(const EventSource& source) {
  const bool read = source.access == arch::Access::kRead;
  return event1::Rnw::of(read) | event1::Pnu::of(source.privileged) |
         event1::Ind::of(read && source.instruction);
}

void add_stage2(EventRecord& record, arch::IpaAddr ipa) {
  record[1] |= event1::S2::of(1);
  record[3] |= event3::Ipa::get(ipa.value);
}

}  // namespace

EventRecord translation_event(const EventSource& source, const TranslationProblem& problem) {
  EventRecord record = common(source, event_type_of(problem.type));
  record[1] =
      access_bits(source) | event1::Class::of(problem.table_walk ? kClassTableWalk : kClassInput);
  record[2] = source.address.value;
  if (problem.type == arch::FaultKind::kWalkAbort) {
    record[1] |= event1::S2::of(problem.stage2);
    record[3] = event3::FetchAddr::get(problem.fetch_address.value);
    return record;
  }
  if (problem.stage2) {
    add_stage2(record, problem.ipa);
    // TTRnW means something only for permission faults (section 7.3.16).
    if (problem.type == arch::FaultKind::kPermission && problem.table_walk) {
      record[1] |= event1::Ttrnw::of(!problem.table_write);
    }
  }
  return record;
}

EventRecord configuration_event(const EventSource& source, const ConfigFault& fault) {
  EventRecord record = common(source, fault.type);
  if (fault.stage2) {
    // RnW is that of the transaction, although the access that failed is the read of a CD.
    record[1] = access_bits(source);
    record[2] = source.address.value;
    if (fault.type == EventType::kFWalkEabt) {
      record[1] |= event1::Class::of(kClassCd) | event1::S2::of(1);
      record[3] = event3::FetchAddr::get(fault.fetch_address.value);
    } else {
      record[1] |= event1::Class::of(kClassCd);
      add_stage2(record, fault.ipa);
    }
    return record;
  }
  record[3] = event3::FetchAddr::get(fault.fetch_address.value);
  return record;
}

EventRecord address_event(const EventSource& source, EventType type) {
  EventRecord record = common(source, type);
  record[1] = access_bits(source);
  record[2] = source.address.value;
  return record;
}

}  // namespace shootdown::hw
