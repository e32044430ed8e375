// SMMUv3 commands (16 bytes) and how an invalidation command is decoded.
// Source: Arm IHI 0070, chapter 4; range fields: section 4.4.1.1.
#ifndef SHOOTDOWN_HW_ARCH_SMMUV3_COMMANDS_H
#define SHOOTDOWN_HW_ARCH_SMMUV3_COMMANDS_H

#include <cstdint>
#include <string_view>

#include "hw/arch/bit_field.h"
#include "hw/arch/tlbi.h"
#include "hw/arch/types.h"

namespace shootdown::arch::smmuv3 {

inline constexpr std::uint64_t kCommandBytes = 16;

struct Command {
  std::uint64_t dw0{};
  std::uint64_t dw1{};
  constexpr bool operator==(const Command&) const = default;
};

enum class Opcode : std::uint8_t {
  kPrefetchConfig = 0x01,
  kPrefetchAddr = 0x02,
  kCfgiSte = 0x03,
  kCfgiSteRange = 0x04,  ///< CFGI_ALL when Range = 31
  kCfgiCd = 0x05,
  kCfgiCdAll = 0x06,
  kTlbiNhAll = 0x10,
  kTlbiNhAsid = 0x11,
  kTlbiNhVa = 0x12,
  kTlbiNhVaa = 0x13,
  kTlbiEl2All = 0x20,
  kTlbiEl2Asid = 0x21,
  kTlbiEl2Va = 0x22,
  kTlbiEl2Vaa = 0x23,
  kTlbiNsnhAll = 0x30,
  kAtcInv = 0x40,
  kResume = 0x44,
  kStallTerm = 0x45,
  kSync = 0x46,
};

constexpr std::string_view name_of(Opcode opcode) {
  switch (opcode) {
    case Opcode::kPrefetchConfig:
      return "CMD_PREFETCH_CONFIG";
    case Opcode::kPrefetchAddr:
      return "CMD_PREFETCH_ADDR";
    case Opcode::kCfgiSte:
      return "CMD_CFGI_STE";
    case Opcode::kCfgiSteRange:
      return "CMD_CFGI_STE_RANGE";
    case Opcode::kCfgiCd:
      return "CMD_CFGI_CD";
    case Opcode::kCfgiCdAll:
      return "CMD_CFGI_CD_ALL";
    case Opcode::kTlbiNhAll:
      return "CMD_TLBI_NH_ALL";
    case Opcode::kTlbiNhAsid:
      return "CMD_TLBI_NH_ASID";
    case Opcode::kTlbiNhVa:
      return "CMD_TLBI_NH_VA";
    case Opcode::kTlbiNhVaa:
      return "CMD_TLBI_NH_VAA";
    case Opcode::kTlbiEl2All:
      return "CMD_TLBI_EL2_ALL";
    case Opcode::kTlbiEl2Asid:
      return "CMD_TLBI_EL2_ASID";
    case Opcode::kTlbiEl2Va:
      return "CMD_TLBI_EL2_VA";
    case Opcode::kTlbiEl2Vaa:
      return "CMD_TLBI_EL2_VAA";
    case Opcode::kTlbiNsnhAll:
      return "CMD_TLBI_NSNH_ALL";
    case Opcode::kAtcInv:
      return "CMD_ATC_INV";
    case Opcode::kResume:
      return "CMD_RESUME";
    case Opcode::kStallTerm:
      return "CMD_STALL_TERM";
    case Opcode::kSync:
      return "CMD_SYNC";
  }
  return "unknown command";
}

namespace cmd0 {
using Op = BitField<7, 0>;
using Ssec = BitField<10, 10>;
using Ssv = BitField<11, 11>;
using Ssid = BitField<31, 12>;
using Sid = BitField<63, 32>;
using Num = BitField<16, 12>;    ///< TLBI by address, with range invalidation
using Scale = BitField<24, 20>;  ///< linear: 2^SCALE, unlike the CPU's TLBI R*
using Vmid = BitField<47, 32>;
using AsidField = BitField<63, 48>;
using AtcGlobal = BitField<9, 9>;
using ResumeRetry = BitField<12, 12>;  ///< Ac
using ResumeAbort = BitField<13, 13>;  ///< Ab
using SyncSignal = BitField<13, 12>;   ///< CS: 0 none, 1 interrupt, 2 event, 3 illegal
}  // namespace cmd0

namespace cmd1 {
using Leaf = BitField<0, 0>;
using CfgiRange = BitField<4, 0>;
using Ttl = BitField<9, 8>;
using Tg = BitField<11, 10>;  ///< 0 = one address, any granule; 1 = 4 KiB
using Va = AddressField<63, 12>;
using AtcSize = BitField<5, 0>;  ///< log2 of 4 KiB pages; 52 = everything
using Stag = BitField<15, 0>;
}  // namespace cmd1

inline constexpr unsigned kCfgiRangeAll = 31;
inline constexpr unsigned kAtcSizeAll = 52;
inline constexpr unsigned kSyncSignalIllegal = 3;

constexpr Opcode opcode_of(const Command& command) {
  return static_cast<Opcode>(cmd0::Op::get(command.dw0));
}
constexpr bool is_tlbi(Opcode opcode) {
  return opcode >= Opcode::kTlbiNhAll && opcode <= Opcode::kTlbiNsnhAll;
}
constexpr bool is_tlbi_by_address(Opcode opcode) {
  return opcode == Opcode::kTlbiNhVa || opcode == Opcode::kTlbiNhVaa ||
         opcode == Opcode::kTlbiEl2Va || opcode == Opcode::kTlbiEl2Vaa;
}

/// What is wrong with the range fields of a TLBI by address.
enum class RangeFault : std::uint8_t {
  kNone,
  kReserved,    ///< TG != 0 with NUM = SCALE = TTL = 0: CERROR_ILL
  kMisaligned,  ///< the addresses that are invalidated are a free choice of the implementation
  kNotPresent,  ///< range fields used although IDR3.RIL = 0: reserved bits set
};

/// Checks the range fields for the 4 KiB granule. TG = 2 and 3 name granules no entry here has.
constexpr RangeFault range_fault(const Command& command, bool range_invalidation) {
  const auto tg = cmd1::Tg::get(command.dw1);
  const auto ttl = cmd1::Ttl::get(command.dw1);
  const auto num = cmd0::Num::get(command.dw0);
  const auto scale = cmd0::Scale::get(command.dw0);
  if (!range_invalidation) {
    return tg == 0 && ttl == 0 && num == 0 && scale == 0 ? RangeFault::kNone
                                                         : RangeFault::kNotPresent;
  }
  if (tg == 0) return RangeFault::kNone;
  if (ttl == 0 && num == 0 && scale == 0) return RangeFault::kReserved;
  const auto va = cmd1::Va::get(command.dw1);
  if (tg == 1 && ttl == 1 && (va & (page_bytes(30) - 1)) != 0) return RangeFault::kMisaligned;
  if (tg == 1 && ttl == 2 && (va & (page_bytes(21) - 1)) != 0) return RangeFault::kMisaligned;
  return RangeFault::kNone;
}

/// The entries that a legal TLBI command removes. Level hints are ignored: removing more than the
/// hint asks for is always permitted. The VMID is compared only where IDR0.S2P = 1.
constexpr Invalidation decode_invalidation(const Command& command, bool range_invalidation) {
  using Scope = Invalidation::Scope;
  Invalidation result;
  result.asid = Asid{static_cast<std::uint16_t>(cmd0::AsidField::get(command.dw0))};
  switch (opcode_of(command)) {
    case Opcode::kTlbiNhAsid:
    case Opcode::kTlbiEl2Asid:
      result.scope = Scope::kAsid;
      return result;
    case Opcode::kTlbiNhVa:
    case Opcode::kTlbiEl2Va:
      result.scope = Scope::kVa;
      break;
    case Opcode::kTlbiNhVaa:
    case Opcode::kTlbiEl2Vaa:
      result.scope = Scope::kVaAnyAsid;
      break;
    default:
      result.scope = Scope::kAll;
      return result;
  }
  result.leaf_only = cmd1::Leaf::get(command.dw1) != 0;
  result.start = cmd1::Va::get(command.dw1);
  const auto tg = range_invalidation ? cmd1::Tg::get(command.dw1) : 0;
  std::uint64_t bytes = kPageSize;
  if (tg != 0) {
    const unsigned granule_shift = 10 + 2 * static_cast<unsigned>(tg);
    const auto pages = (cmd0::Num::get(command.dw0) + 1) << cmd0::Scale::get(command.dw0);
    bytes = pages << granule_shift;
  }
  result.last = result.start + bytes - 1;
  if (result.last < result.start) result.last = ~std::uint64_t{0};
  return result;
}

static_assert(range_fault({0x0012000000000012, 0x00007f0012345400}, true) == RangeFault::kReserved);
static_assert(decode_invalidation({0x0012000000204012, 0x00007f0012344701}, true).last -
                  0x7f0012344000 + 1 ==
              20 * kPageSize);

/// The span of CMD_ATC_INV: 2^Size pages, the address aligned down by hardware.
constexpr Invalidation decode_atc_inv(const Command& command) {
  Invalidation result;
  const auto size = static_cast<unsigned>(cmd1::AtcSize::get(command.dw1));
  if (size >= kAtcSizeAll) {
    result.scope = Invalidation::Scope::kAll;
    return result;
  }
  result.scope = Invalidation::Scope::kVaAnyAsid;
  result.start = align_down(cmd1::Va::get(command.dw1), kPageShift + size);
  result.last = result.start + (page_bytes(kPageShift + size) - 1);
  return result;
}

}  // namespace shootdown::arch::smmuv3

#endif
