#include "sw/smmu/entries.h"

#include <algorithm>

#include "hw/arch/smmuv3_registers.h"
#include "hw/arch/smmuv3_tables.h"

namespace shootdown::sw::smmu {

using namespace arch::smmuv3;  // the field names below read like the specification

namespace {

constexpr unsigned kConfigAbort = 0;
constexpr unsigned kS1cWriteBack = 1;       // STE.S1CIR, S1COR
constexpr unsigned kS1cInnerShareable = 3;  // STE.S1CSH
// MAIR_EL1 as arm64 sets it: normal, normal non-cacheable, device, device, tagged.
constexpr std::uint64_t kMairEl1 = 0xf00044ff;

/// TG0 and S2TG: 0 = 4 KiB, 1 = 64 KiB, 2 = 16 KiB.
unsigned tg0_of(unsigned granule_shift) {
  return granule_shift == 12 ? 0 : granule_shift == 16 ? 1 : 2;
}
/// CD.IPS and STE.S2PS.
unsigned size_encoding(unsigned bits) {
  unsigned encoding = 0;
  while (encoding < 6 && address_bits(encoding) < bits) ++encoding;
  return encoding;
}

/// The part of TCR that both kinds of CD have.
std::uint64_t tcr(unsigned input_bits, unsigned granule_shift) {
  return cd0::T0sz::of(64 - input_bits) | cd0::Tg0::of(tg0_of(granule_shift)) |
         cd0::Ir0::of(kWalkWriteBack) | cd0::Or0::of(kWalkWriteBack) |
         cd0::Sh0::of(kWalkInnerShareable);
}

/// STE.S2SL0 for a start level: the encoding of the 4 KiB granule is one off the others'.
unsigned sl0_of(unsigned start_level, unsigned granule_shift) {
  return ~(start_level + (granule_shift == 12 ? 1 : 0)) & 3;
}

}  // namespace

Entry make_abort_ste() {
  Entry ste{};
  ste[0] = ste0::Valid::of(1) | ste0::Config::of(kConfigAbort);
  return ste;
}

Entry make_bypass_ste(const Features& features) {
  Entry ste{};
  ste[0] = ste0::Valid::of(1) | ste0::Config::of(kSteConfigBypass);
  if (features.writes_shcfg) ste[1] = ste1::Shcfg::of(kShcfgIncoming);
  return ste;
}

Entry make_cdtable_ste(const Features& features, const CdTable& table, const CdTableSte& what) {
  Entry ste{};
  ste[0] = ste0::Valid::of(1) | ste0::Config::of(kSteConfigS1) | ste0::S1Fmt::of(table.format()) |
           ste0::S1ContextPtr::get(table.address().value) | ste0::S1CdMax::of(table.cd_max());
  ste[1] = ste1::S1Dss::of(what.s1dss) | ste1::S1Cir::of(kS1cWriteBack) |
           ste1::S1Cor::of(kS1cWriteBack) | ste1::S1Csh::of(kS1cInnerShareable) |
           ste1::S1Stalld::of(features.stalls && !what.may_stall) |
           ste1::Eats::of(what.ats ? kEatsFull : 0) |
           ste1::Strw::of(features.e2h ? kStrwEl2 : kStrwNsEl1);
  if (features.writes_shcfg && what.s1dss == kS1DssBypass) {
    ste[1] |= ste1::Shcfg::of(kShcfgIncoming);
  }
  return ste;
}

Entry make_s2_domain_ste(const Features& features, const IoPgtable& table, arch::Vmid vmid,
                         const Stage2Ste& what) {
  Entry ste{};
  ste[0] = ste0::Valid::of(1) | ste0::Config::of(kSteConfigS2);
  ste[1] = ste1::Eats::of(what.ats ? kEatsFull : 0);
  if (features.writes_shcfg) ste[1] |= ste1::Shcfg::of(kShcfgIncoming);
  ste[2] = ste2::S2Vmid::of(vmid.value) | ste2::S2T0sz::of(64 - table.input_bits) |
           ste2::S2Sl0::of(sl0_of(table.start_level, table.granule_shift)) |
           ste2::S2Ir0::of(kWalkWriteBack) | ste2::S2Or0::of(kWalkWriteBack) |
           ste2::S2Sh0::of(kWalkInnerShareable) | ste2::S2Tg::of(tg0_of(table.granule_shift)) |
           ste2::S2Ps::of(size_encoding(table.output_bits)) | ste2::S2Aa64::of(1) |
           ste2::S2Ptw::of(1) | ste2::S2S::of(what.stall) | ste2::S2R::of(1);
  ste[3] = ste3::S2Ttb::get(table.ttbr().value);
  return ste;
}

Entry make_s1_cd(const Domain& domain, bool stall) {
  const IoPgtable& table = domain.table;
  Entry cd{};
  cd[0] = tcr(table.input_bits, table.granule_shift) | cd0::Epd1::of(1) | cd0::Valid::of(1) |
          cd0::Ips::of(size_encoding(table.output_bits)) | cd0::Aa64::of(1) | cd0::S::of(stall) |
          cd0::R::of(1) | cd0::A::of(1) | cd0::Aset::of(1) | cd0::Ha::of(domain.dirty_tracking) |
          cd0::Hd::of(domain.dirty_tracking) | cd0::AsidField::of(domain.asid.value);
  cd[1] = cd1::Ttb0::get(table.ttbr().value);
  cd[3] = table.mair;
  return cd;
}

Entry make_sva_cd(const HostProperties& host, const SvaCd& what) {
  Entry cd{};
  cd[0] = cd0::Epd1::of(1) | cd0::Valid::of(1) | cd0::Ips::of(size_encoding(host.cpu_pa_bits)) |
          cd0::Aa64::of(1) | cd0::S::of(what.stall) | cd0::R::of(what.record) | cd0::A::of(1) |
          cd0::Aset::of(what.private_asid) | cd0::AsidField::of(what.asid.value);
  if (what.pgd) {
    cd[0] |= tcr(host.va_bits, host.page_shift);
    cd[1] = cd1::Ttb0::get(what.pgd->value);
  } else {
    cd[0] |= cd0::Epd0::of(1);
  }
  cd[3] = kMairEl1;
  return cd;
}

}  // namespace shootdown::sw::smmu
