// The fields of STEs and CDs that decide how translations are tagged, and which of them a TLB entry
// holds by itself.
//
// Source: Arm IHI 0070, sections 5.2, 5.4 and 16.2 (fields permitted to be cached in a TLB).
#ifndef SHOOTDOWN_CONFORM_REFERENCE_CONFIGURATION_WORDS_H
#define SHOOTDOWN_CONFORM_REFERENCE_CONFIGURATION_WORDS_H

#include <cstdint>

#include "conform/reference/reference_smmu.h"
#include "conform/reference/versioned_memory.h"

namespace shootdown::conform::reference {

/// How a TLB finds the translations of a stream.
struct TranslationTag {
  Fetch::World world{};
  std::uint16_t vmid{};
  bool stage1{};
  bool stage2{};
  std::uint16_t asid{};  ///< stage 1 only
  bool aset{};
};

/// `cd` is zero if there is no stage 1 (`stage1` false).
TranslationTag translation_tag(const Identification& id, const Registers& registers,
                               const StructureWords& ste, const StructureWords& cd, bool stage1);

/// What a TLB entry holds of the configuration that it was made under. Where the tables are and
/// what they look like, always. The fields that judge descriptors (HAD, AFFD, WXN, IPS and so on)
/// are permitted to be held, and to be taken from the stream's configuration at every use.
enum class EntryHolds : std::uint8_t { kAllFields, kTablesOnly };

/// The structure that makes translate() behave as if a TLB entry made under `entry` were used for a
/// stream with `lookup`, which says how faults are reported and privilege is overridden.
StructureWords ste_with_entry(const StructureWords& lookup, const StructureWords& entry,
                              bool stage1, EntryHolds holds);
StructureWords cd_with_entry(const StructureWords& lookup, const StructureWords& entry,
                             EntryHolds holds);

bool same_stage2_tables(const StructureWords& a, const StructureWords& b);

/// The same structures, but every fault of 0x10 to 0x13 is recorded: to see which one it is.
StructureWords recording_ste(StructureWords ste);
StructureWords recording_cd(StructureWords cd);

/// log2 of the granule of the stage 1 tables that translate `va`, and of the stage 2 tables. 0 if
/// the value is reserved.
unsigned stage1_granule_shift(const StructureWords& cd, std::uint64_t va);
unsigned stage2_granule_shift(const StructureWords& ste);

/// log2 of the number of CDs below one L1CD.
unsigned l1cd_shift(const StructureWords& ste);

}  // namespace shootdown::conform::reference

#endif
