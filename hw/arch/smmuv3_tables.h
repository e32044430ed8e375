// SMMUv3 stream table entries (STE) and context descriptors (CD), 64 bytes each.
// Source: Arm IHI 0070, chapter 5. Fields of stage 2 and of features not modelled are left out.
#ifndef SHOOTDOWN_HW_ARCH_SMMUV3_TABLES_H
#define SHOOTDOWN_HW_ARCH_SMMUV3_TABLES_H

#include <array>
#include <cstdint>

#include "hw/arch/bit_field.h"
#include "hw/arch/types.h"

namespace shootdown::arch::smmuv3 {

inline constexpr std::uint64_t kSteBytes = 64;
inline constexpr std::uint64_t kCdBytes = 64;
inline constexpr unsigned kStructureWords = 8;
using Ste = std::array<std::uint64_t, kStructureWords>;
using Cd = std::array<std::uint64_t, kStructureWords>;

namespace ste0 {
using Valid = BitField<0, 0>;
using Config = BitField<3, 1>;
using S1Fmt = BitField<5, 4>;
using S1ContextPtr = AddressField<51, 6>;
using S1CdMax = BitField<63, 59>;  ///< log2 of the number of CDs; 0 = no substreams
}  // namespace ste0

inline constexpr unsigned kSteConfigBypass = 4;
inline constexpr unsigned kSteConfigS1 = 5;

namespace ste1 {
using S1Dss = BitField<1, 0>;  ///< traffic without SubstreamID when substreams are on
using S1Cir = BitField<3, 2>;
using S1Cor = BitField<5, 4>;
using S1Csh = BitField<7, 6>;
using Mev = BitField<19, 19>;
using S1Stalld = BitField<27, 27>;
using Eats = BitField<29, 28>;
using Strw = BitField<31, 30>;
}  // namespace ste1

inline constexpr unsigned kS1DssTerminate = 0;
inline constexpr unsigned kS1DssBypass = 1;
inline constexpr unsigned kS1DssSsid0 = 2;
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
using Epd1 = BitField<30, 30>;
using Valid = BitField<31, 31>;
using Ips = BitField<34, 32>;
using Affd = BitField<35, 35>;
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
using Ttb0 = AddressField<51, 4>;
}
namespace cd2 {
using Ttb1 = AddressField<51, 4>;
}

inline constexpr unsigned kTg0Granule4k = 0;
inline constexpr unsigned kTg1Granule4k = 2;

/// Output address bits for CD.IPS and IDR5.OAS: 32, 36, 40, 42, 44, 48, 52.
constexpr unsigned address_bits(std::uint64_t ips) {
  constexpr std::array<unsigned, 8> kBits{32, 36, 40, 42, 44, 48, 52, 52};
  return kBits[ips & 7];
}

}  // namespace shootdown::arch::smmuv3

#endif
