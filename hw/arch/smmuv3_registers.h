// SMMUv3 register map: offsets, fields and the identification values, Non-secure interface.
// Source: Arm IHI 0070, chapter 6.
#ifndef SHOOTDOWN_HW_ARCH_SMMUV3_REGISTERS_H
#define SHOOTDOWN_HW_ARCH_SMMUV3_REGISTERS_H

#include <cstdint>
#include <string_view>

#include "hw/arch/bit_field.h"

namespace shootdown::arch::smmuv3 {

inline constexpr std::uint64_t kRegisterPageBytes = 0x10000;
inline constexpr std::uint64_t kRegisterBytes = 2 * kRegisterPageBytes;

namespace reg {
inline constexpr std::uint32_t kIdr0 = 0x0000;
inline constexpr std::uint32_t kIdr1 = 0x0004;
inline constexpr std::uint32_t kIdr2 = 0x0008;
inline constexpr std::uint32_t kIdr3 = 0x000c;
inline constexpr std::uint32_t kIdr4 = 0x0010;
inline constexpr std::uint32_t kIdr5 = 0x0014;
inline constexpr std::uint32_t kIidr = 0x0018;
inline constexpr std::uint32_t kAidr = 0x001c;
inline constexpr std::uint32_t kCr0 = 0x0020;
inline constexpr std::uint32_t kCr0Ack = 0x0024;
inline constexpr std::uint32_t kCr1 = 0x0028;
inline constexpr std::uint32_t kCr2 = 0x002c;
inline constexpr std::uint32_t kStatusr = 0x0040;
inline constexpr std::uint32_t kGbpa = 0x0044;
inline constexpr std::uint32_t kAgbpa = 0x0048;
inline constexpr std::uint32_t kIrqCtrl = 0x0050;
inline constexpr std::uint32_t kIrqCtrlAck = 0x0054;
inline constexpr std::uint32_t kGerror = 0x0060;
inline constexpr std::uint32_t kGerrorN = 0x0064;
inline constexpr std::uint32_t kGerrorIrqCfg0 = 0x0068;  // 64 bits
inline constexpr std::uint32_t kGerrorIrqCfg1 = 0x0070;
inline constexpr std::uint32_t kGerrorIrqCfg2 = 0x0074;
inline constexpr std::uint32_t kStrtabBase = 0x0080;  // 64 bits
inline constexpr std::uint32_t kStrtabBaseCfg = 0x0088;
inline constexpr std::uint32_t kCmdqBase = 0x0090;  // 64 bits
inline constexpr std::uint32_t kCmdqProd = 0x0098;
inline constexpr std::uint32_t kCmdqCons = 0x009c;
inline constexpr std::uint32_t kEventqBase = 0x00a0;     // 64 bits
inline constexpr std::uint32_t kEventqIrqCfg0 = 0x00b0;  // 64 bits
inline constexpr std::uint32_t kEventqIrqCfg1 = 0x00b8;
inline constexpr std::uint32_t kEventqIrqCfg2 = 0x00bc;
inline constexpr std::uint32_t kPriqBase = 0x00c0;     // 64 bits
inline constexpr std::uint32_t kPriqIrqCfg0 = 0x00d0;  // 64 bits
inline constexpr std::uint32_t kPriqIrqCfg1 = 0x00d8;
inline constexpr std::uint32_t kPriqIrqCfg2 = 0x00dc;
// Page 1, or at the same offset of page 0 where a driver looks there.
inline constexpr std::uint32_t kEventqProd = 0x100a8;
inline constexpr std::uint32_t kEventqCons = 0x100ac;
inline constexpr std::uint32_t kPriqProd = 0x100c8;
inline constexpr std::uint32_t kPriqCons = 0x100cc;
}  // namespace reg

namespace idr0 {
using S2p = BitField<0, 0>;
using S1p = BitField<1, 1>;
using Ttf = BitField<3, 2>;  ///< 2 = AArch64 only
using Cohacc = BitField<4, 4>;
using Btm = BitField<5, 5>;
using Httu = BitField<7, 6>;  ///< 0 none, 1 access flag, 2 access flag and dirty state
using Hyp = BitField<9, 9>;
using Ats = BitField<10, 10>;
using Ns1ats = BitField<11, 11>;  ///< no split-stage ATS
using Asid16 = BitField<12, 12>;
using Msi = BitField<13, 13>;
using Sev = BitField<14, 14>;
using Atos = BitField<15, 15>;
using Pri = BitField<16, 16>;
using Vmw = BitField<17, 17>;
using Vmid16 = BitField<18, 18>;
using Cd2l = BitField<19, 19>;
using Ttendian = BitField<22, 21>;  ///< 2 = little
using Atsrecerr = BitField<23, 23>;
using StallModel = BitField<25, 24>;  ///< 0 stall and terminate, 1 terminate only, 2 stall forced
using TermModel = BitField<26, 26>;   ///< 1: abort only
using StLevel = BitField<28, 27>;     ///< 0 linear only, 1 two levels too
}  // namespace idr0

inline constexpr unsigned kStallModelTerminateOnly = 1;
inline constexpr unsigned kShcfgIncoming = 1;

namespace idr1 {
using SidSize = BitField<5, 0>;
using SsidSize = BitField<10, 6>;
using Priqs = BitField<15, 11>;
using Eventqs = BitField<20, 16>;  ///< log2 of the largest queue
using Cmdqs = BitField<25, 21>;
using AttrPermsOvr = BitField<26, 26>;
using AttrTypesOvr = BitField<27, 27>;
using Rel = BitField<28, 28>;
using QueuesPreset = BitField<29, 29>;
using TablesPreset = BitField<30, 30>;
}  // namespace idr1

namespace idr3 {
using Had = BitField<2, 2>;
using Xnx = BitField<4, 4>;
using Fwb = BitField<8, 8>;
using Stt = BitField<9, 9>;
using Ril = BitField<10, 10>;  ///< range invalidation and level hints
using Bbml = BitField<12, 11>;
}  // namespace idr3

namespace idr5 {
using Oas = BitField<2, 0>;  ///< 5 = 48 bits
using Gran4k = BitField<4, 4>;
using Gran16k = BitField<5, 5>;
using Gran64k = BitField<6, 6>;
using Vax = BitField<11, 10>;  ///< 0 = 48 bits, 1 = 52 bits
using StallMax = BitField<31, 16>;
}  // namespace idr5

namespace cr0 {
using Smmuen = BitField<0, 0>;
using Priqen = BitField<1, 1>;
using Eventqen = BitField<2, 2>;
using Cmdqen = BitField<3, 3>;
using Atschk = BitField<4, 4>;
using Vmw = BitField<8, 6>;  ///< VMID bits that an invalidation does not compare
}  // namespace cr0

/// Attributes of what the SMMU reads and writes by itself (section 6.3.10). IC, OC: 0
/// non-cacheable, 1 write-back, 2 write-through. SH: 0 non-shareable, 2 outer, 3 inner.
namespace cr1 {
using QueueIc = BitField<1, 0>;
using QueueOc = BitField<3, 2>;
using QueueSh = BitField<5, 4>;
using TableIc = BitField<7, 6>;
using TableOc = BitField<9, 8>;
using TableSh = BitField<11, 10>;
}  // namespace cr1

namespace cr2 {
using E2h = BitField<0, 0>;
using RecInvSid = BitField<1, 1>;
using Ptm = BitField<2, 2>;        ///< 1: ignore broadcast TLB maintenance
using RecCfgAts = BitField<3, 3>;  ///< record configuration errors of ATS traffic
}  // namespace cr2

namespace gbpa {
using Shcfg = BitField<13, 12>;
using Abort = BitField<20, 20>;
using Update = BitField<31, 31>;
}  // namespace gbpa

namespace irq_ctrl {
using Gerror = BitField<0, 0>;
using Priq = BitField<1, 1>;
using Eventq = BitField<2, 2>;
}  // namespace irq_ctrl

namespace gerror {
using CmdqErr = BitField<0, 0>;
using EventqAbt = BitField<2, 2>;
using PriqAbt = BitField<3, 3>;
using MsiCmdqAbt = BitField<4, 4>;
using MsiEventqAbt = BitField<5, 5>;
using MsiPriqAbt = BitField<6, 6>;
using MsiGerrorAbt = BitField<7, 7>;
}  // namespace gerror

namespace strtab_base {
using Addr = AddressField<51, 6>;
}
namespace strtab_base_cfg {
using Log2Size = BitField<5, 0>;
using Split = BitField<10, 6>;  ///< StreamID bits of the second level: 6, 8 or 10
using Fmt = BitField<17, 16>;   ///< 0 linear
}  // namespace strtab_base_cfg

namespace queue_base {
using Log2Size = BitField<4, 0>;
using Addr = AddressField<51, 5>;
}  // namespace queue_base

/// Where a queue of `bytes` starts: its base is aligned to its size, and to 32 bytes at least
/// (section 6.3.26).
constexpr std::uint64_t queue_start(std::uint64_t base_register, std::uint64_t bytes) {
  const std::uint64_t base = queue_base::Addr::get(base_register);
  return bytes > 32 ? base & ~(bytes - 1) : base;
}

/// PROD and CONS: an index of log2size bits with a wrap bit above it (section 3.5.1).
struct QueueIndex {
  static constexpr std::uint32_t next(std::uint32_t value, unsigned log2size) {
    return (value + 1) & ((std::uint32_t{2} << log2size) - 1);
  }
  static constexpr std::uint32_t slot(std::uint32_t value, unsigned log2size) {
    return value & ((std::uint32_t{1} << log2size) - 1);
  }
  static constexpr bool empty(std::uint32_t prod, std::uint32_t cons, unsigned log2size) {
    return ((prod ^ cons) & ((std::uint32_t{2} << log2size) - 1)) == 0;
  }
  static constexpr bool full(std::uint32_t prod, std::uint32_t cons, unsigned log2size) {
    return ((prod ^ cons) & ((std::uint32_t{2} << log2size) - 1)) == std::uint32_t{1} << log2size;
  }
};
static_assert(QueueIndex::next(3, 1) == 0 && QueueIndex::full(2, 0, 1) &&
              QueueIndex::empty(2, 2, 1));

namespace cmdq_cons {
using Rd = BitField<19, 0>;
using Err = BitField<30, 24>;
}  // namespace cmdq_cons

namespace eventq {
using Index = BitField<19, 0>;
using Overflow = BitField<31, 31>;  ///< OVFLG in PROD, OVACKFLG in CONS
}  // namespace eventq

namespace irq_cfg {
using Addr = AddressField<51, 2>;
using PriqLastOnly = BitField<31, 31>;  ///< PRIQ_IRQ_CFG2.LO
}  // namespace irq_cfg

/// CMDQ_CONS.ERR
enum class CommandErrorCode : std::uint8_t { kNone = 0, kIll = 1, kAbt = 2, kAtcInvSync = 3 };
constexpr std::string_view name_of(CommandErrorCode code) {
  switch (code) {
    case CommandErrorCode::kNone:
      return "CERROR_NONE";
    case CommandErrorCode::kIll:
      return "CERROR_ILL";
    case CommandErrorCode::kAbt:
      return "CERROR_ABT";
    case CommandErrorCode::kAtcInvSync:
      return "CERROR_ATC_INV_SYNC";
  }
  return "CERROR_?";
}

}  // namespace shootdown::arch::smmuv3

#endif
