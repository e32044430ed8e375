// SMMUv3 commands (16 bytes) and how an invalidation command is decoded.
// Source: Arm IHI 0070, chapter 4; range fields: section 4.4.1.1.
#ifndef SHOOTDOWN_HW_ARCH_SMMUV3_COMMANDS_H
#define SHOOTDOWN_HW_ARCH_SMMUV3_COMMANDS_H

#include <cstdint>
#include <string_view>

#include "hw/arch/bit_field.h"
#include "hw/arch/invalidation.h"
#include "hw/arch/maintenance.h"
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
  kTlbiS12Vmall = 0x28,
  kTlbiS2Ipa = 0x2a,
  kTlbiNsnhAll = 0x30,
  kAtcInv = 0x40,
  kPriResp = 0x41,
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
    case Opcode::kTlbiS12Vmall:
      return "CMD_TLBI_S12_VMALL";
    case Opcode::kTlbiS2Ipa:
      return "CMD_TLBI_S2_IPA";
    case Opcode::kTlbiNsnhAll:
      return "CMD_TLBI_NSNH_ALL";
    case Opcode::kAtcInv:
      return "CMD_ATC_INV";
    case Opcode::kPriResp:
      return "CMD_PRI_RESP";
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
using VmidField = BitField<47, 32>;
using AsidField = BitField<63, 48>;
using AtcGlobal = BitField<9, 9>;
using ResumeRetry = BitField<12, 12>;  ///< Ac
using ResumeAbort = BitField<13, 13>;  ///< Ab
using SyncSignal = BitField<13, 12>;   ///< CS: 0 none, 1 interrupt, 2 event, 3 illegal
using SyncMsh = BitField<23, 22>;      ///< shareability of the MSI
using SyncMsiAttr = BitField<27, 24>;
using SyncMsiData = BitField<63, 32>;
}  // namespace cmd0

namespace cmd1 {
using Leaf = BitField<0, 0>;
using CfgiRange = BitField<4, 0>;
using Ttl = BitField<9, 8>;
using Tg = BitField<11, 10>;  ///< 0 = one address, any granule; 1 = 4 KiB
using Va = AddressField<63, 12>;
using Ipa = AddressField<51, 12>;
using MsiAddress = AddressField<51, 2>;
using PrgIndex = BitField<8, 0>;
using PriResponse = BitField<13, 12>;  ///< 0 failure, 1 invalid request, 2 success, 3 illegal
using AtcSize = BitField<5, 0>;        ///< log2 of 4 KiB pages; 52 = everything
using Stag = BitField<15, 0>;
}  // namespace cmd1

inline constexpr unsigned kCfgiRangeAll = 31;
inline constexpr unsigned kAtcSizeAll = 52;
inline constexpr unsigned kSyncSignalInterrupt = 1;
inline constexpr unsigned kSyncSignalIllegal = 3;
inline constexpr unsigned kPriResponseIllegal = 3;

constexpr Opcode opcode_of(const Command& command) {
  return static_cast<Opcode>(cmd0::Op::get(command.dw0));
}
constexpr bool is_tlbi(Opcode opcode) {
  return opcode >= Opcode::kTlbiNhAll && opcode <= Opcode::kTlbiNsnhAll;
}
constexpr bool is_tlbi_by_address(Opcode opcode) {
  return opcode == Opcode::kTlbiNhVa || opcode == Opcode::kTlbiNhVaa ||
         opcode == Opcode::kTlbiEl2Va || opcode == Opcode::kTlbiEl2Vaa ||
         opcode == Opcode::kTlbiS2Ipa;
}

/// What is wrong with the range fields of a TLBI by address.
enum class RangeFault : std::uint8_t {
  kNone,
  kReserved,    ///< TG != 0 with NUM = SCALE = TTL = 0: CERROR_ILL
  kMisaligned,  ///< the addresses that are invalidated are a free choice of the implementation
  kNotPresent,  ///< range fields used although IDR3.RIL = 0: reserved bits set
};

/// TTL as it counts: 16 KiB tables have no blocks at level 1, so that the hint is none there.
constexpr unsigned effective_ttl(const Command& command) {
  const auto ttl = static_cast<unsigned>(cmd1::Ttl::get(command.dw1));
  return cmd1::Tg::get(command.dw1) == 2 && ttl == 1 ? 0 : ttl;
}

constexpr RangeFault range_fault(const Command& command, bool range_invalidation) {
  const auto tg = cmd1::Tg::get(command.dw1);
  const auto num = cmd0::Num::get(command.dw0);
  const auto scale = cmd0::Scale::get(command.dw0);
  if (!range_invalidation) {
    return tg == 0 && cmd1::Ttl::get(command.dw1) == 0 && num == 0 && scale == 0
               ? RangeFault::kNone
               : RangeFault::kNotPresent;
  }
  if (tg == 0) return RangeFault::kNone;
  const unsigned ttl = effective_ttl(command);
  if (ttl == 0 && num == 0 && scale == 0) return RangeFault::kReserved;
  const auto granule = static_cast<vmsa64::Granule>(tg - 1);
  const unsigned shift = ttl == 0 ? vmsa64::granule_shift(granule)
                                  : vmsa64::level_shift(static_cast<int>(ttl), granule);
  const auto va = cmd1::Va::get(command.dw1);
  return (va & (page_bytes(shift) - 1)) != 0 ? RangeFault::kMisaligned : RangeFault::kNone;
}

/// What of an SMMU decides how its TLBI commands are read.
struct InvalidationRules {
  bool range_invalidation{true};  ///< IDR3.RIL
  bool stage2{};                  ///< IDR0.S2P: VMIDs are compared
  bool e2h{};                     ///< CR2.E2H: the EL2 commands mean EL2&0
};

/// The entries that a legal TLBI command removes.
constexpr Invalidation decode_invalidation(const Command& command, const InvalidationRules& rules) {
  using Scope = Invalidation::Scope;
  Invalidation result;
  result.asid = Asid{static_cast<std::uint16_t>(cmd0::AsidField::get(command.dw0))};
  if (rules.stage2) {
    result.vmid = Vmid{static_cast<std::uint16_t>(cmd0::VmidField::get(command.dw0))};
  }
  switch (opcode_of(command)) {
    case Opcode::kTlbiNhAsid:
      result.scope = Scope::kAsid;
      return result;
    case Opcode::kTlbiEl2Asid:
      result.scope = Scope::kAsid;
      result.regime = Regime::kEl2E2h;
      result.vmid.reset();
      return result;
    case Opcode::kTlbiNhVa:
      result.scope = Scope::kVa;
      break;
    case Opcode::kTlbiEl2Va:
      // Without E2H the regime has no ASIDs, and none is compared.
      result.scope = rules.e2h ? Scope::kVa : Scope::kVaAnyAsid;
      result.regime = rules.e2h ? Regime::kEl2E2h : Regime::kEl2;
      result.vmid.reset();
      break;
    case Opcode::kTlbiNhVaa:
      result.scope = Scope::kVaAnyAsid;
      break;
    case Opcode::kTlbiEl2Vaa:
      result.scope = Scope::kVaAnyAsid;
      result.regime = rules.e2h ? Regime::kEl2E2h : Regime::kEl2;
      result.vmid.reset();
      break;
    case Opcode::kTlbiS2Ipa:
      result.scope = Scope::kVaAnyAsid;
      result.regime = Regime::kStage2;
      break;
    case Opcode::kTlbiEl2All:
      result.scope = Scope::kAll;
      result.regime = Regime::kEl2;
      result.vmid.reset();
      return result;
    case Opcode::kTlbiNsnhAll:
      result.scope = Scope::kAll;
      result.with_stage2 = true;
      result.vmid.reset();
      return result;
    case Opcode::kTlbiS12Vmall:
      result.scope = Scope::kAll;
      result.with_stage2 = true;
      return result;
    default:  // CMD_TLBI_NH_ALL
      result.scope = Scope::kAll;
      return result;
  }
  result.leaf_only = cmd1::Leaf::get(command.dw1) != 0;
  result.start = opcode_of(command) == Opcode::kTlbiS2Ipa ? cmd1::Ipa::get(command.dw1)
                                                          : cmd1::Va::get(command.dw1);
  const auto tg = rules.range_invalidation ? cmd1::Tg::get(command.dw1) : 0;
  if (tg == 0) {
    result.last = result.start + kPageSize - 1;
    return result;
  }
  const auto granule = static_cast<vmsa64::Granule>(tg - 1);
  result.granule = granule;
  const unsigned ttl = effective_ttl(command);
  if (ttl != 0) result.level = static_cast<int>(ttl);
  const unsigned shift = vmsa64::granule_shift(granule);
  const auto pages = (cmd0::Num::get(command.dw0) + 1) << cmd0::Scale::get(command.dw0);
  // A range does not run past the top of the address space, nor out of its half into the other.
  const std::uint64_t room = ~std::uint64_t{0} - result.start;
  const bool beyond = (pages >> (64 - shift)) != 0 || (pages << shift) - 1 > room;
  result.last = beyond ? ~std::uint64_t{0} : result.start + (pages << shift) - 1;
  constexpr std::uint64_t kHalf = std::uint64_t{1} << 55;
  if (result.start < kHalf && result.last >= kHalf) result.last = kHalf - 1;
  return result;
}

static_assert(range_fault({0x0012000000000012, 0x00007f0012345400}, true) == RangeFault::kReserved);
static_assert(decode_invalidation({0x0012000000204012, 0x00007f0012344701}, {}).last -
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

/// A command in words that every secondary MMU shares.
constexpr Maintenance describe(const Command& command, const InvalidationRules& rules) {
  const Opcode opcode = opcode_of(command);
  Maintenance result;
  result.command = name_of(opcode);
  result.word0 = {command.dw0};
  result.word1 = {command.dw1};
  if (is_tlbi(opcode)) {
    result.what = MaintenanceKind::kTlb;
    result.invalidation = decode_invalidation(command, rules);
    return result;
  }
  switch (opcode) {
    case Opcode::kAtcInv:
      result.what = MaintenanceKind::kAtc;
      result.invalidation = decode_atc_inv(command);
      result.stream_id = StreamId{static_cast<std::uint32_t>(cmd0::Sid::get(command.dw0))};
      break;
    case Opcode::kCfgiSte:
    case Opcode::kCfgiSteRange:
    case Opcode::kCfgiCd:
    case Opcode::kCfgiCdAll:
      result.what = MaintenanceKind::kConfiguration;
      result.stream_id = StreamId{static_cast<std::uint32_t>(cmd0::Sid::get(command.dw0))};
      break;
    case Opcode::kResume:
    case Opcode::kStallTerm:
    case Opcode::kPriResp:
      result.stream_id = StreamId{static_cast<std::uint32_t>(cmd0::Sid::get(command.dw0))};
      break;
    case Opcode::kSync:
      result.what = MaintenanceKind::kBarrier;
      break;
    default:
      break;
  }
  return result;
}

}  // namespace shootdown::arch::smmuv3

#endif
