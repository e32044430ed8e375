#include "hw/smmu/config_decode.h"

#include <algorithm>

namespace shootdown::hw {

namespace {

using arch::smmuv3::EventType;
namespace ste0 = arch::smmuv3::ste0;
namespace ste1 = arch::smmuv3::ste1;
namespace cd0 = arch::smmuv3::cd0;

bool ste_is_legal(const arch::smmuv3::Ste& ste, const SmmuFeatures& features) {
  if (ste0::Valid::get(ste[0]) == 0) return false;
  const auto config = ste0::Config::get(ste[0]);
  if (config < arch::smmuv3::kSteConfigBypass) return true;  // abort: the rest is ignored
  if (config > arch::smmuv3::kSteConfigS1) return false;     // stage 2 is not present
  if (config == arch::smmuv3::kSteConfigBypass) return true;
  const auto cd_max = ste0::S1CdMax::get(ste[0]);
  if (cd_max > features.ssid_bits) return false;
  if (cd_max != 0 && (ste0::S1Fmt::get(ste[0]) == 1 || ste0::S1Fmt::get(ste[0]) == 2)) return false;
  // STRW is RES0 without EL2 (IDR0.HYP = 0), so that it is not looked at.
  return ste1::S1Stalld::get(ste[1]) == 0 || features.stall_model;
}

bool half_is_legal(std::uint64_t txsz, bool granule_4k, std::uint64_t ttb, unsigned output_bits) {
  return granule_4k && txsz >= 16 && txsz <= 39 && (ttb >> output_bits) == 0;
}

ConfigResult decode_cd(const arch::smmuv3::Cd& cd, const arch::smmuv3::Ste& ste,
                       const SmmuFeatures& features) {
  const ConfigFault bad{EventType::kCBadCd, {}};
  if (cd0::Valid::get(cd[0]) == 0 || cd0::Aa64::get(cd[0]) == 0) return bad;
  if (cd0::Endi::get(cd[0]) != 0 || cd0::Ha::get(cd[0]) != 0 || cd0::Hd::get(cd[0]) != 0) {
    return bad;
  }
  const bool stall = cd0::S::get(cd[0]) != 0;
  if (stall && (!features.stall_model || ste1::S1Stalld::get(ste[1]) != 0)) return bad;
  StreamConfig config;
  config.kind = StreamConfig::Kind::kTranslate;
  Stage1Context& context = config.context;
  context.asid = arch::Asid{static_cast<std::uint16_t>(cd0::AsidField::get(cd[0]))};
  context.output_bits =
      std::min(arch::smmuv3::address_bits(cd0::Ips::get(cd[0])), features.output_bits);
  context.walks0_disabled = cd0::Epd0::get(cd[0]) != 0;
  context.walks1_disabled = cd0::Epd1::get(cd[0]) != 0;
  context.access_flag_faults = cd0::Affd::get(cd[0]) == 0;
  if (!context.walks0_disabled) {
    context.t0sz = static_cast<unsigned>(cd0::T0sz::get(cd[0]));
    context.ttb0 = {arch::smmuv3::cd1::Ttb0::get(cd[1])};
    const bool granule = cd0::Tg0::get(cd[0]) == arch::smmuv3::kTg0Granule4k;
    if (!half_is_legal(context.t0sz, granule, context.ttb0.value, context.output_bits)) return bad;
  }
  if (!context.walks1_disabled) {
    context.t1sz = static_cast<unsigned>(cd0::T1sz::get(cd[0]));
    context.ttb1 = {arch::smmuv3::cd2::Ttb1::get(cd[2])};
    const bool granule = cd0::Tg1::get(cd[0]) == arch::smmuv3::kTg1Granule4k;
    if (!half_is_legal(context.t1sz, granule, context.ttb1.value, context.output_bits)) return bad;
  }
  config.stall = stall;
  config.record = cd0::R::get(cd[0]) != 0;
  config.abort = cd0::A::get(cd[0]) != 0;
  config.ats = features.ats && ste1::Eats::get(ste[1]) == 1;
  return config;
}

}  // namespace

ConfigResult fetch_config(const SmmuFeatures& features, const StreamTable& table,
                          arch::StreamId stream_id, std::optional<arch::SubstreamId> substream_id,
                          const StructureReader& read) {
  if ((std::uint64_t{stream_id.value} >> std::min(table.log2_size, features.sid_bits)) != 0) {
    return ConfigFault{EventType::kCBadStreamid, {}};
  }
  const arch::PhysAddr ste_address =
      table.base + std::uint64_t{stream_id.value} * arch::smmuv3::kSteBytes;
  arch::smmuv3::Ste ste{};
  if (!read(ste_address, ste.data())) return ConfigFault{EventType::kFSteFetch, ste_address};
  if (!ste_is_legal(ste, features)) return ConfigFault{EventType::kCBadSte, {}};

  const auto config = ste0::Config::get(ste[0]);
  const auto cd_max = static_cast<unsigned>(ste0::S1CdMax::get(ste[0]));
  StreamConfig result;
  if (config < arch::smmuv3::kSteConfigBypass) return result;
  const bool stage1 = config == arch::smmuv3::kSteConfigS1;
  if (substream_id &&
      (!stage1 || cd_max == 0 || (std::uint64_t{substream_id->value} >> cd_max) != 0)) {
    return ConfigFault{EventType::kCBadSubstreamid, {}};
  }
  if (!stage1) {
    result.kind = StreamConfig::Kind::kBypass;
    return result;
  }
  std::uint32_t cd_index = 0;
  if (cd_max != 0) {
    const auto dss = ste1::S1Dss::get(ste[1]);
    if (substream_id) {
      if (dss == arch::smmuv3::kS1DssSsid0 && substream_id->value == 0) {
        return ConfigFault{EventType::kFStreamDisabled, {}};
      }
      cd_index = substream_id->value;
    } else if (dss == arch::smmuv3::kS1DssBypass) {
      result.kind = StreamConfig::Kind::kBypass;
      return result;
    } else if (dss != arch::smmuv3::kS1DssSsid0) {
      return ConfigFault{EventType::kFStreamDisabled, {}};
    }
  }
  const arch::PhysAddr cd_address = arch::PhysAddr{ste0::S1ContextPtr::get(ste[0])} +
                                    std::uint64_t{cd_index} * arch::smmuv3::kCdBytes;
  arch::smmuv3::Cd cd{};
  if (!read(cd_address, cd.data())) return ConfigFault{EventType::kFCdFetch, cd_address};
  return decode_cd(cd, ste, features);
}

}  // namespace shootdown::hw
