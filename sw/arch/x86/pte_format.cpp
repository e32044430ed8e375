#include "sw/arch/x86/pte_format.h"

#include "hw/arch/x86_64.h"

namespace shootdown::sw {

namespace {

namespace e = arch::x86_64::entry;
using F = X86PteFormat;

/// _PAGE_PROTNONE: the Global bit of an entry that is not present.
constexpr std::uint64_t kProtNone = e::Global::kMask;

}  // namespace

bool F::pte_valid(Pte pte) const { return arch::x86_64::is_present(pte.value); }
bool F::pte_table(Pte pte, int level) const { return arch::x86_64::is_table(pte.value, level); }
bool F::pte_write(Pte pte) const { return e::Rw::get(pte.value) != 0; }
bool F::pte_dirty(Pte pte) const { return e::Dirty::get(pte.value) != 0; }
bool F::pte_young(Pte pte) const { return e::Accessed::get(pte.value) != 0; }

Pte F::mk_pte(arch::PhysAddr page, int level) const {
  // PAGE_READONLY: present, user, accessed, not executable.
  return {page.value | e::Present::kMask | e::User::kMask | e::Accessed::kMask | e::Nx::kMask |
          (level == kPteLevel ? 0 : e::Pse::kMask)};
}

Pte F::mk_table(arch::PhysAddr table) const {
  // _PAGE_TABLE: the flags are set, so that walkers need not.
  return {table.value | e::Present::kMask | e::Rw::kMask | e::User::kMask | e::Accessed::kMask |
          e::Dirty::kMask};
}

Pte F::pte_mkwrite(Pte pte) const { return {pte.value | e::Rw::kMask}; }
Pte F::pte_mkdirty(Pte pte) const { return {pte.value | e::Dirty::kMask}; }
Pte F::pte_mkclean(Pte pte) const { return {pte.value & ~e::Dirty::kMask}; }
Pte F::pte_mkyoung(Pte pte) const { return {pte.value | e::Accessed::kMask}; }
Pte F::pte_mkold(Pte pte) const { return {pte.value & ~e::Accessed::kMask}; }
Pte F::pte_wrprotect(Pte pte) const { return {pte.value & ~e::Rw::kMask}; }
arch::PhysAddr F::pte_address(Pte pte) const { return {e::Address::get(pte.value)}; }

bool F::pte_protnone(Pte pte) const {
  return (pte.value & (e::Present::kMask | kProtNone)) == kProtNone;
}
Pte F::pte_mkprotnone(Pte pte) const { return {(pte.value & ~e::Present::kMask) | kProtNone}; }
Pte F::pte_clear_protnone(Pte pte) const { return {(pte.value & ~kProtNone) | e::Present::kMask}; }

// Type in bits 63:59 as in asm/pgtable_64.h; the offset is kept as it is, from bit 9 on.
Pte F::mk_swap_pte(SwapType type, std::uint64_t offset) const {
  return {static_cast<std::uint64_t>(type) << 59 | offset << 9};
}
std::optional<SwapType> F::pte_swap_type(Pte pte) const {
  if (pte == Pte{} || pte_present(pte)) return std::nullopt;
  return static_cast<SwapType>(pte.value >> 59);
}
std::uint64_t F::pte_swap_offset(Pte pte) const {
  return pte.value >> 9 & ((std::uint64_t{1} << 50) - 1);
}

}  // namespace shootdown::sw
