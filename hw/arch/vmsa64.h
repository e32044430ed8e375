// VMSAv8-64 stage 1 translation table descriptors, 4 KiB granule.
// Source: Arm ARM (DDI 0487), chapter D8. Not modelled: 52-bit addresses, other granules, XS.
#ifndef SHOOTDOWN_HW_ARCH_VMSA64_H
#define SHOOTDOWN_HW_ARCH_VMSA64_H

#include <cstdint>

#include "hw/arch/bit_field.h"
#include "hw/arch/types.h"

namespace shootdown::arch::vmsa64 {

inline constexpr int kFirstLevel = 0;
inline constexpr int kLastLevel = 3;
inline constexpr unsigned kIndexBits = 9;  ///< address bits resolved by one level
inline constexpr unsigned kEntriesPerTable = 1U << kIndexBits;

namespace desc {
using Valid = BitField<0, 0>;
using Type = BitField<1, 0>;  ///< kTypeBlock at levels 1-2; kTypeTableOrPage elsewhere
using AttrIndx = BitField<4, 2>;
using ApUser = BitField<6, 6>;      ///< AP[1]: unprivileged access permitted
using ApReadOnly = BitField<7, 7>;  ///< AP[2]
using Shareability = BitField<9, 8>;
using Af = BitField<10, 10>;  ///< access flag
using Ng = BitField<11, 11>;  ///< not global: the entry belongs to one ASID
using Dbm = BitField<51, 51>;
using Contiguous = BitField<52, 52>;
using Pxn = BitField<53, 53>;
using Uxn = BitField<54, 54>;
using OutputAddress = AddressField<47, 12>;
// Table descriptors only.
using ApTable = BitField<62, 61>;  ///< bit 0: no unprivileged access, bit 1: no write
}  // namespace desc

inline constexpr std::uint64_t kTypeBlock = 0b01;
inline constexpr std::uint64_t kTypeTableOrPage = 0b11;

/// log2 of the bytes one entry of `level` covers: 39, 30, 21, 12.
constexpr unsigned level_shift(int level) {
  return kPageShift + kIndexBits * static_cast<unsigned>(kLastLevel - level);
}
constexpr unsigned table_index(std::uint64_t va, int level) {
  return static_cast<unsigned>(va >> level_shift(level)) & (kEntriesPerTable - 1);
}
/// First level of a walk over an input address of 64 - txsz bits.
constexpr int start_level(unsigned txsz) {
  const unsigned input_bits = 64 - txsz;
  return 4 - static_cast<int>((input_bits - 4) / kIndexBits);
}
constexpr bool is_valid(std::uint64_t descriptor) { return desc::Valid::get(descriptor) != 0; }
constexpr bool is_table(std::uint64_t descriptor, int level) {
  return level < kLastLevel && desc::Type::get(descriptor) == kTypeTableOrPage;
}
/// A block at level 1 or 2, or a page at level 3.
constexpr bool is_leaf(std::uint64_t descriptor, int level) {
  if (level == kLastLevel) return desc::Type::get(descriptor) == kTypeTableOrPage;
  return level >= 1 && desc::Type::get(descriptor) == kTypeBlock;
}
/// Output address of a leaf, aligned to the size of the level.
constexpr PhysAddr leaf_output(std::uint64_t descriptor, int level) {
  return {align_down(desc::OutputAddress::get(descriptor), level_shift(level))};
}
constexpr PhysAddr next_table(std::uint64_t descriptor) {
  return {desc::OutputAddress::get(descriptor)};
}

static_assert(level_shift(0) == 39 && level_shift(3) == 12);
static_assert(start_level(16) == 0 && start_level(25) == 1 && start_level(39) == 2);
static_assert(table_index(0x7f80'0001'0000, 3) == 0x10);

/// What a leaf permits, after the hierarchical bits of the tables above it.
struct Permissions {
  bool user_read{};
  bool user_write{};
  bool privileged_read{};
  bool privileged_write{};

  constexpr bool operator==(const Permissions&) const = default;
  constexpr bool permits(Access access, bool privileged) const {
    if (access == Access::kWrite) return privileged ? privileged_write : user_write;
    return privileged ? privileged_read : user_read;
  }
};

/// Restrictions gathered from the APTable bits on the way down.
struct TableRestrictions {
  std::uint8_t
      ap_table;  ///< APTable[1:0] of all tables above, or-ed: one byte, or-ed at each level

  static constexpr TableRestrictions of(bool no_user, bool no_write) {
    return {static_cast<std::uint8_t>(no_write << 1 | std::uint8_t{no_user})};
  }
  constexpr bool operator==(const TableRestrictions&) const = default;
  constexpr bool no_user() const { return (ap_table & 1) != 0; }
  constexpr bool no_write() const { return (ap_table & 2) != 0; }
  constexpr void add(std::uint64_t table_descriptor) {
    ap_table = static_cast<std::uint8_t>(ap_table | desc::ApTable::get(table_descriptor));
  }
};

constexpr Permissions leaf_permissions(std::uint64_t descriptor, TableRestrictions above) {
  const bool user = desc::ApUser::get(descriptor) != 0 && !above.no_user();
  const bool write = desc::ApReadOnly::get(descriptor) == 0 && !above.no_write();
  return {.user_read = user,
          .user_write = user && write,
          .privileged_read = true,
          .privileged_write = write};
}

}  // namespace shootdown::arch::vmsa64

#endif
