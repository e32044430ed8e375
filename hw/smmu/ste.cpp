#include "hw/smmu/ste.h"

#include <algorithm>

#include "hw/mmu/stage2_walk.h"

namespace shootdown::hw {

namespace smmuv3 = arch::smmuv3;
namespace vmsa64 = arch::vmsa64;
namespace ste0 = arch::smmuv3::ste0;
namespace ste1 = arch::smmuv3::ste1;
namespace ste2 = arch::smmuv3::ste2;

namespace {

constexpr unsigned kMaxTsz = 39;
constexpr unsigned kMaxTszSmallTables = 48;

/// The start level that S2SL0 names; nothing where it is reserved (AArch64.S2InvalidSL).
std::optional<int> start_level_of(std::uint64_t sl0, vmsa64::Granule granule,
                                  const SmmuFeatures& features) {
  if (granule == vmsa64::Granule::k4k) {
    if (sl0 == 3) return features.small_tables ? std::optional(3) : std::nullopt;
    if (sl0 == 2 && features.output_bits < 44) return std::nullopt;
    return 2 - static_cast<int>(sl0);
  }
  if (sl0 == 3) return std::nullopt;
  const unsigned needed = granule == vmsa64::Granule::k16k ? 42 : 44;
  if (sl0 == 2 && features.output_bits < needed) return std::nullopt;
  return 3 - static_cast<int>(sl0);
}

/// STE.S2T0SZ, S2SL0, S2TG, S2PS and S2TTB.
bool decode_stage2_geometry(const smmuv3::Ste& ste, const SmmuFeatures& features,
                            Stage2Context& context) {
  const auto granule = smmuv3::granule_of_tg0(ste2::S2Tg::get(ste[2]));
  if (!granule || !features.has(*granule)) return false;
  context.granule = *granule;
  const auto start = start_level_of(ste2::S2Sl0::get(ste[2]), *granule, features);
  if (!start) return false;
  context.start_level = *start;
  context.tsz = static_cast<unsigned>(ste2::S2T0sz::get(ste[2]));
  // An IPA has no more bits than the SMMU can put out (IAS), nor than the granule can say.
  const unsigned most_bits = vmsa64::table_address_bits(*granule, features.output_bits);
  const unsigned max_tsz = features.small_tables ? kMaxTszSmallTables : kMaxTsz;
  if (context.tsz < 64 - most_bits || context.tsz > max_tsz) return false;
  if (!stage2_start_is_consistent(context.tsz, context.start_level, *granule)) return false;
  context.output_bits =
      std::min(smmuv3::address_bits(ste2::S2Ps::get(ste[2])), features.output_bits);
  context.wide_output = features.wide_output();
  context.ttb = {smmuv3::ste3::S2Ttb::get(ste[3])};
  return context.ttb.value >> vmsa64::table_address_bits(*granule, context.output_bits) == 0;
}

bool decode_stage2(const smmuv3::Ste& ste, const SmmuFeatures& features, StreamEntry& entry) {
  Stage2Context& context = entry.stage2_context;
  if (ste2::S2Aa64::get(ste[2]) == 0) return false;
  if (ste2::S2Endi::get(ste[2]) != 0) return false;  // TTENDIAN: only little-endian tables
  if (!decode_stage2_geometry(ste, features, context)) return false;
  const bool ha = ste2::S2Ha::get(ste[2]) != 0;
  const bool hd = ste2::S2Hd::get(ste[2]) != 0;
  if (ha && features.hardware_update == HardwareUpdate::kNone) return false;
  if (hd && features.hardware_update != HardwareUpdate::kAccessFlagAndDirty) return false;
  const bool stall = ste2::S2S::get(ste[2]) != 0;
  if (stall && features.stall_model == StallModel::kTerminateOnly) return false;
  if (!stall && features.stall_model == StallModel::kStallForced) return false;
  context.vmid = entry.vmid;
  context.access_flag_faults = ste2::S2Affd::get(ste[2]) == 0;
  context.update_access_flag = ha;
  context.update_dirty = ha && hd;
  context.protect_table_walks = ste2::S2Ptw::get(ste[2]) != 0;
  context.execute_never_by_privilege = features.execute_never_by_privilege;
  entry.stage2_faults = {.stall = stall, .record = ste2::S2R::get(ste[2]) != 0, .abort = true};
  return true;
}

bool decode_stage1(const smmuv3::Ste& ste, const StructureRules& rules, StreamEntry& entry) {
  const SmmuFeatures& features = rules.features;
  entry.context_ptr = ste0::S1ContextPtr::get(ste[0]);
  // Of what section 3.4.3 permits: illegal, with stage 2 too.
  if (entry.context_ptr >> features.output_bits != 0) return false;
  // Without SubstreamIDs S1CDMax is ignored.
  entry.cd_max = features.ssid_bits == 0 ? 0 : static_cast<unsigned>(ste0::S1CdMax::get(ste[0]));
  if (entry.cd_max > features.ssid_bits) return false;
  if (entry.cd_max != 0) {
    entry.cd_format = static_cast<unsigned>(ste0::S1Fmt::get(ste[0]));
    if (entry.cd_format == 3) entry.cd_format = smmuv3::kS1FmtLinear;
    if (entry.cd_format != smmuv3::kS1FmtLinear && !features.two_level_cd) return false;
  }
  entry.default_substream = static_cast<unsigned>(ste1::S1Dss::get(ste[1]));
  entry.stall_disabled = ste1::S1Stalld::get(ste[1]) != 0;
  if (entry.stall_disabled && features.stall_model != StallModel::kStallAndTerminate) return false;
  // STRW is RES0 without EL2, and not looked at with stage 2.
  if (features.hyp && !entry.stage2) {
    const auto world = ste1::Strw::get(ste[1]);
    if (world != smmuv3::kStrwNsEl1 && world != smmuv3::kStrwEl2) return false;
    if (world == smmuv3::kStrwEl2) {
      entry.regime = rules.e2h ? arch::Regime::kEl2E2h : arch::Regime::kEl2;
    }
  }
  return true;
}

bool decode_ats(const smmuv3::Ste& ste, const StructureRules& rules, StreamEntry& entry) {
  const SmmuFeatures& features = rules.features;
  if (!features.ats) return true;                   // EATS is RES0
  if (!entry.stage1 && !entry.stage2) return true;  // it counts as off
  switch (ste1::Eats::get(ste[1])) {
    case smmuv3::kEatsFull:
      entry.ats = StreamConfig::Ats::kFull;
      // A request cannot stall; only the SMMUs before v3.1 let software find out by itself.
      return !(entry.stage2 && entry.stage2_faults.stall && features.minor_version >= 1);
    case smmuv3::kEatsSplit:
      // Without ATSCHK nobody would apply stage 2 to what comes back: it counts as off.
      if (rules.atschk) entry.ats = StreamConfig::Ats::kSplitStage;
      return features.split_stage_ats && entry.stage1 && entry.stage2 && !entry.stage2_faults.stall;
    default:
      return true;
  }
}

void decode_overrides(const smmuv3::Ste& ste, const SmmuFeatures& features, StreamEntry& entry) {
  entry.merge_events = ste1::Mev::get(ste[1]) != 0;
  if (!features.permission_overrides) return;  // RES0
  const auto privilege = ste1::Privcfg::get(ste[1]);
  if (privilege >= smmuv3::kPrivcfgUnprivileged) {
    entry.overrides.privileged = privilege == smmuv3::kPrivcfgPrivileged;
  }
  const auto instruction = ste1::Instcfg::get(ste[1]);
  if (instruction >= smmuv3::kInstcfgData) {
    entry.overrides.instruction = instruction == smmuv3::kInstcfgInstruction;
  }
}

}  // namespace

std::optional<StreamEntry> decode_ste(const smmuv3::Ste& ste, const StructureRules& rules) {
  const SmmuFeatures& features = rules.features;
  if (ste0::Valid::get(ste[0]) == 0) return std::nullopt;
  const auto config = ste0::Config::get(ste[0]);
  StreamEntry entry;
  if (config < smmuv3::kSteConfigBypass) return entry;  // abort: the rest is not looked at
  entry.stage1 = (config & 1) != 0;
  entry.stage2 = (config & 2) != 0;
  entry.kind = config == smmuv3::kSteConfigBypass ? StreamEntry::Kind::kBypass
                                                  : StreamEntry::Kind::kTranslate;
  if ((entry.stage1 && !features.stage1) || (entry.stage2 && !features.stage2)) return std::nullopt;
  if (features.stage2) {
    entry.vmid = arch::Vmid{static_cast<std::uint16_t>(ste2::S2Vmid::get(ste[2]))};
  }
  if (entry.stage2 && !decode_stage2(ste, features, entry)) return std::nullopt;
  if (entry.stage1 && !decode_stage1(ste, rules, entry)) return std::nullopt;
  // A VMID of 16 bits, unless nothing is tagged with it (section 5.2.2).
  const bool tagged = (entry.stage1 || entry.stage2) && entry.regime == arch::Regime::kEl1;
  if (tagged && !features.vmid16 && entry.vmid.value > 0xff) return std::nullopt;
  if (!decode_ats(ste, rules, entry)) return std::nullopt;
  decode_overrides(ste, features, entry);
  return entry;
}

}  // namespace shootdown::hw
