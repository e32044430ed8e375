#include "conform/reference/reference_geometry.h"

#include <algorithm>

namespace shootdown::conform::reference {

namespace {

constexpr unsigned kMaxConcatenationBits = 4;  // 16 tables

/// Descriptors of 64 KiB granules carry OA[51:48] in bits [15:12] if the PA size is 52 bits.
std::uint64_t high_output_bits(std::uint64_t descriptor, const Geometry& geometry,
                               const Features& features) {
  if (geometry.granule_shift != 16 || features.oas_bits != 52) return 0;
  return bits(descriptor, 15, 12) << 48;
}

bool block_allowed(int level, const Geometry& geometry, const Features& features) {
  switch (geometry.granule_shift) {
    case 12:
      return level == 1 || level == 2;
    case 14:
      return level == 2;
    default:
      return level == 2 || (level == 1 && features.oas_bits == 52);
  }
}

}  // namespace

std::uint64_t Geometry::offset(std::uint64_t input, int level) const {
  const unsigned low = shift(level);
  const unsigned high = level == start_level ? input_bits : low + stride();
  return bits(input, high - 1, low) * 8;
}

std::uint64_t Geometry::start_table(std::uint64_t ttb) const {
  unsigned log2_size = input_bits - shift(start_level) + 3;
  // Section 5.4, CD.TTB0, and section 5.2, STE.S2TTB: 64 bytes at least for 52-bit output.
  if (output_bits == 52) log2_size = std::max(log2_size, 6U);
  return align_down(ttb, log2_size);
}

int stage1_start_level(unsigned granule_shift, unsigned input_bits) {
  const unsigned below_start = (input_bits - 1 - granule_shift) / (granule_shift - 3);
  return kLastLevel - static_cast<int>(below_start);
}

int stage2_start_level(unsigned granule_shift, unsigned sl0, const Features& features) {
  constexpr int kInvalid = -1;
  switch (granule_shift) {
    case 12:
      if (sl0 == 3) return features.stt ? 3 : kInvalid;
      if (sl0 == 2 && features.oas_bits < 44) return kInvalid;
      return 2 - static_cast<int>(sl0);
    case 14:
      // SL0 3 would be level 0, which takes LPA2.
      if (sl0 == 3 || (sl0 == 2 && features.oas_bits < 42)) return kInvalid;
      return 3 - static_cast<int>(sl0);
    default:
      if (sl0 == 3 || (sl0 == 2 && features.oas_bits < 44)) return kInvalid;
      return 3 - static_cast<int>(sl0);
  }
}

bool stage2_start_level_consistent(unsigned granule_shift, unsigned input_bits, int start_level) {
  const Geometry geometry{.granule_shift = granule_shift,
                          .input_bits = input_bits,
                          .start_level = start_level,
                          .output_bits = 0};
  const unsigned resolved_below = geometry.shift(start_level);
  const unsigned most = resolved_below + geometry.stride() + kMaxConcatenationBits;
  return input_bits > resolved_below && input_bits <= most;
}

DescriptorType descriptor_type(std::uint64_t descriptor, int level, const Geometry& geometry,
                               const Features& features) {
  if (!bit(descriptor, 0)) return DescriptorType::kInvalid;
  const bool table_or_page = bit(descriptor, 1);
  if (level == kLastLevel) {
    return table_or_page ? DescriptorType::kLeaf : DescriptorType::kInvalid;
  }
  if (table_or_page) return DescriptorType::kTable;
  return block_allowed(level, geometry, features) ? DescriptorType::kLeaf
                                                  : DescriptorType::kInvalid;
}

std::uint64_t next_table(std::uint64_t descriptor, const Geometry& geometry,
                         const Features& features) {
  return address_bits(descriptor, 47, geometry.granule_shift) |
         high_output_bits(descriptor, geometry, features);
}

std::uint64_t leaf_base(std::uint64_t descriptor, int level, const Geometry& geometry,
                        const Features& features) {
  return address_bits(descriptor, 47, geometry.shift(level)) |
         high_output_bits(descriptor, geometry, features);
}

}  // namespace shootdown::conform::reference
