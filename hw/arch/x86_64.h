// x86-64 page-table entries, four levels, and what they say in the terms of vmsa64.h.
// Source: Intel SDM volume 3A, section 4.5. Levels are numbered as in VMSAv8-64: 0 is the PML4, 3
// the page table. Not modelled: five levels, protection keys, PAT.
#ifndef SHOOTDOWN_HW_ARCH_X86_64_H
#define SHOOTDOWN_HW_ARCH_X86_64_H

#include <cstdint>
#include <string_view>

#include "hw/arch/bit_field.h"
#include "hw/arch/types.h"
#include "hw/arch/vmsa64.h"

namespace shootdown::arch {

/// Whose format the entries of a table have.
enum class TableFormat : std::uint8_t { kVmsa64, kX86_64 };
constexpr std::string_view name_of(TableFormat format) {
  return format == TableFormat::kX86_64 ? "x86_64" : "vmsa64";
}

namespace x86_64 {

namespace entry {
using Present = BitField<0, 0>;
using Rw = BitField<1, 1>;
using User = BitField<2, 2>;
using Pwt = BitField<3, 3>;
using Pcd = BitField<4, 4>;
using Accessed = BitField<5, 5>;
using Dirty = BitField<6, 6>;  ///< leaves only
using Pse = BitField<7, 7>;    ///< levels 1 and 2: a leaf
using Global = BitField<8, 8>;
using Nx = BitField<63, 63>;
using Address = AddressField<51, 12>;
}  // namespace entry

constexpr bool is_present(std::uint64_t e) { return entry::Present::get(e) != 0; }
constexpr bool is_leaf(std::uint64_t e, int level) {
  if (!is_present(e)) return false;
  return level == vmsa64::kLastLevel || (level >= 1 && entry::Pse::get(e) != 0);
}
constexpr bool is_table(std::uint64_t e, int level) {
  return is_present(e) && level < vmsa64::kLastLevel && !is_leaf(e, level);
}

/// The entry as a VMSAv8-64 descriptor of the same meaning, with the dirty flag in bit 55, where
/// Linux keeps it on arm64. `needs_dirty`: writable only when dirty, as a TLB may cache it: the
/// first write has to walk, to set the flag.
constexpr std::uint64_t to_vmsa64(std::uint64_t e, int level, bool needs_dirty) {
  namespace d = vmsa64::desc;
  if (!is_present(e)) return 0;
  const bool write = entry::Rw::get(e) != 0;
  const bool user = entry::User::get(e) != 0;
  const bool dirty = entry::Dirty::get(e) != 0;
  const std::uint64_t address = d::OutputAddress::get(entry::Address::get(e));
  if (is_table(e, level)) {
    return address | vmsa64::kTypeTableOrPage |
           d::ApTable::of(static_cast<unsigned>(!write) << 1 | static_cast<unsigned>(!user));
  }
  const std::uint64_t type =
      level == vmsa64::kLastLevel ? vmsa64::kTypeTableOrPage : vmsa64::kTypeBlock;
  return address | type | d::Af::kMask | d::ApUser::of(user) |
         d::ApReadOnly::of(!(write && (dirty || !needs_dirty))) |
         d::Ng::of(entry::Global::get(e) == 0) | d::Dbm::of(write) | d::Uxn::of(entry::Nx::get(e)) |
         vmsa64::software::Dirty::of(dirty);
}

}  // namespace x86_64

/// An entry of either format as software means it, in VMSAv8-64 terms.
constexpr std::uint64_t to_vmsa64(TableFormat format, std::uint64_t entry, int level) {
  return format == TableFormat::kX86_64 ? x86_64::to_vmsa64(entry, level, false) : entry;
}

}  // namespace shootdown::arch

#endif
