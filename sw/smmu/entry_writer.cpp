#include "sw/smmu/entry_writer.h"

#include "hw/arch/check.h"

namespace shootdown::sw::smmu {

using namespace arch::smmuv3;  // the field names below read like the specification

namespace {

// What an STE is for, a bit each.
constexpr unsigned kAnything = 1;
constexpr unsigned kValid = 2;
constexpr unsigned kStage1 = 4;
constexpr unsigned kStage2 = 8;
constexpr unsigned kBypass = 16;

unsigned purposes(const Entry& ste) {
  if (ste0::Valid::get(ste[0]) == 0) return kAnything;
  unsigned result = kAnything | kValid;
  const auto config = ste0::Config::get(ste[0]);
  if (config == kSteConfigBypass) result |= kBypass;
  if (config == kSteConfigS1 || config == kSteConfigNested) {
    result |= kStage1;
    if (ste1::S1Dss::get(ste[1]) == kS1DssBypass) result |= kBypass;
  }
  if (config == kSteConfigS2 || config == kSteConfigNested) result |= kStage2;
  return result;
}

/// The fields of one word, and for what the SMMU reads them (IHI 0070, 5.2).
struct Use {
  unsigned purposes;
  std::size_t word;
  std::uint64_t fields;
};
constexpr Use kSteUses[] = {
    {kAnything, 0, ste0::Valid::kMask},
    {kValid, 0, ste0::Config::kMask},
    {kStage1, 0, ste0::S1Fmt::kMask | ste0::S1ContextPtr::kMask | ste0::S1CdMax::kMask},
    {kStage1, 1,
     ste1::S1Dss::kMask | ste1::S1Cir::kMask | ste1::S1Cor::kMask | ste1::S1Csh::kMask |
         ste1::S1Stalld::kMask | ste1::Strw::kMask},
    {kStage1 | kStage2, 1, ste1::Eats::kMask},
    {kStage2 | kBypass, 1, ste1::Shcfg::kMask},
    {kStage1 | kStage2, 2, ste2::S2Vmid::kMask},  // the VMID tags stage 1, too
    {kStage2, 2,
     ste2::kVtcrMask | ste2::S2Aa64::kMask | ste2::S2Endi::kMask | ste2::S2Ptw::kMask |
         ste2::S2S::kMask | ste2::S2R::kMask},
    {kStage2, 3, ste3::S2Ttb::kMask},
};

}  // namespace

Entry ste_used(const Entry& ste) {
  Entry used{};
  const unsigned what = purposes(ste);
  for (const Use& use : kSteUses) {
    if ((use.purposes & what) != 0) used[use.word] |= use.fields;
  }
  return used;
}

Entry cd_used(const Entry& cd) {
  Entry used{};
  used[0] = cd0::Valid::kMask;
  if (cd0::Valid::get(cd[0]) == 0) return used;
  used.fill(~std::uint64_t{0});
  if (cd0::Epd0::get(cd[0]) != 0) {
    used[0] &=
        ~(cd0::T0sz::kMask | cd0::Tg0::kMask | cd0::Ir0::kMask | cd0::Or0::kMask | cd0::Sh0::kMask);
    used[1] &= ~cd1::Ttb0::kMask;
  }
  return used;
}

Entry load_entry(Cpu& cpu, arch::PhysAddr address) {
  Entry entry{};
  for (std::size_t i = 0; i < entry.size(); ++i) entry[i] = cpu.load(address + 8 * i);
  return entry;
}

void EntryWriter::store(const Entry& value, std::size_t first, std::size_t last) {
  bool changed = false;
  for (std::size_t word = first; word < last; ++word) {
    if (entry_[word] == value[word]) continue;
    entry_[word] = value[word];
    cpu_.store(address_ + 8 * word, value[word]);
    changed = true;
  }
  if (changed) sync_();
}

Entry EntryWriter::with_ignored_bits_of(const Entry& target) const {
  const Entry looked_at = used_(entry_);
  Entry result{};
  for (std::size_t word = 0; word < result.size(); ++word) {
    result[word] = (entry_[word] & looked_at[word]) | (target[word] & ~looked_at[word]);
  }
  return result;
}

void EntryWriter::write(const Entry& target) {
  constexpr std::size_t kWords = arch::smmuv3::kStructureWords;
  entry_ = load_entry(cpu_, address_);
  Entry prepared = with_ignored_bits_of(target);
  // The qwords in which `prepared` would still be read as something else than `target`.
  const Entry wanted = used_(target);
  std::size_t last_differing = 0;
  unsigned differing = 0;
  for (std::size_t word = 0; word < kWords; ++word) {
    SHOOTDOWN_CHECK((target[word] & ~wanted[word]) == 0, "an entry sets bits that it does not use");
    if ((prepared[word] & wanted[word]) == target[word]) continue;
    last_differing = word;
    ++differing;
  }
  if (differing > 1) {  // there is no way around a moment in which it is invalid
    store(Entry{}, 0, 1);
    store(target, 1, kWords);
    store(target, 0, 1);
    return;
  }
  if (differing == 1) {  // one store turns the old meaning into the new one
    prepared[last_differing] = entry_[last_differing];
    store(prepared, 0, kWords);
    store(target, last_differing, last_differing + 1);
  }
  store(target, 0, kWords);
}

}  // namespace shootdown::sw::smmu
