// Faults, and the records of the event queue that tell of them.
// Source: Arm IHI 0070, section 7.3.
#ifndef SHOOTDOWN_CONFORM_REFERENCE_REFERENCE_EVENT_H
#define SHOOTDOWN_CONFORM_REFERENCE_REFERENCE_EVENT_H

#include <array>
#include <cstdint>
#include <variant>

#include "conform/reference/reference_smmu.h"

namespace shootdown::conform::reference {

enum class EventType : std::uint8_t {
  /// No fault at all: a hardware update found the descriptor changed, so begin again.
  kRestart = 0x00,
  kBadStreamid = 0x02,
  kSteFetch = 0x03,
  kBadSte = 0x04,
  kStreamDisabled = 0x06,
  kBadSubstreamid = 0x08,
  kCdFetch = 0x09,
  kBadCd = 0x0a,
  kWalkEabt = 0x0b,
  kTranslation = 0x10,
  kAddrSize = 0x11,
  kAccess = 0x12,
  kPermission = 0x13,
};

/// What was done when the fault arose (CLASS).
enum class FaultClass : std::uint8_t { kCd = 0, kTable = 1, kInput = 2 };

struct Fault {
  EventType type{};
  bool stage2{};
  FaultClass fault_class{FaultClass::kInput};
  std::uint64_t ipa{};            ///< of a stage 2 fault
  std::uint64_t fetch_address{};  ///< of an external abort
  bool table_read{};              ///< F_PERMISSION with kTable: a descriptor read, not an update
  std::uint32_t substream_id{};   ///< C_BAD_SUBSTREAMID: the CD that was wanted
  /// F_ADDR_SIZE because stage 1 is bypassed: no CD says what happens (section 3.12).
  bool stage1_bypassed{};
};

template <typename T>
using Result = std::variant<T, Fault>;

/// Whether the A, R and S bits govern this fault (section 5.5).
bool is_translation_related(EventType type);

/// `transaction` after the overrides of the STE. STAG is 0.
std::array<std::uint64_t, 4> event_record(const Fault& fault, const Transaction& transaction,
                                          bool stall);

}  // namespace shootdown::conform::reference

#endif
