#include "sw/smmu/entry_writer.h"

#include <bit>

#include "hw/arch/check.h"

namespace shootdown::sw::smmu {

using namespace arch::smmuv3;  // the field names below read like the specification

namespace {
constexpr unsigned kConfigStage1 = 1;  // bits of STE.Config
constexpr unsigned kConfigStage2 = 2;
}  // namespace

Entry ste_used(const Entry& ste) {
  Entry used{};
  used[0] = ste0::Valid::kMask;
  if (ste0::Valid::get(ste[0]) == 0) return used;
  used[0] |= ste0::Config::kMask;
  const auto config = ste0::Config::get(ste[0]);
  if ((config & kConfigStage1) != 0) {
    used[0] |= ste0::S1Fmt::kMask | ste0::S1ContextPtr::kMask | ste0::S1CdMax::kMask;
    used[1] |= ste1::S1Dss::kMask | ste1::S1Cir::kMask | ste1::S1Cor::kMask | ste1::S1Csh::kMask |
               ste1::S1Stalld::kMask | ste1::Strw::kMask | ste1::Eats::kMask;
    used[2] |= ste2::S2Vmid::kMask;
    if (ste1::S1Dss::get(ste[1]) == kS1DssBypass) used[1] |= ste1::Shcfg::kMask;
  }
  if ((config & kConfigStage2) != 0) {
    used[1] |= ste1::Eats::kMask | ste1::Shcfg::kMask;
    used[2] |= ste2::S2Vmid::kMask | ste2::kVtcrMask | ste2::S2Aa64::kMask | ste2::S2Endi::kMask |
               ste2::S2Ptw::kMask | ste2::S2S::kMask | ste2::S2R::kMask;
    used[3] |= ste3::S2Ttb::kMask;
  }
  if (config == kSteConfigBypass) used[1] |= ste1::Shcfg::kMask;
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

void EntryWriter::set(const Entry& target, std::size_t first, std::size_t last) {
  bool changed = false;
  for (std::size_t i = first; i < last; ++i) {
    if (entry_[i] == target[i]) continue;
    cpu_.store(address_ + 8 * i, target[i]);
    entry_[i] = target[i];
    changed = true;
  }
  if (changed) sync_();
}

void EntryWriter::write(const Entry& target) {
  entry_ = load_entry(cpu_, address_);
  const Entry current_used = used_(entry_);
  const Entry target_used = used_(target);
  // What the SMMU ignores now can have its new value at once.
  Entry prepared{};
  unsigned differing = 0;  // qwords of which used bits remain to be changed after that
  for (std::size_t i = 0; i < target.size(); ++i) {
    SHOOTDOWN_CHECK((target[i] & ~target_used[i]) == 0, "an entry sets bits that it does not use");
    prepared[i] = (entry_[i] & current_used[i]) | (target[i] & ~current_used[i]);
    if ((prepared[i] & target_used[i]) != target[i]) differing |= 1U << i;
  }
  const std::size_t size = target.size();
  if (std::popcount(differing) == 1) {
    const auto critical = static_cast<std::size_t>(std::countr_zero(differing));
    // It is written in the next step anyway.
    prepared[critical] = entry_[critical];
    set(prepared, 0, size);
    set(target, critical, critical + 1);
    set(target, 0, size);
  } else if (differing != 0) {
    prepared[0] = 0;
    set(prepared, 0, 1);
    set(target, 1, size);
    set(target, 0, 1);
  } else {
    set(target, 0, size);
  }
}

}  // namespace shootdown::sw::smmu
