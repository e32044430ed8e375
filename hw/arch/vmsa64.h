// VMSAv8-64 translation table descriptors, stage 1 and stage 2, granules of 4, 16 and 64 KiB.
//
// Source: Arm ARM (DDI 0487), chapter D8. Functions without a granule are those of 4 KiB. Not
// modelled: FEAT_LPA2 (52-bit addresses with 4 and 16 KiB), FEAT_D128, XS.
#ifndef SHOOTDOWN_HW_ARCH_VMSA64_H
#define SHOOTDOWN_HW_ARCH_VMSA64_H

#include <array>
#include <cstdint>

#include "hw/arch/bit_field.h"
#include "hw/arch/types.h"

namespace shootdown::arch::vmsa64 {

inline constexpr int kFirstLevel = 0;
inline constexpr int kLastLevel = 3;
inline constexpr unsigned kIndexBits = 9;  ///< address bits resolved by one level
inline constexpr unsigned kEntriesPerTable = 1U << kIndexBits;

/// The size of the smallest page and of a table.
enum class Granule : std::uint8_t { k4k, k16k, k64k };

constexpr unsigned granule_shift(Granule granule) {
  return 12 + 2 * static_cast<unsigned>(granule);
}
/// Address bits resolved by one level: 9, 11, 13.
constexpr unsigned index_bits(Granule granule) { return granule_shift(granule) - 3; }

/// Bits [58:55] are left to software; the co-simulator's kernel uses Linux's layout.
namespace software {
using Dirty = BitField<55, 55>;  ///< PTE_DIRTY of arch/arm64/include/asm/pgtable-prot.h
}  // namespace software

namespace desc {
using Valid = BitField<0, 0>;
using Type = BitField<1, 0>;  ///< kTypeBlock at levels 1-2; kTypeTableOrPage elsewhere
using AttrIndx = BitField<4, 2>;
using ApUser = BitField<6, 6>;             ///< AP[1]: unprivileged access permitted
using ApReadOnly = BitField<7, 7>;         ///< AP[2]
using AccessPermissions = BitField<7, 6>;  ///< AP[2:1]
using Shareability = BitField<9, 8>;
using Af = BitField<10, 10>;  ///< access flag
using Ng = BitField<11, 11>;  ///< not global: the entry belongs to one ASID
using Dbm = BitField<51, 51>;
using Contiguous = BitField<52, 52>;
using Pxn = BitField<53, 53>;
using Uxn = BitField<54, 54>;
using ExecuteNever = BitField<54, 53>;  ///< {UXN, PXN}
using OutputAddress = AddressField<47, 12>;
using OutputAddressHigh = BitField<15, 12>;  ///< address bits [51:48], 64 KiB granule
// Table descriptors only.
using PxnTable = BitField<59, 59>;
using UxnTable = BitField<60, 60>;
using ApTable = BitField<62, 61>;  ///< bit 0: no unprivileged access, bit 1: no write
// Stage 2 leaves.
using S2MemAttr = BitField<5, 2>;
using S2Read = BitField<6, 6>;
using S2Write = BitField<7, 7>;
using S2Xn = BitField<54, 53>;
}  // namespace desc

inline constexpr std::uint64_t kTypeBlock = 0b01;
inline constexpr std::uint64_t kTypeTableOrPage = 0b11;

/// log2 of the bytes one entry of `level` covers. 4 KiB: 39, 30, 21, 12.
constexpr unsigned level_shift(int level, Granule granule = Granule::k4k) {
  return granule_shift(granule) + index_bits(granule) * static_cast<unsigned>(kLastLevel - level);
}
constexpr unsigned table_index(std::uint64_t va, int level, Granule granule = Granule::k4k) {
  return static_cast<unsigned>(va >> level_shift(level, granule)) &
         ((1U << index_bits(granule)) - 1);
}
/// First level of a stage 1 walk over an input address of 64 - txsz bits.
constexpr int start_level(unsigned txsz, Granule granule = Granule::k4k) {
  const unsigned input_bits = 64 - txsz;
  return 4 - static_cast<int>((input_bits - 4) / index_bits(granule));
}
constexpr bool is_valid(std::uint64_t descriptor) { return desc::Valid::get(descriptor) != 0; }
constexpr bool is_table(std::uint64_t descriptor, int level) {
  return level < kLastLevel && desc::Type::get(descriptor) == kTypeTableOrPage;
}
/// Whether a level may hold blocks: 4 KiB levels 1 and 2, else level 2; 64 KiB level 1 too where
/// output addresses have 52 bits.
constexpr bool has_blocks(int level, Granule granule, bool wide_output) {
  if (level == 2) return true;
  return level == 1 && (granule == Granule::k4k || (granule == Granule::k64k && wide_output));
}
/// A block, or a page at level 3.
constexpr bool is_leaf(std::uint64_t descriptor, int level, Granule granule = Granule::k4k,
                       bool wide_output = false) {
  if (level == kLastLevel) return desc::Type::get(descriptor) == kTypeTableOrPage;
  return desc::Type::get(descriptor) == kTypeBlock && has_blocks(level, granule, wide_output);
}
/// The address in a descriptor, as far as the granule goes. `wide_output`: 52-bit addresses, which
/// a 64 KiB descriptor keeps in [15:12] and the others do not have.
constexpr std::uint64_t output_address(std::uint64_t descriptor, Granule granule,
                                       bool wide_output) {
  const std::uint64_t low =
      align_down(desc::OutputAddress::get(descriptor), granule_shift(granule));
  if (granule != Granule::k64k || !wide_output) return low;
  return low | desc::OutputAddressHigh::get(descriptor) << 48;
}
/// Bits that the address of a table has: of `output_bits` effective ones, what the granule can say.
constexpr unsigned table_address_bits(Granule granule, unsigned output_bits) {
  constexpr unsigned kNarrowBits = 48;
  return granule == Granule::k64k || output_bits < kNarrowBits ? output_bits : kNarrowBits;
}
/// log2 of the alignment of a start table of 2^entries_log2 descriptors: its size, and 64 bytes at
/// least where addresses have 52 bits (IHI 0070, CD.TTB0 and STE.S2TTB).
constexpr unsigned start_table_alignment(unsigned entries_log2, unsigned output_bits) {
  constexpr unsigned kWideMinimum = 6;
  const unsigned log2_bytes = entries_log2 + 3;
  return output_bits == 52 && log2_bytes < kWideMinimum ? kWideMinimum : log2_bytes;
}
/// Output address of a leaf, aligned to the size of the level.
constexpr PhysAddr leaf_output(std::uint64_t descriptor, int level) {
  return {align_down(desc::OutputAddress::get(descriptor), level_shift(level))};
}
constexpr PhysAddr next_table(std::uint64_t descriptor) {
  return {desc::OutputAddress::get(descriptor)};
}
/// log2 of the entries that a Contiguous bit joins. 16 KiB: 128 pages or 32 blocks.
constexpr unsigned contiguous_log2(int level, Granule granule) {
  switch (granule) {
    case Granule::k4k:
      return 4;
    case Granule::k16k:
      return level == kLastLevel ? 7 : 5;
    case Granule::k64k:
      return 5;
  }
  return 0;
}

static_assert(level_shift(0) == 39 && level_shift(3) == 12);
static_assert(level_shift(2, Granule::k16k) == 25 && level_shift(2, Granule::k64k) == 29);
static_assert(start_level(16) == 0 && start_level(25) == 1 && start_level(39) == 2);
static_assert(start_level(16, Granule::k16k) == 0 && start_level(17, Granule::k16k) == 1 &&
              start_level(16, Granule::k64k) == 1 && start_level(22, Granule::k64k) == 2);
static_assert(table_index(0x7f80'0001'0000, 3) == 0x10);

/// Who may do what, a bit each. One byte: permissions are copied with every TLB entry and looked at
/// with every access.
struct Permissions {
  std::uint8_t bits{};

  struct Each {
    bool user_read{};
    bool user_write{};
    bool privileged_read{};
    bool privileged_write{};
    bool user_execute{};
    bool privileged_execute{};
  };
  static constexpr Permissions of(const Each& each) {
    return {static_cast<std::uint8_t>(each.user_read | each.user_write << 1 |
                                      each.privileged_read << 2 | each.privileged_write << 3 |
                                      each.user_execute << 4 | each.privileged_execute << 5)};
  }
  static constexpr Permissions all() { return {0x3f}; }
  constexpr bool operator==(const Permissions&) const = default;
  constexpr bool user_read() const { return (bits & 1) != 0; }
  constexpr bool user_write() const { return (bits & 2) != 0; }
  constexpr bool privileged_read() const { return (bits & 4) != 0; }
  constexpr bool privileged_write() const { return (bits & 8) != 0; }
  constexpr bool user_execute() const { return (bits & 16) != 0; }
  constexpr bool privileged_execute() const { return (bits & 32) != 0; }
  constexpr bool permits(Access access, bool privileged) const {
    return (bits >> ((access == Access::kWrite ? 1U : 0U) + (privileged ? 2U : 0U)) & 1) != 0;
  }
  constexpr bool permits_fetch(bool privileged) const {
    return (bits >> (privileged ? 5U : 4U) & 1) != 0;
  }
  /// What both permit.
  constexpr Permissions operator&(Permissions other) const {
    return {static_cast<std::uint8_t>(bits & other.bits)};
  }
};

/// Restrictions gathered from the APTable, PXNTable and UXNTable bits on the way down.
struct TableRestrictions {
  std::uint8_t bits;  ///< descriptor bits [62:59] of all tables above, or-ed

  static constexpr TableRestrictions of(bool no_user, bool no_write) {
    return {static_cast<std::uint8_t>(no_write << 3 | no_user << 2)};
  }
  constexpr bool operator==(const TableRestrictions&) const = default;
  constexpr bool no_privileged_execute() const { return (bits & 1) != 0; }
  constexpr bool no_user_execute() const { return (bits & 2) != 0; }
  constexpr bool no_user() const { return (bits & 4) != 0; }
  constexpr bool no_write() const { return (bits & 8) != 0; }
  constexpr void add(std::uint64_t table_descriptor) {
    bits = static_cast<std::uint8_t>(bits | (table_descriptor >> 59 & 0xf));
  }
};

/// What beside the descriptors decides a stage 1 permission: fields of a CD or of TCR and SCTLR.
struct PermissionRules {
  bool single_privilege{};  ///< EL2 without E2H: AP[1] counts as 1, and nobody is unprivileged
  bool pan{};               ///< no privileged data access where unprivileged access is permitted
  bool wxn{};               ///< writable is never executable
  bool uwxn{};              ///< writable by unprivileged is never executable by privileged
  constexpr bool operator==(const PermissionRules&) const = default;
  constexpr bool plain() const { return !(single_privilege || pan || wxn || uwxn); }
};

namespace detail {
constexpr Permissions plain_permissions(std::uint64_t descriptor, TableRestrictions above) {
  const bool user = desc::ApUser::get(descriptor) != 0 && !above.no_user();
  const bool write = desc::ApReadOnly::get(descriptor) == 0 && !above.no_write();
  const bool user_write = user && write;
  return Permissions::of(
      {.user_read = user,
       .user_write = user_write,
       .privileged_read = true,
       .privileged_write = write,
       // Execute-only exists: AP says nothing about fetches.
       .user_execute = desc::Uxn::get(descriptor) == 0 && !above.no_user_execute(),
       // What unprivileged code can write, privileged code never executes.
       .privileged_execute =
           desc::Pxn::get(descriptor) == 0 && !above.no_privileged_execute() && !user_write});
}
/// By {XN[1:0], AP[2:1], restrictions}: every walk ends with it.
inline constexpr auto kPlainPermissions = [] {
  std::array<Permissions, 256> table{};
  for (unsigned index = 0; index < table.size(); ++index) {
    const std::uint64_t descriptor =
        desc::ExecuteNever::of(index >> 6) | desc::AccessPermissions::of(index >> 4 & 3);
    table[index] = plain_permissions(descriptor, {static_cast<std::uint8_t>(index & 0xf)});
  }
  return table;
}();
}  // namespace detail

/// The rules of EL1&0 with PAN, WXN and UWXN off.
constexpr Permissions leaf_permissions(std::uint64_t descriptor, TableRestrictions above) {
  return detail::kPlainPermissions[desc::ExecuteNever::get(descriptor) << 6 |
                                   desc::AccessPermissions::get(descriptor) << 4 | above.bits];
}

constexpr Permissions leaf_permissions(std::uint64_t descriptor, TableRestrictions above,
                                       const PermissionRules& rules) {
  const Permissions plain = leaf_permissions(descriptor, above);
  if (rules.plain()) return plain;
  Permissions::Each result{.user_read = plain.user_read(),
                           .user_write = plain.user_write(),
                           .privileged_read = plain.privileged_read(),
                           .privileged_write = plain.privileged_write(),
                           .user_execute = plain.user_execute(),
                           .privileged_execute = plain.privileged_execute()};
  if (rules.single_privilege) {
    const bool write = plain.privileged_write();
    const bool execute = plain.user_execute();
    result = {.user_read = true,
              .user_write = write,
              .privileged_read = true,
              .privileged_write = write,
              .user_execute = execute,
              .privileged_execute = execute};
  }
  if (rules.wxn) {
    result.user_execute = result.user_execute && !result.user_write;
    result.privileged_execute = result.privileged_execute && !result.privileged_write;
  }
  if (rules.uwxn && result.user_write) result.privileged_execute = false;
  if (rules.pan && !rules.single_privilege && result.user_read) {
    result.privileged_read = false;
    result.privileged_write = false;
  }
  return Permissions::of(result);
}

/// What a stage 2 leaf permits: S2AP makes no difference between privileged and not. XN[54:53]: 0
/// all may execute, 1 only unprivileged, 2 nobody, 3 only privileged (FEAT_XNX; without it only
/// bit 54 counts).
constexpr Permissions stage2_permissions(std::uint64_t descriptor, bool xnx) {
  const bool read = desc::S2Read::get(descriptor) != 0;
  const bool write = desc::S2Write::get(descriptor) != 0;
  const auto xn = xnx ? desc::S2Xn::get(descriptor) : desc::S2Xn::get(descriptor) & 2;
  return Permissions::of({.user_read = read,
                          .user_write = write,
                          .privileged_read = read,
                          .privileged_write = write,
                          .user_execute = xn == 0 || xn == 1,
                          .privileged_execute = xn == 0 || xn == 3});
}
/// MemAttr[3:2] = 0: Device memory, where S2PTW forbids stage 1 tables.
constexpr bool stage2_is_device(std::uint64_t descriptor) {
  return (desc::S2MemAttr::get(descriptor) >> 2) == 0;
}

}  // namespace shootdown::arch::vmsa64

#endif
