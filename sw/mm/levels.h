// The levels of page tables by name, with pages of 4 KiB. Every architecture here has four of them;
// the kernel's P4D is folded into the PGD.
#ifndef SHOOTDOWN_SW_MM_LEVELS_H
#define SHOOTDOWN_SW_MM_LEVELS_H

#include <cstdint>

#include "hw/arch/types.h"

namespace shootdown::sw {

// A level is the one that an entry stands at. A table is of the level of its entries.
inline constexpr int kPgdLevel = 0;  ///< the top, never a leaf
inline constexpr int kPudLevel = 1;
inline constexpr int kPmdLevel = 2;  ///< leaves are huge pages
inline constexpr int kPteLevel = 3;  ///< the last

inline constexpr unsigned kPtrsPerTableLog2 = 9;

/// log2 of the bytes that an entry of `level` maps.
constexpr unsigned level_shift(int level) {
  return arch::kPageShift + kPtrsPerTableLog2 * static_cast<unsigned>(kPteLevel - level);
}
/// The bytes that an entry of `level` maps.
constexpr std::uint64_t level_bytes(int level) { return std::uint64_t{1} << level_shift(level); }
/// Which entry of a table of `level` maps `va`.
constexpr unsigned table_index(arch::VirtAddr va, int level) {
  return static_cast<unsigned>(va.value >> level_shift(level)) & ((1U << kPtrsPerTableLog2) - 1);
}
/// The first address that the entry of `level` for `va` maps.
constexpr arch::VirtAddr level_start(arch::VirtAddr va, int level) {
  return arch::page_of(va, level_shift(level));
}
/// The first address behind what that entry maps.
constexpr arch::VirtAddr level_end(arch::VirtAddr va, int level) {
  return level_start(va, level) + level_bytes(level);
}

inline constexpr unsigned kPmdShift = level_shift(kPmdLevel);
inline constexpr std::uint64_t kPmdSize = level_bytes(kPmdLevel);
inline constexpr std::uint64_t kPudSize = level_bytes(kPudLevel);

static_assert(level_shift(kPgdLevel) == 39 && level_shift(kPudLevel) == 30 && kPmdShift == 21 &&
              level_shift(kPteLevel) == arch::kPageShift);
static_assert(table_index({0x7f80'0001'0000}, kPteLevel) == 0x10);

}  // namespace shootdown::sw

#endif
