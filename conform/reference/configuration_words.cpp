#include "conform/reference/configuration_words.h"

#include <array>

namespace shootdown::conform::reference {
namespace {

constexpr std::uint64_t field(unsigned high, unsigned low) {
  return ((std::uint64_t{2} << (high - low)) - 1) << low;
}

constexpr std::uint64_t get(std::uint64_t word, unsigned high, unsigned low) {
  return (word & field(high, low)) >> low;
}

constexpr std::uint64_t merge(std::uint64_t lookup, std::uint64_t entry, std::uint64_t of_entry) {
  return (lookup & ~of_entry) | (entry & of_entry);
}

// Of an STE: Config in word 0 (which stages there are); S2FWB in word 1; S2T0SZ to S2HA in word 2
// without S2S and S2R, which say what becomes of a fault; S2TTB.
constexpr std::uint64_t kSteEntry0 = field(3, 1);
constexpr std::uint64_t kSteEntry1 = field(25, 25) | field(11, 8);
constexpr std::uint64_t kSteEntry2 = field(56, 32);
constexpr std::uint64_t kSteEntry3 = field(55, 4);
// Of these, where the tables are: S2T0SZ, S2SL0, S2TG, S2AA64.
constexpr std::uint64_t kSteTables2 = field(39, 32) | field(47, 46) | field(51, 51);
// All of a CD except S, R and A.
constexpr std::uint64_t kCdLookup0 = field(46, 44);
// Where the tables are: T0SZ, TG0, EPD0, T1SZ, TG1, EPD1, the tags ASET and ASID, and TTB0 and
// TTB1.
constexpr std::uint64_t kCdTables0 =
    field(7, 0) | field(14, 14) | field(23, 16) | field(30, 30) | field(63, 47);
constexpr std::uint64_t kCdTables1 = field(55, 4);

constexpr std::uint64_t kCdRecord = field(45, 45);
constexpr std::uint64_t kCdAbort = field(46, 46);
constexpr std::uint64_t kSteS2Record = field(58, 58);

}  // namespace

TranslationTag translation_tag(const Identification& id, const Registers& registers,
                               const StructureWords& ste, const StructureWords& cd, bool stage1) {
  constexpr std::uint32_t kIdr0S2p = 1U << 0;
  constexpr std::uint32_t kIdr0Hyp = 1U << 9;
  constexpr std::uint64_t kStrwEl2 = 2;
  TranslationTag tag;
  tag.stage1 = stage1;
  tag.stage2 = (get(ste[0], 3, 1) & 6) == 6;
  if (!tag.stage2 && (id.idr0 & kIdr0Hyp) != 0 && get(ste[1], 31, 30) == kStrwEl2)
    tag.world = (registers.cr2 & 1) != 0 ? Fetch::World::kEl2E2h : Fetch::World::kEl2;
  if (tag.world == Fetch::World::kEl1 && (id.idr0 & kIdr0S2p) != 0)
    tag.vmid = static_cast<std::uint16_t>(get(ste[2], 15, 0));
  if (!stage1) return tag;
  if (tag.world != Fetch::World::kEl2) tag.asid = static_cast<std::uint16_t>(get(cd[0], 63, 48));
  tag.aset = get(cd[0], 47, 47) != 0;
  return tag;
}

StructureWords ste_with_entry(const StructureWords& lookup, const StructureWords& entry,
                              bool stage1, EntryHolds holds) {
  const bool all = holds == EntryHolds::kAllFields;
  StructureWords ste = lookup;
  if (stage1) ste[0] = merge(ste[0], entry[0], kSteEntry0);
  if (all) ste[1] = merge(ste[1], entry[1], kSteEntry1);
  ste[2] = merge(ste[2], entry[2], all ? kSteEntry2 : kSteTables2);
  ste[3] = merge(ste[3], entry[3], kSteEntry3);
  return ste;
}

StructureWords cd_with_entry(const StructureWords& lookup, const StructureWords& entry,
                             EntryHolds holds) {
  if (holds == EntryHolds::kTablesOnly) {
    StructureWords cd = lookup;
    cd[0] = merge(lookup[0], entry[0], kCdTables0);
    cd[1] = merge(lookup[1], entry[1], kCdTables1);
    cd[2] = merge(lookup[2], entry[2], kCdTables1);
    return cd;
  }
  StructureWords cd = entry;
  cd[0] = merge(entry[0], lookup[0], kCdLookup0);
  return cd;
}

bool same_stage2_tables(const StructureWords& a, const StructureWords& b) {
  return ((a[2] ^ b[2]) & kSteTables2) == 0 && ((a[3] ^ b[3]) & kSteEntry3) == 0;
}

StructureWords recording_ste(StructureWords ste) {
  ste[2] |= kSteS2Record;
  return ste;
}

StructureWords recording_cd(StructureWords cd) {
  cd[0] |= kCdRecord | kCdAbort;
  return cd;
}

unsigned stage1_granule_shift(const StructureWords& cd, std::uint64_t va) {
  constexpr std::array<unsigned, 4> kTg0{12, 16, 14, 0};
  constexpr std::array<unsigned, 4> kTg1{0, 14, 12, 16};
  return get(va, 55, 55) != 0 ? kTg1[get(cd[0], 23, 22)] : kTg0[get(cd[0], 7, 6)];
}

unsigned stage2_granule_shift(const StructureWords& ste) {
  constexpr std::array<unsigned, 4> kS2Tg{12, 16, 14, 0};
  return kS2Tg[get(ste[2], 47, 46)];
}

unsigned l1cd_shift(const StructureWords& ste) {
  constexpr std::uint64_t kLeaf64K = 2;
  return get(ste[0], 5, 4) == kLeaf64K ? 10 : 6;
}

}  // namespace shootdown::conform::reference
