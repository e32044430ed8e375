#include "hw/smmu/cd.h"

#include <algorithm>

namespace shootdown::hw {

namespace smmuv3 = arch::smmuv3;
namespace cd0 = arch::smmuv3::cd0;
namespace cd1 = arch::smmuv3::cd1;
namespace cd2 = arch::smmuv3::cd2;

namespace {

/// TxSZ between what the address size and what the tables permit.
bool tsz_is_legal(unsigned tsz, arch::vmsa64::Granule granule, const SmmuFeatures& features) {
  const bool large = granule == arch::vmsa64::Granule::k64k;
  const unsigned min = large && features.wide_addresses ? 12 : 16;
  const unsigned max = features.small_tables ? (large ? 47 : 48) : 39;
  return tsz >= min && tsz <= max;
}

bool half_is_legal(const Stage1Half& half, std::optional<arch::vmsa64::Granule> granule,
                   unsigned output_bits, const SmmuFeatures& features) {
  return granule && features.has(*granule) && tsz_is_legal(half.tsz, *granule, features) &&
         half.ttb.value >> arch::vmsa64::table_address_bits(*granule, output_bits) == 0;
}

bool decode_halves(const smmuv3::Cd& cd, const SmmuFeatures& features, Stage1Context& context) {
  const arch::Regime regime = context.space.regime;
  Stage1Half& lower = context.half[0];
  // A regime of one table cannot switch it off.
  lower.walks_disabled = cd0::Epd0::get(cd[0]) != 0 && regime != arch::Regime::kEl2;
  lower.ignore_top_byte = cd0::Tbi0::get(cd[0]) != 0;
  if (!lower.walks_disabled) {
    const auto granule = smmuv3::granule_of_tg0(cd0::Tg0::get(cd[0]));
    lower.tsz = static_cast<unsigned>(cd0::T0sz::get(cd[0]));
    lower.ttb = {cd1::Ttb0::get(cd[1])};
    lower.ignore_hierarchy = features.hierarchy_disable && cd1::Had0::get(cd[1]) != 0;
    if (!half_is_legal(lower, granule, context.output_bits, features)) return false;
    lower.granule = *granule;
  }
  Stage1Half& upper = context.half[1];
  upper.walks_disabled = cd0::Epd1::get(cd[0]) != 0 || regime == arch::Regime::kEl2;
  upper.ignore_top_byte = cd0::Tbi1::get(cd[0]) != 0 && regime != arch::Regime::kEl2;
  if (!upper.walks_disabled) {
    const auto granule = smmuv3::granule_of_tg1(cd0::Tg1::get(cd[0]));
    upper.tsz = static_cast<unsigned>(cd0::T1sz::get(cd[0]));
    upper.ttb = {cd2::Ttb1::get(cd[2])};
    upper.ignore_hierarchy = features.hierarchy_disable && cd2::Had1::get(cd[2]) != 0;
    if (!half_is_legal(upper, granule, context.output_bits, features)) return false;
    upper.granule = *granule;
  }
  return true;
}

bool decode_updates(const smmuv3::Cd& cd, const SmmuFeatures& features, Stage1Context& context) {
  const bool ha = cd0::Ha::get(cd[0]) != 0;
  const bool hd = cd0::Hd::get(cd[0]) != 0;
  if (ha && features.hardware_update == HardwareUpdate::kNone) return false;
  if (hd && features.hardware_update != HardwareUpdate::kAccessFlagAndDirty) return false;
  context.update_access_flag = ha;
  context.update_dirty = ha && hd;
  context.access_flag_faults = cd0::Affd::get(cd[0]) == 0;
  return true;
}

}  // namespace

std::optional<ContextEntry> decode_cd(const smmuv3::Cd& cd, const StreamEntry& stream,
                                      const StructureRules& rules) {
  const SmmuFeatures& features = rules.features;
  if (cd0::Valid::get(cd[0]) == 0 || cd0::Aa64::get(cd[0]) == 0) return std::nullopt;
  ContextEntry entry;
  entry.faults = {.stall = cd0::S::get(cd[0]) != 0,
                  .record = cd0::R::get(cd[0]) != 0,
                  .abort = cd0::A::get(cd[0]) != 0};
  if (entry.faults.stall &&
      (stream.stall_disabled || features.stall_model == StallModel::kTerminateOnly)) {
    return std::nullopt;
  }
  if (!entry.faults.stall && features.stall_model == StallModel::kStallForced) return std::nullopt;
  if (!entry.faults.abort && features.abort_only) return std::nullopt;

  Stage1Context& context = entry.context;
  const auto asid = static_cast<std::uint16_t>(cd0::AsidField::get(cd[0]));
  const bool el2 = stream.regime == arch::Regime::kEl2;
  if (!el2 && !features.asid16 && asid > 0xff) return std::nullopt;
  context.space = {.asid = arch::Asid{asid},
                   .vmid = stream.regime == arch::Regime::kEl1 ? stream.vmid : arch::Vmid{},
                   .regime = stream.regime,
                   .private_asids = cd0::Aset::get(cd[0]) != 0};
  if (el2) {
    context.space.asid = {};
    context.space.private_asids = false;
  }
  context.output_bits = std::min(smmuv3::address_bits(cd0::Ips::get(cd[0])), features.output_bits);
  context.wide_output = features.wide_output();
  context.rules = {.single_privilege = el2,
                   .pan = !el2 && cd0::Pan::get(cd[0]) != 0,
                   .wxn = cd0::Wxn::get(cd[0]) != 0,
                   .uwxn = !el2 && cd0::Uwxn::get(cd[0]) != 0};
  if (!decode_updates(cd, features, context)) return std::nullopt;
  if (!decode_halves(cd, features, context)) return std::nullopt;
  const bool walks = !context.half[0].walks_disabled || !context.half[1].walks_disabled;
  // TTENDIAN: only little-endian tables.
  if (walks && cd0::Endi::get(cd[0]) != 0) return std::nullopt;
  return entry;
}

}  // namespace shootdown::hw
