#include "hw/smmu/smmu_features.h"

#include <algorithm>

#include "hw/arch/smmuv3_tables.h"

namespace shootdown::hw {

using namespace arch::smmuv3;  // the field names below read like the specification

namespace {

/// IDR5.OAS for a number of output address bits.
unsigned oas_encoding(unsigned bits) {
  unsigned encoding = 0;
  while (encoding < 6 && address_bits(encoding) < bits) ++encoding;
  return encoding;
}
constexpr unsigned kAArch64Only = 2;
constexpr unsigned kLittleEndian = 2;

}  // namespace

IdRegisters id_registers(const SmmuFeatures& f) {
  IdRegisters r;
  r.idr0 = static_cast<std::uint32_t>(
      idr0::S2p::of(f.stage2) | idr0::S1p::of(f.stage1) | idr0::Ttf::of(kAArch64Only) |
      idr0::Cohacc::of(f.coherent) | idr0::Btm::of(f.broadcast) |
      idr0::Httu::of(static_cast<unsigned>(f.hardware_update)) | idr0::Hyp::of(f.hyp) |
      idr0::Ats::of(f.ats) | idr0::Ns1ats::of(f.ats && f.stage1 && f.stage2 && !f.split_stage_ats) |
      idr0::Asid16::of(f.asid16) | idr0::Msi::of(f.msi) | idr0::Sev::of(f.sev) |
      idr0::Pri::of(f.pri) | idr0::Vmw::of(f.vmid_wildcard) | idr0::Vmid16::of(f.vmid16) |
      idr0::Cd2l::of(f.two_level_cd) | idr0::Ttendian::of(kLittleEndian) |
      idr0::Atsrecerr::of(f.ats_records_errors) |
      idr0::StallModel::of(static_cast<unsigned>(f.stall_model)) |
      idr0::TermModel::of(f.abort_only) | idr0::StLevel::of(f.two_level_stream_table));
  r.idr1 = static_cast<std::uint32_t>(
      idr1::SidSize::of(f.sid_bits) | idr1::SsidSize::of(f.ssid_bits) |
      idr1::Priqs::of(f.pri ? f.pri_queue_log2 : 0) | idr1::Eventqs::of(f.event_queue_log2) |
      idr1::Cmdqs::of(f.command_queue_log2) | idr1::AttrPermsOvr::of(f.permission_overrides) |
      idr1::AttrTypesOvr::of(f.type_overrides));
  r.idr3 = static_cast<std::uint32_t>(
      idr3::Had::of(f.hierarchy_disable) | idr3::Xnx::of(f.execute_never_by_privilege) |
      idr3::Stt::of(f.small_tables) | idr3::Ril::of(f.range_invalidation) |
      idr3::Bbml::of(f.bbm_level));
  r.idr5 = static_cast<std::uint32_t>(
      idr5::Oas::of(oas_encoding(f.output_bits)) | idr5::Gran4k::of(f.granule4k) |
      idr5::Gran16k::of(f.granule16k) | idr5::Gran64k::of(f.granule64k) |
      idr5::Vax::of(f.wide_addresses) | idr5::StallMax::of(f.can_stall() ? f.stall_max : 0));
  r.iidr = f.iidr;
  // From SMMUv3.2 on range invalidation is mandatory.
  r.aidr = f.range_invalidation ? f.minor_version : std::min(f.minor_version, 1U);
  return r;
}

SmmuFeatures features_of(const IdRegisters& r) {
  SmmuFeatures f;
  f.stage1 = idr0::S1p::get(r.idr0) != 0;
  f.stage2 = idr0::S2p::get(r.idr0) != 0;
  f.coherent = idr0::Cohacc::get(r.idr0) != 0;
  f.broadcast = idr0::Btm::get(r.idr0) != 0;
  f.hardware_update = static_cast<HardwareUpdate>(idr0::Httu::get(r.idr0));
  f.hyp = idr0::Hyp::get(r.idr0) != 0;
  f.ats = idr0::Ats::get(r.idr0) != 0;
  f.split_stage_ats = f.ats && f.stage1 && f.stage2 && idr0::Ns1ats::get(r.idr0) == 0;
  f.asid16 = idr0::Asid16::get(r.idr0) != 0;
  f.msi = idr0::Msi::get(r.idr0) != 0;
  f.sev = idr0::Sev::get(r.idr0) != 0;
  f.pri = idr0::Pri::get(r.idr0) != 0;
  f.vmid_wildcard = idr0::Vmw::get(r.idr0) != 0;
  f.vmid16 = idr0::Vmid16::get(r.idr0) != 0;
  f.two_level_cd = idr0::Cd2l::get(r.idr0) != 0;
  f.ats_records_errors = idr0::Atsrecerr::get(r.idr0) != 0;
  f.stall_model = static_cast<StallModel>(idr0::StallModel::get(r.idr0));
  f.abort_only = idr0::TermModel::get(r.idr0) != 0;
  f.two_level_stream_table = idr0::StLevel::get(r.idr0) != 0;
  f.sid_bits = static_cast<unsigned>(idr1::SidSize::get(r.idr1));
  f.ssid_bits = static_cast<unsigned>(idr1::SsidSize::get(r.idr1));
  f.pri_queue_log2 = static_cast<unsigned>(idr1::Priqs::get(r.idr1));
  f.event_queue_log2 = static_cast<unsigned>(idr1::Eventqs::get(r.idr1));
  f.command_queue_log2 = static_cast<unsigned>(idr1::Cmdqs::get(r.idr1));
  f.permission_overrides = idr1::AttrPermsOvr::get(r.idr1) != 0;
  f.type_overrides = idr1::AttrTypesOvr::get(r.idr1) != 0;
  f.hierarchy_disable = idr3::Had::get(r.idr3) != 0;
  f.execute_never_by_privilege = idr3::Xnx::get(r.idr3) != 0;
  f.small_tables = idr3::Stt::get(r.idr3) != 0;
  f.range_invalidation = idr3::Ril::get(r.idr3) != 0;
  f.bbm_level = static_cast<unsigned>(idr3::Bbml::get(r.idr3));
  f.output_bits = address_bits(idr5::Oas::get(r.idr5));
  f.granule4k = idr5::Gran4k::get(r.idr5) != 0;
  f.granule16k = idr5::Gran16k::get(r.idr5) != 0;
  f.granule64k = idr5::Gran64k::get(r.idr5) != 0;
  f.wide_addresses = idr5::Vax::get(r.idr5) != 0;
  f.stall_max = static_cast<unsigned>(idr5::StallMax::get(r.idr5));
  f.iidr = r.iidr;
  f.minor_version = r.aidr & 0xf;
  return f;
}

}  // namespace shootdown::hw
