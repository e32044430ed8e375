// What tags a cached translation, and what an invalidation removes by them: whoever asked for it
// (TLBI instruction, DVM message, SMMU command or ATC invalidation).
// Source: Arm ARM D8.14 (TLB maintenance); Arm IHI 0070, sections 3.8, 3.17 and 4.4.
#ifndef SHOOTDOWN_HW_ARCH_INVALIDATION_H
#define SHOOTDOWN_HW_ARCH_INVALIDATION_H

#include <bit>
#include <cstdint>
#include <optional>
#include <string_view>

#include "hw/arch/fields.h"
#include "hw/arch/types.h"
#include "hw/arch/vmsa64.h"

namespace shootdown::arch {

/// Which tables a cached translation came from, and at which exception level they are used (the
/// SMMU's StreamWorld).
enum class Regime : std::uint8_t {
  kEl1,     ///< EL1&0: stage 1, with or without stage 2
  kStage2,  ///< only stage 2: from IPA to PA
  kEl2,     ///< EL2 without E2H: no ASID
  kEl2E2h,  ///< EL2&0
};
constexpr std::string_view name_of(Regime regime) {
  switch (regime) {
    case Regime::kEl1:
      return "el1";
    case Regime::kStage2:
      return "stage2";
    case Regime::kEl2:
      return "el2";
    case Regime::kEl2E2h:
      return "el2_e2h";
  }
  return "?";
}

/// Whose translation: what a TLB compares beside the address. As long as a word, so that it is
/// compared as one.
struct alignas(8) TranslationSpace {
  Asid asid{};
  Vmid vmid{};  ///< 0 in the EL2 regimes and where there is no stage 2
  Regime regime{Regime::kEl1};
  bool private_asids{};  ///< CD.ASET: set apart from the CPUs' address spaces
  std::uint16_t unused{};

  /// All of it in one number.
  constexpr std::uint64_t packed() const { return std::bit_cast<std::uint64_t>(*this); }
  constexpr bool operator==(const TranslationSpace& other) const {
    return packed() == other.packed();
  }
};

/// An entry of a TLB or walk cache as an invalidation sees it.
struct EntryTag {
  TranslationSpace space;
  bool global{};          ///< matches every ASID
  std::uint64_t first{};  ///< first and last byte that the descriptor translates: of a block, if
  std::uint64_t last{};   ///< the entry is only a piece of it
  vmsa64::Granule granule{};
  int level{3};  ///< of the leaf, or of the table descriptor
};

struct Invalidation {
  enum class Scope : std::uint8_t {
    kAll,        ///< every entry of the regime
    kAsid,       ///< the non-global entries of `asid`
    kVa,         ///< [start, last] of `asid`, and global entries there
    kVaAnyAsid,  ///< [start, last] whatever the ASID
  };
  SHOOTDOWN_FIELDS((Scope, scope), (Asid, asid),
                   // First byte.
                   (std::uint64_t, start),
                   // Last byte, inclusive, so that a range can end at the top.
                   (std::uint64_t, last),
                   // Table descriptors in walk caches may stay.
                   (bool, leaf_only),
                   // None: whatever the VMID.
                   (std::optional<Vmid>, vmid),
                   // Low bits of the VMID that are not compared (CR0.VMW).
                   (std::uint8_t, vmid_wildcard_bits), (Regime, regime),
                   // Regime kEl1: stage 2 entries too (only with kAll).
                   (bool, with_stage2),
                   // The entries that have to be removed came from this granule and this level.
                   // What did not may stay (FEAT_TTL, IDR3.RIL). None: no such hint.
                   (std::optional<vmsa64::Granule>, granule), (std::optional<int>, level),
                   // Broadcast by ASID: entries of private ASIDs need not be removed (CD.ASET).
                   (bool, spare_private_asids));

  constexpr bool operator==(const Invalidation&) const = default;

  /// Whether an entry is removed, hints aside.
  constexpr bool covers(const EntryTag& entry) const {
    if (vmid && (vmid->value ^ entry.space.vmid.value) >> vmid_wildcard_bits != 0) return false;
    if (entry.space.regime != regime && !covers_regime(entry.space.regime)) return false;
    const bool overlap = entry.first <= last && start <= entry.last;
    const bool spared = spare_private_asids && entry.space.private_asids;
    switch (scope) {
      case Scope::kAll:
        return true;
      case Scope::kAsid:
        return !entry.global && entry.space.asid == asid && !spared;
      case Scope::kVa:
        return overlap && (entry.global || entry.space.asid == asid) && !spared;
      case Scope::kVaAnyAsid:
        return overlap;
    }
    return true;
  }
  /// Whether the hints let a leaf that is covered stay.
  constexpr bool hints_spare_leaf(const EntryTag& entry) const {
    return (granule && *granule != entry.granule) || (level && *level != entry.level);
  }
  /// Likewise for a table descriptor: those above the level named have to go.
  constexpr bool hints_spare_table(const EntryTag& entry) const {
    return (granule && *granule != entry.granule) || (level && entry.level >= *level);
  }
  /// An entry of EL1, VMID 0.
  constexpr bool covers(std::uint64_t entry_first, std::uint64_t entry_last, Asid entry_asid,
                        bool entry_global) const {
    EntryTag tag;
    tag.space.asid = entry_asid;
    tag.global = entry_global;
    tag.first = entry_first;
    tag.last = entry_last;
    return covers(tag);
  }

 private:
  constexpr bool covers_regime(Regime entry) const {
    if (entry == Regime::kStage2) return regime == Regime::kEl1 && with_stage2;
    // One command names both EL2 regimes when everything goes (CMD_TLBI_EL2_ALL).
    return scope == Scope::kAll && regime == Regime::kEl2 && entry == Regime::kEl2E2h;
  }
};

constexpr std::string_view name_of(Invalidation::Scope scope) {
  switch (scope) {
    case Invalidation::Scope::kAll:
      return "all";
    case Invalidation::Scope::kAsid:
      return "asid";
    case Invalidation::Scope::kVa:
      return "va";
    case Invalidation::Scope::kVaAnyAsid:
      return "va_any_asid";
  }
  return "?";
}

}  // namespace shootdown::arch

#endif
