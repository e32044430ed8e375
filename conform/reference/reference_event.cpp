#include "conform/reference/reference_event.h"

#include "conform/reference/reference_bits.h"

namespace shootdown::conform::reference {

namespace {

std::uint64_t flag(bool value, unsigned position) {
  return static_cast<std::uint64_t>(value) << position;
}

/// Word 0: what, and who.
std::uint64_t identity(const Fault& fault, const Transaction& transaction) {
  std::uint64_t word = static_cast<std::uint64_t>(fault.type);
  word |= static_cast<std::uint64_t>(transaction.stream_id) << 32;
  if (fault.type == EventType::kBadSubstreamid) {
    // Section 7.3.9: the SubstreamID is always valid, there is no SSV.
    word |= std::uint64_t{fault.substream_id} << 12;
  } else if (fault.type == EventType::kStreamDisabled) {
    // Section 7.3.7: this record has no SubstreamID and no SSV.
  } else if (transaction.substream_id) {
    word |= flag(true, 11) | std::uint64_t{*transaction.substream_id} << 12;
  }
  return word;
}

/// Word 1 of the faults that come of an access.
std::uint64_t syndrome(const Fault& fault, const Transaction& transaction, bool stall) {
  std::uint64_t word = flag(stall, 31);
  word |= flag(transaction.privileged, 33);
  word |= flag(transaction.instruction, 34);
  word |= flag(!transaction.write, 35);
  word |= flag(fault.stage2, 39);
  word |= static_cast<std::uint64_t>(fault.fault_class) << 40;
  if (fault.type == EventType::kPermission && fault.fault_class == FaultClass::kTable) {
    word |= flag(fault.table_read, 44);
  }
  return word;
}

}  // namespace

bool is_translation_related(EventType type) {
  return type == EventType::kTranslation || type == EventType::kAddrSize ||
         type == EventType::kAccess || type == EventType::kPermission;
}

std::array<std::uint64_t, 4> event_record(const Fault& fault, const Transaction& transaction,
                                          bool stall) {
  std::array<std::uint64_t, 4> record{identity(fault, transaction), 0, 0, 0};
  const bool of_access = is_translation_related(fault.type) || fault.type == EventType::kWalkEabt;
  if (of_access) {
    record[1] = syndrome(fault, transaction, stall);
    record[2] = transaction.address;
  }
  switch (fault.type) {
    case EventType::kSteFetch:
    case EventType::kCdFetch:
    case EventType::kWalkEabt:
      record[3] = address_bits(fault.fetch_address, 55, 3);
      break;
    case EventType::kTranslation:
    case EventType::kAddrSize:
    case EventType::kAccess:
    case EventType::kPermission:
      if (fault.stage2) record[3] = address_bits(fault.ipa, 55, 12);
      break;
    default:
      break;
  }
  return record;
}

}  // namespace shootdown::conform::reference
