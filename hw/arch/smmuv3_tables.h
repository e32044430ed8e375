// SMMUv3 stream table entries (STE) and context descriptors (CD), 64 bytes each, and the
// first-level descriptors of their two-level tables. Source: Arm IHI 0070, chapter 5. Fields of the
// Secure state, MPAM and DPT are left out.
#ifndef SHOOTDOWN_HW_ARCH_SMMUV3_TABLES_H
#define SHOOTDOWN_HW_ARCH_SMMUV3_TABLES_H

#include <array>
#include <cstdint>
#include <optional>

#include "hw/arch/bit_field.h"
#include "hw/arch/types.h"
#include "hw/arch/vmsa64.h"

namespace shootdown::arch::smmuv3 {

inline constexpr std::uint64_t kSteBytes = 64;
inline constexpr std::uint64_t kCdBytes = 64;
inline constexpr unsigned kStructureWords = 8;
using Ste = std::array<std::uint64_t, kStructureWords>;
using Cd = std::array<std::uint64_t, kStructureWords>;

/// First level of a two-level stream table, 8 bytes.
inline constexpr std::uint64_t kL1DescriptorBytes = 8;
namespace l1std {
using Span = BitField<4, 0>;  ///< 2^(Span - 1) STEs; 0: none
using L2Ptr = AddressField<55, 6>;
}  // namespace l1std
inline constexpr unsigned kL1stdSpanMax = 11;  ///< larger ones are reserved and count as 0

/// First level of a two-level CD table, 8 bytes.
namespace l1cd {
using Valid = BitField<0, 0>;
using L2Ptr = AddressField<55, 12>;
}  // namespace l1cd

namespace ste0 {
using Valid = BitField<0, 0>;
using Config = BitField<3, 1>;
using S1Fmt = BitField<5, 4>;
using S1ContextPtr = AddressField<55, 6>;
using S1CdMax = BitField<63, 59>;  ///< log2 of the number of CDs; 0 = no substreams
}  // namespace ste0

inline constexpr unsigned kSteConfigBypass = 4;
inline constexpr unsigned kSteConfigS1 = 5;
inline constexpr unsigned kSteConfigS2 = 6;
inline constexpr unsigned kSteConfigNested = 7;

inline constexpr unsigned kS1FmtLinear = 0;
inline constexpr unsigned kS1Fmt4kLeaf = 1;   ///< two levels, 64 CDs a leaf
inline constexpr unsigned kS1Fmt64kLeaf = 2;  ///< two levels, 1024 CDs a leaf

namespace ste1 {
using S1Dss = BitField<1, 0>;  ///< traffic without SubstreamID when substreams are on
using S1Cir = BitField<3, 2>;
using S1Cor = BitField<5, 4>;
using S1Csh = BitField<7, 6>;
using Cont = BitField<16, 13>;
using Mev = BitField<19, 19>;  ///< events may be merged
using S2Fwb = BitField<25, 25>;
using S1Stalld = BitField<27, 27>;
using Eats = BitField<29, 28>;
using Strw = BitField<31, 30>;
using MemAttr = BitField<35, 32>;
using Mtcfg = BitField<36, 36>;
using Alloccfg = BitField<40, 37>;
using Shcfg = BitField<45, 44>;
using Nscfg = BitField<47, 46>;
using Privcfg = BitField<49, 48>;  ///< 2 unprivileged, 3 privileged, else as the transaction says
using Instcfg = BitField<51, 50>;  ///< 2 data, 3 instruction, else as the transaction says
}  // namespace ste1

namespace ste2 {
using S2Vmid = BitField<15, 0>;
using S2T0sz = BitField<37, 32>;
using S2Sl0 = BitField<39, 38>;
using S2Ir0 = BitField<41, 40>;
using S2Or0 = BitField<43, 42>;
using S2Sh0 = BitField<45, 44>;
using S2Tg = BitField<47, 46>;  ///< 0 = 4 KiB, 1 = 64 KiB, 2 = 16 KiB
using S2Ps = BitField<50, 48>;
using S2Aa64 = BitField<51, 51>;
using S2Endi = BitField<52, 52>;
using S2Affd = BitField<53, 53>;
using S2Ptw = BitField<54, 54>;
using S2Hd = BitField<55, 55>;
using S2Ha = BitField<56, 56>;
using S2S = BitField<57, 57>;
using S2R = BitField<58, 58>;
/// S2T0SZ to S2PS: VTCR_EL2 as the STE has it.
inline constexpr std::uint64_t kVtcrMask = BitField<50, 32>::kMask;
}  // namespace ste2
namespace ste3 {
using S2Ttb = AddressField<51, 4>;
}

inline constexpr unsigned kS1DssTerminate = 0;
inline constexpr unsigned kS1DssBypass = 1;
inline constexpr unsigned kS1DssSsid0 = 2;
inline constexpr unsigned kEatsFull = 1;
inline constexpr unsigned kEatsSplit = 2;
inline constexpr unsigned kPrivcfgUnprivileged = 2;
inline constexpr unsigned kPrivcfgPrivileged = 3;
inline constexpr unsigned kInstcfgData = 2;
inline constexpr unsigned kInstcfgInstruction = 3;
inline constexpr unsigned kStrwNsEl1 = 0;
inline constexpr unsigned kStrwEl2 = 2;

namespace cd0 {
using T0sz = BitField<5, 0>;
using Tg0 = BitField<7, 6>;  ///< 0 = 4 KiB
using Ir0 = BitField<9, 8>;
using Or0 = BitField<11, 10>;
using Sh0 = BitField<13, 12>;
using Epd0 = BitField<14, 14>;
using Endi = BitField<15, 15>;
using T1sz = BitField<21, 16>;
using Tg1 = BitField<23, 22>;  ///< 2 = 4 KiB (not the encoding of TG0)
using Ir1 = BitField<25, 24>;
using Or1 = BitField<27, 26>;
using Sh1 = BitField<29, 28>;
using Epd1 = BitField<30, 30>;
using Valid = BitField<31, 31>;
using Ips = BitField<34, 32>;
using Affd = BitField<35, 35>;
using Wxn = BitField<36, 36>;
using Uwxn = BitField<37, 37>;
using Tbi0 = BitField<38, 38>;
using Tbi1 = BitField<39, 39>;
using Pan = BitField<40, 40>;
using Aa64 = BitField<41, 41>;
using Hd = BitField<42, 42>;
using Ha = BitField<43, 43>;
using S = BitField<44, 44>;  ///< stall on 0x10..0x13
using R = BitField<45, 45>;  ///< record when not stalling
using A = BitField<46, 46>;  ///< abort (1) or RAZ/WI (0)
using Aset = BitField<47, 47>;
using AsidField = BitField<63, 48>;
}  // namespace cd0

namespace cd1 {
using Had0 = BitField<1, 1>;  ///< hierarchical permissions off
using E0pd0 = BitField<2, 2>;
using Haft = BitField<3, 3>;
using Ttb0 = AddressField<51, 4>;
}  // namespace cd1
namespace cd2 {
using Had1 = BitField<1, 1>;
using E0pd1 = BitField<2, 2>;
using Ttb1 = AddressField<51, 4>;
}  // namespace cd2

inline constexpr unsigned kTg0Granule4k = 0;
inline constexpr unsigned kTg1Granule4k = 2;

/// TG0 and S2TG: 0 = 4 KiB, 1 = 64 KiB, 2 = 16 KiB. Nothing for the reserved value.
constexpr std::optional<vmsa64::Granule> granule_of_tg0(std::uint64_t tg) {
  using vmsa64::Granule;
  constexpr std::array<Granule, 3> kGranules{Granule::k4k, Granule::k64k, Granule::k16k};
  return tg < kGranules.size() ? std::optional(kGranules[tg]) : std::nullopt;
}
/// TG1: 1 = 16 KiB, 2 = 4 KiB, 3 = 64 KiB.
constexpr std::optional<vmsa64::Granule> granule_of_tg1(std::uint64_t tg) {
  using vmsa64::Granule;
  constexpr std::array<Granule, 3> kGranules{Granule::k16k, Granule::k4k, Granule::k64k};
  return tg >= 1 && tg <= kGranules.size() ? std::optional(kGranules[tg - 1]) : std::nullopt;
}

/// Output address bits for CD.IPS and IDR5.OAS: 32, 36, 40, 42, 44, 48, 52.
constexpr unsigned address_bits(std::uint64_t ips) {
  constexpr std::array<unsigned, 8> kBits{32, 36, 40, 42, 44, 48, 52, 52};
  return kBits[ips & 7];
}

}  // namespace shootdown::arch::smmuv3

#endif
