// SMMUv3 event records (32 bytes). Source: Arm IHI 0070, section 7.3.
#ifndef SHOOTDOWN_HW_ARCH_SMMUV3_EVENTS_H
#define SHOOTDOWN_HW_ARCH_SMMUV3_EVENTS_H

#include <array>
#include <cstdint>
#include <string_view>

#include "hw/arch/bit_field.h"

namespace shootdown::arch::smmuv3 {

inline constexpr std::uint64_t kEventBytes = 32;
using EventRecord = std::array<std::uint64_t, 4>;

enum class EventType : std::uint8_t {
  kNone = 0x00,
  kFUut = 0x01,
  kCBadStreamid = 0x02,
  kFSteFetch = 0x03,
  kCBadSte = 0x04,
  kFBadAtsTreq = 0x05,
  kFStreamDisabled = 0x06,
  kFTranslForbidden = 0x07,
  kCBadSubstreamid = 0x08,
  kFCdFetch = 0x09,
  kCBadCd = 0x0a,
  kFWalkEabt = 0x0b,
  kFTranslation = 0x10,
  kFAddrSize = 0x11,
  kFAccess = 0x12,
  kFPermission = 0x13,
  kFTlbConflict = 0x20,
  kFCfgConflict = 0x21,
  kEPageRequest = 0x24,
};

constexpr std::string_view name_of(EventType type) {
  switch (type) {
    case EventType::kNone:
      return "none";
    case EventType::kFUut:
      return "F_UUT";
    case EventType::kCBadStreamid:
      return "C_BAD_STREAMID";
    case EventType::kFSteFetch:
      return "F_STE_FETCH";
    case EventType::kCBadSte:
      return "C_BAD_STE";
    case EventType::kFBadAtsTreq:
      return "F_BAD_ATS_TREQ";
    case EventType::kFStreamDisabled:
      return "F_STREAM_DISABLED";
    case EventType::kFTranslForbidden:
      return "F_TRANSL_FORBIDDEN";
    case EventType::kCBadSubstreamid:
      return "C_BAD_SUBSTREAMID";
    case EventType::kFCdFetch:
      return "F_CD_FETCH";
    case EventType::kCBadCd:
      return "C_BAD_CD";
    case EventType::kFWalkEabt:
      return "F_WALK_EABT";
    case EventType::kFTranslation:
      return "F_TRANSLATION";
    case EventType::kFAddrSize:
      return "F_ADDR_SIZE";
    case EventType::kFAccess:
      return "F_ACCESS";
    case EventType::kFPermission:
      return "F_PERMISSION";
    case EventType::kFTlbConflict:
      return "F_TLB_CONFLICT";
    case EventType::kFCfgConflict:
      return "F_CFG_CONFLICT";
    case EventType::kEPageRequest:
      return "E_PAGE_REQUEST";
  }
  return "unknown event";
}

namespace event0 {
using Type = BitField<7, 0>;
using Ssv = BitField<11, 11>;
using Ssid = BitField<31, 12>;
using Sid = BitField<63, 32>;
}  // namespace event0

namespace event1 {
using Stag = BitField<15, 0>;
using Stall = BitField<31, 31>;
using Pnu = BitField<33, 33>;
using Ind = BitField<34, 34>;
using Rnw = BitField<35, 35>;  ///< 1 = read
using Nsipa = BitField<38, 38>;
using S2 = BitField<39, 39>;
using Class = BitField<41, 40>;  ///< 0 CD fetch, 1 table walk, 2 the input address
using Ttrnw = BitField<44, 44>;  ///< of stage 2 for a stage 1 table: 1 = the table was read
}  // namespace event1
namespace event3 {
using Ipa = AddressField<51, 12>;
using FetchAddr = AddressField<51, 3>;
}  // namespace event3

/// PRI queue records, 16 bytes (section 8.1).
inline constexpr std::uint64_t kPageRequestBytes = 16;
namespace pri0 {
using Sid = BitField<31, 0>;
using Ssid = BitField<51, 32>;
using Privileged = BitField<58, 58>;
using Execute = BitField<59, 59>;
using Read = BitField<60, 60>;
using Write = BitField<61, 61>;
using Last = BitField<62, 62>;
using Ssv = BitField<63, 63>;
}  // namespace pri0
namespace pri1 {
using PrgIndex = BitField<8, 0>;
using Addr = AddressField<63, 12>;
}  // namespace pri1

inline constexpr unsigned kClassCd = 0;
inline constexpr unsigned kClassTableWalk = 1;
inline constexpr unsigned kClassInput = 2;

/// Only these four may stall the transaction (section 3.12).
constexpr bool can_stall(EventType type) {
  return type >= EventType::kFTranslation && type <= EventType::kFPermission;
}

}  // namespace shootdown::arch::smmuv3

#endif
