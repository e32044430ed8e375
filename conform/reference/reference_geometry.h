// The shape of VMSAv8-64 translation tables: levels, indices, what a descriptor says of an address.
// Source: Arm ARM, sections D8.2 and D8.3. Without FEAT_LPA2 (DS) and FEAT_D128.
#ifndef SHOOTDOWN_CONFORM_REFERENCE_REFERENCE_GEOMETRY_H
#define SHOOTDOWN_CONFORM_REFERENCE_REFERENCE_GEOMETRY_H

#include <cstdint>

#include "conform/reference/reference_bits.h"
#include "conform/reference/reference_features.h"

namespace shootdown::conform::reference {

inline constexpr int kLastLevel = 3;

/// One translation table, from where the walk starts.
struct Geometry {
  unsigned granule_shift{};
  unsigned input_bits{};  ///< 64 - TxSZ
  int start_level{};
  unsigned output_bits{};  ///< effective IPS or S2PS

  /// Address bits that one whole table resolves.
  unsigned stride() const { return granule_shift - 3; }
  /// The lowest address bit that a table of this level resolves.
  unsigned shift(int level) const {
    return granule_shift + static_cast<unsigned>(kLastLevel - level) * stride();
  }
  /// Offset of the descriptor in the table of this level (all concatenated tables as one).
  std::uint64_t offset(std::uint64_t input, int level) const;
  /// The base that TTBx stands for: hardware ignores the bits below the alignment of the table.
  std::uint64_t start_table(std::uint64_t ttb) const;
};

/// Start level of stage 1, where only TxSZ decides.
int stage1_start_level(unsigned granule_shift, unsigned input_bits);

/// Start level that S2SL0 stands for; negative if the encoding is not available (S2InvalidSL).
int stage2_start_level(unsigned granule_shift, unsigned sl0, const Features& features);

/// Whether the input size suits the start level, with up to 16 concatenated tables.
bool stage2_start_level_consistent(unsigned granule_shift, unsigned input_bits, int start_level);

enum class DescriptorType : std::uint8_t { kInvalid, kTable, kLeaf };

DescriptorType descriptor_type(std::uint64_t descriptor, int level, const Geometry& geometry,
                               const Features& features);

/// Of a table descriptor: where the next table is.
std::uint64_t next_table(std::uint64_t descriptor, const Geometry& geometry,
                         const Features& features);
/// Of a block or page descriptor: where it maps to.
std::uint64_t leaf_base(std::uint64_t descriptor, int level, const Geometry& geometry,
                        const Features& features);

}  // namespace shootdown::conform::reference

#endif
