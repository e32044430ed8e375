// SMMUv3 register map: offsets, fields and the identification values, Non-secure interface.
// Source: Arm IHI 0070, chapter 6.
#ifndef SHOOTDOWN_HW_ARCH_SMMUV3_REGISTERS_H
#define SHOOTDOWN_HW_ARCH_SMMUV3_REGISTERS_H

#include <cstdint>

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
inline constexpr std::uint32_t kGbpa = 0x0044;
inline constexpr std::uint32_t kIrqCtrl = 0x0050;
inline constexpr std::uint32_t kIrqCtrlAck = 0x0054;
inline constexpr std::uint32_t kGerror = 0x0060;
inline constexpr std::uint32_t kGerrorN = 0x0064;
inline constexpr std::uint32_t kStrtabBase = 0x0080;  // 64 bits
inline constexpr std::uint32_t kStrtabBaseCfg = 0x0088;
inline constexpr std::uint32_t kCmdqBase = 0x0090;  // 64 bits
inline constexpr std::uint32_t kCmdqProd = 0x0098;
inline constexpr std::uint32_t kCmdqCons = 0x009c;
inline constexpr std::uint32_t kEventqBase = 0x00a0;   // 64 bits
inline constexpr std::uint32_t kEventqProd = 0x100a8;  // page 1
inline constexpr std::uint32_t kEventqCons = 0x100ac;  // page 1
}  // namespace reg

namespace idr0 {
using S2p = BitField<0, 0>;
using S1p = BitField<1, 1>;
using Ttf = BitField<3, 2>;  ///< 2 = AArch64 only
using Cohacc = BitField<4, 4>;
using Btm = BitField<5, 5>;
using Hyp = BitField<9, 9>;
using Ats = BitField<10, 10>;
using Asid16 = BitField<12, 12>;
using Msi = BitField<13, 13>;
using Sev = BitField<14, 14>;
using Pri = BitField<16, 16>;
using Cd2l = BitField<19, 19>;
using Ttendian = BitField<22, 21>;    ///< 2 = little
using StallModel = BitField<25, 24>;  ///< 0 stall and terminate, 1 terminate only, 2 stall forced
using TermModel = BitField<26, 26>;
using StLevel = BitField<28, 27>;  ///< 0 linear only
}  // namespace idr0

inline constexpr unsigned kStallModelBoth = 0;
inline constexpr unsigned kStallModelTerminate = 1;

namespace idr1 {
using SidSize = BitField<5, 0>;
using SsidSize = BitField<10, 6>;
using Priqs = BitField<15, 11>;
using Eventqs = BitField<20, 16>;  ///< log2 of the largest queue
using Cmdqs = BitField<25, 21>;
}  // namespace idr1

namespace idr3 {
using Ril = BitField<10, 10>;  ///< range invalidation and level hints
using Bbml = BitField<12, 11>;
}  // namespace idr3

namespace idr5 {
using Oas = BitField<2, 0>;  ///< 5 = 48 bits
using Gran4k = BitField<4, 4>;
using StallMax = BitField<31, 16>;
}  // namespace idr5

namespace cr0 {
using Smmuen = BitField<0, 0>;
using Priqen = BitField<1, 1>;
using Eventqen = BitField<2, 2>;
using Cmdqen = BitField<3, 3>;
using Atschk = BitField<4, 4>;
inline constexpr std::uint32_t kWritable = 0x1d;  ///< PRIQEN and VMW need features not present
}  // namespace cr0

namespace cr2 {
using E2h = BitField<0, 0>;
using RecInvSid = BitField<1, 1>;
using Ptm = BitField<2, 2>;  ///< 1: ignore broadcast TLB maintenance
}  // namespace cr2

namespace gbpa {
using Abort = BitField<20, 20>;
using Update = BitField<31, 31>;
}  // namespace gbpa

namespace irq_ctrl {
using Gerror = BitField<0, 0>;
using Eventq = BitField<2, 2>;
}  // namespace irq_ctrl

namespace gerror {
using CmdqErr = BitField<0, 0>;
using EventqAbt = BitField<2, 2>;
}  // namespace gerror

namespace strtab_base {
using Addr = AddressField<51, 6>;
}
namespace strtab_base_cfg {
using Log2Size = BitField<5, 0>;
using Fmt = BitField<17, 16>;  ///< 0 linear
}  // namespace strtab_base_cfg

namespace queue_base {
using Log2Size = BitField<4, 0>;
using Addr = AddressField<51, 5>;
}  // namespace queue_base

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

/// CMDQ_CONS.ERR
enum class CommandErrorCode : std::uint8_t { kNone = 0, kIll = 1, kAbt = 2, kAtcInvSync = 3 };

}  // namespace shootdown::arch::smmuv3

#endif
