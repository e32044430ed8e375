// CPU TLB maintenance: the TLBI instructions and their operands.
// Source: Arm ARM (DDI 0487), C5.5 "A64 system instructions for TLB maintenance".
#ifndef SHOOTDOWN_HW_ARCH_TLBI_H
#define SHOOTDOWN_HW_ARCH_TLBI_H

#include <cstdint>
#include <string_view>

#include "hw/arch/bit_field.h"
#include "hw/arch/invalidation.h"
#include "hw/arch/types.h"

namespace shootdown::arch {

/// The Inner Shareable EL1 forms: each reaches every CPU of the domain (and an SMMU that takes
/// part in broadcast maintenance).
enum class TlbiOp : std::uint8_t {
  kVmalle1is,
  kVae1is,
  kAside1is,
  kVaae1is,
  kVale1is,
  kVaale1is,
  kRvae1is,
  kRvaae1is,
  kRvale1is,
  kRvaale1is,
};

constexpr std::string_view name_of(TlbiOp op) {
  switch (op) {
    case TlbiOp::kVmalle1is:
      return "VMALLE1IS";
    case TlbiOp::kVae1is:
      return "VAE1IS";
    case TlbiOp::kAside1is:
      return "ASIDE1IS";
    case TlbiOp::kVaae1is:
      return "VAAE1IS";
    case TlbiOp::kVale1is:
      return "VALE1IS";
    case TlbiOp::kVaale1is:
      return "VAALE1IS";
    case TlbiOp::kRvae1is:
      return "RVAE1IS";
    case TlbiOp::kRvaae1is:
      return "RVAAE1IS";
    case TlbiOp::kRvale1is:
      return "RVALE1IS";
    case TlbiOp::kRvaale1is:
      return "RVAALE1IS";
  }
  return "?";
}

/// Operand of the single-address forms.
namespace tlbi_va {
using VaPage = BitField<43, 0>;  ///< VA[55:12]
using Ttl = BitField<47, 44>;    ///< granule(2):level(2); 0 = no hint
using AsidField = BitField<63, 48>;
}  // namespace tlbi_va

/// Operand of the range forms (FEAT_TLBIRANGE).
namespace tlbi_range {
using BaseAddr = BitField<36, 0>;  ///< in granules
using Ttl = BitField<38, 37>;
using Num = BitField<43, 39>;
using Scale = BitField<45, 44>;
using Tg = BitField<47, 46>;  ///< 1 = 4 KiB
using AsidField = BitField<63, 48>;
}  // namespace tlbi_range

/// Pages covered by a range operand: (NUM + 1) * 2^(5 * SCALE + 1).
constexpr std::uint64_t tlbi_range_pages(unsigned scale, unsigned num) {
  return (std::uint64_t{num} + 1) << (5 * scale + 1);
}
static_assert(tlbi_range_pages(0, 0) == 2 && tlbi_range_pages(1, 7) == 512);

/// Sign-extends VA bit 48 downwards, so that both halves of the address space compare as numbers.
constexpr std::uint64_t canonical(std::uint64_t va_bits_55_0) {
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(va_bits_55_0 << 8) >> 8);
}

/// Decodes an operand register as the hardware does. Level hints (TTL) are ignored: removing more
/// than the hint asks for is always permitted.
constexpr Invalidation decode_tlbi(TlbiOp op, std::uint64_t operand) {
  using Scope = Invalidation::Scope;
  Invalidation result;
  result.asid = Asid{static_cast<std::uint16_t>(tlbi_va::AsidField::get(operand))};
  switch (op) {
    case TlbiOp::kVmalle1is:
      result.scope = Scope::kAll;
      return result;
    case TlbiOp::kAside1is:
      result.scope = Scope::kAsid;
      return result;
    case TlbiOp::kVae1is:
    case TlbiOp::kVale1is:
    case TlbiOp::kRvae1is:
    case TlbiOp::kRvale1is:
      result.scope = Scope::kVa;
      break;
    default:
      result.scope = Scope::kVaAnyAsid;
      break;
  }
  result.leaf_only = op == TlbiOp::kVale1is || op == TlbiOp::kVaale1is || op == TlbiOp::kRvale1is ||
                     op == TlbiOp::kRvaale1is;
  if (op >= TlbiOp::kRvae1is) {
    // BaseADDR holds VA[48:12]; the range does not wrap into the other half.
    const auto base = static_cast<std::uint64_t>(
        static_cast<std::int64_t>(tlbi_range::BaseAddr::get(operand) << 27) >> 15);
    const std::uint64_t bytes =
        tlbi_range_pages(static_cast<unsigned>(tlbi_range::Scale::get(operand)),
                         static_cast<unsigned>(tlbi_range::Num::get(operand)))
        << kPageShift;
    result.start = base;
    result.last = base + bytes - 1 < base ? ~std::uint64_t{0} : base + bytes - 1;
  } else {
    result.start = canonical(tlbi_va::VaPage::get(operand) << kPageShift);
    result.last = result.start + kPageSize - 1;
  }
  return result;
}

}  // namespace shootdown::arch

#endif
