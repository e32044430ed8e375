#include "conform/reference/reference_features.h"

#include <algorithm>
#include <array>

#include "conform/reference/reference_bits.h"

namespace shootdown::conform::reference {

namespace {

constexpr std::array<unsigned, 8> kAddressSizes{32, 36, 40, 42, 44, 48, 52, 52};

}  // namespace

Features::Features(const Identification& id)
    : stage1(bit(id.idr0, 1)),
      stage2(bit(id.idr0, 0)),
      aarch32_tables(bit(id.idr0, 2)),
      aarch64_tables(bit(id.idr0, 3)),
      httu(static_cast<unsigned>(bits(id.idr0, 7, 6))),
      hyp(bit(id.idr0, 9)),
      ats(bit(id.idr0, 10)),
      ns1ats(bit(id.idr0, 11)),
      asid16(bit(id.idr0, 12)),
      vmid16(bit(id.idr0, 18)),
      cd2l(bit(id.idr0, 19)),
      ttendian(static_cast<unsigned>(bits(id.idr0, 22, 21))),
      stall_model(static_cast<unsigned>(bits(id.idr0, 25, 24))),
      term_model(bit(id.idr0, 26)),
      two_level_streams(bits(id.idr0, 28, 27) != 0),
      sid_size(static_cast<unsigned>(bits(id.idr1, 5, 0))),
      ssid_size(static_cast<unsigned>(bits(id.idr1, 10, 6))),
      attr_perms_ovr(bit(id.idr1, 26)),
      had(bit(id.idr3, 2)),
      xnx(bit(id.idr3, 4)),
      fwb(bit(id.idr3, 8)),
      stt(bit(id.idr3, 9)),
      e0pd(bit(id.idr3, 13)),
      oas_bits(kAddressSizes[bits(id.idr5, 2, 0)]),
      granule_4k(bit(id.idr5, 4)),
      granule_16k(bit(id.idr5, 5)),
      granule_64k(bit(id.idr5, 6)),
      va_52(bits(id.idr5, 11, 10) != 0),
      v3_0(bits(id.aidr, 7, 0) == 0) {}

unsigned Features::ias_bits() const { return aarch32_tables ? std::max(40U, oas_bits) : oas_bits; }

unsigned Features::output_bits(unsigned encoded) const {
  // 52 bits came with SMMUv3.1: before, those encodings act as 48 bits.
  const unsigned size = v3_0 ? std::min(48U, kAddressSizes[encoded]) : kAddressSizes[encoded];
  return std::min(size, oas_bits);
}

bool Features::granule(unsigned shift) const {
  return (shift == 12 && granule_4k) || (shift == 14 && granule_16k) ||
         (shift == 16 && granule_64k);
}

}  // namespace shootdown::conform::reference
