#include "sw/smmu/features.h"

#include <algorithm>
#include <bit>

#include "hw/arch/smmuv3_registers.h"
#include "hw/arch/smmuv3_tables.h"

namespace shootdown::sw::smmu {

using namespace arch::smmuv3;  // the field names below read like the specification

namespace {

constexpr std::uint64_t size_bit(unsigned shift) { return std::uint64_t{1} << shift; }
constexpr std::uint64_t k4kSizes = size_bit(12) | size_bit(21) | size_bit(30);
constexpr std::uint64_t k16kSizes = size_bit(14) | size_bit(25);
constexpr std::uint64_t k64kSizes = size_bit(16) | size_bit(29) | size_bit(42);

constexpr unsigned kTtfAArch64 = 2;
constexpr unsigned kTtfBoth = 3;
constexpr unsigned kAArch32InputBits = 40;
constexpr unsigned kTtendianMixed = 0;
constexpr unsigned kTtendianLittle = 2;
constexpr unsigned kTtendianBig = 3;
constexpr unsigned kStallModelForced = 2;
constexpr unsigned kHttuAccess = 1;
constexpr unsigned kHttuAccessDirty = 2;
constexpr unsigned kOas52 = 6;
constexpr unsigned kVax52 = 1;
constexpr unsigned kStreamTableSplit = 8;
constexpr unsigned kBatchLog2 = 6;  // ilog2(CMDQ_BATCH_ENTRIES)

/// Linux's largest queues: Q_MAX_SZ_SHIFT less the size of an entry.
constexpr unsigned kQueueBytesLog2 = 20;
unsigned queue_log2(std::uint64_t idr, unsigned entry_log2) {
  return std::min(static_cast<unsigned>(idr), kQueueBytesLog2 - entry_log2);
}

bool probe_idr0(std::uint32_t idr0_value, const HostProperties& host, Features& f) {
  f.two_level_stream_table = idr0::StLevel::get(idr0_value) == 1;
  f.two_level_cd = idr0::Cd2l::get(idr0_value) != 0;
  switch (idr0::Ttendian::get(idr0_value)) {
    case kTtendianMixed:
      f.little_endian = f.big_endian = true;
      break;
    case kTtendianLittle:
      f.little_endian = true;
      break;
    case kTtendianBig:
      f.big_endian = true;
      break;
    default:
      return false;
  }
  f.pri = host.pci_pri && idr0::Pri::get(idr0_value) != 0;
  f.ats = idr0::Ats::get(idr0_value) != 0;
  f.sev = idr0::Sev::get(idr0_value) != 0;
  f.msi = idr0::Msi::get(idr0_value) != 0;
  f.coherent = host.coherent;
  f.msi_polling = f.msi && f.coherent;
  f.hyp = idr0::Hyp::get(idr0_value) != 0;
  f.e2h = f.hyp && host.vhe;
  if (host.looks_for_httu) {
    const auto httu = idr0::Httu::get(idr0_value);
    f.access_flag = httu == kHttuAccess || httu == kHttuAccessDirty;
    f.dirty = httu == kHttuAccessDirty;
  }
  const auto stall_model = idr0::StallModel::get(idr0_value);
  f.stall_forced = stall_model == kStallModelForced;
  f.stalls = stall_model != kStallModelTerminateOnly;
  f.stage1 = idr0::S1p::get(idr0_value) != 0;
  f.stage2 = idr0::S2p::get(idr0_value) != 0;
  if (!f.stage1 && !f.stage2) return false;
  if ((idr0::Ttf::get(idr0_value) & kTtfAArch64) == 0) return false;
  f.asid_bits = idr0::Asid16::get(idr0_value) != 0 ? 16 : 8;
  f.vmid_bits = idr0::Vmid16::get(idr0_value) != 0 ? 16 : 8;
  return true;
}

bool probe_idr1(std::uint32_t idr1_value, const HostProperties& host, Features& f) {
  if (idr1::TablesPreset::get(idr1_value) != 0 || idr1::QueuesPreset::get(idr1_value) != 0 ||
      idr1::Rel::get(idr1_value) != 0) {
    return false;
  }
  f.type_overrides = host.looks_for_type_overrides && idr1::AttrTypesOvr::get(idr1_value) != 0;
  f.writes_shcfg = f.type_overrides || !host.looks_for_type_overrides;
  f.cmdq_log2 = queue_log2(idr1::Cmdqs::get(idr1_value), 4);
  // A whole batch and its CMD_SYNC have to fit.
  if (f.cmdq_log2 <= kBatchLog2) return false;
  f.evtq_log2 = queue_log2(idr1::Eventqs::get(idr1_value), 5);
  f.priq_log2 = queue_log2(idr1::Priqs::get(idr1_value), 4);
  f.ssid_bits = static_cast<unsigned>(idr1::SsidSize::get(idr1_value));
  f.sid_bits = static_cast<unsigned>(idr1::SidSize::get(idr1_value));
  // A second level of one table would be no gain.
  if (f.sid_bits <= kStreamTableSplit) f.two_level_stream_table = false;
  return true;
}

void probe_idr5(std::uint32_t idr5_value, Features& f) {
  if (idr5::Gran64k::get(idr5_value) != 0) f.pgsize_bitmap |= size_bit(16) | size_bit(29);
  if (idr5::Gran16k::get(idr5_value) != 0) f.pgsize_bitmap |= k16kSizes;
  if (idr5::Gran4k::get(idr5_value) != 0) f.pgsize_bitmap |= k4kSizes;
  f.wide_addresses = idr5::Vax::get(idr5_value) == kVax52;
  const auto oas = idr5::Oas::get(idr5_value);
  constexpr unsigned kReserved = 7;
  f.output_bits = oas == kReserved ? 48 : address_bits(oas);
  if (oas == kOas52) f.pgsize_bitmap |= size_bit(42);
  f.input_bits = f.output_bits;
}

/// Errata by identification (arm_smmu_device_iidr_probe()).
void probe_iidr(std::uint32_t iidr, Features& f) {
  constexpr std::uint32_t kImplementerArm = 0x43b;
  constexpr std::uint32_t kMmu600 = 0x483;
  constexpr std::uint32_t kMmu700 = 0x487;
  if ((iidr & 0xfff) != kImplementerArm) return;
  const std::uint32_t variant = iidr >> 16 & 0xf;
  const std::uint32_t revision = iidr >> 12 & 0xf;
  switch (iidr >> 20) {
    case kMmu600:
      if (variant == 0 && revision <= 2) f.sev = false;  // erratum 1076982
      if (variant < 2) f.nesting = false;                // erratum 1209401
      break;
    case kMmu700:
      f.broadcast = false;  // erratum 2812531
      f.force_sync = true;
      f.nesting = false;  // errata 2268618, 2812531
      break;
    default:
      break;
  }
}

bool sva_supported(const Features& f, const HostProperties& host) {
  constexpr std::uint32_t k64kPage = 16;
  if (host.va_bits == 52 && (host.page_shift != k64kPage || !f.wide_addresses)) return false;
  return f.coherent && (f.pgsize_bitmap & size_bit(host.page_shift)) != 0 &&
         f.output_bits >= host.cpu_pa_bits && f.asid_bits >= host.cpu_asid_bits;
}

}  // namespace

std::optional<Features> probe_features(const IdRegisterValues& id, const HostProperties& host) {
  Features f;
  if (!probe_idr0(id.idr0, host, f) || !probe_idr1(id.idr1, host, f)) return std::nullopt;
  f.range_invalidation = idr3::Ril::get(id.idr3) != 0;
  probe_idr5(id.idr5, f);
  if (idr0::Ttf::get(id.idr0) == kTtfBoth) f.input_bits = std::max(f.input_bits, kAArch32InputBits);
  f.nesting = f.stage1 && f.stage2;
  probe_iidr(id.iidr, f);
  f.sva = sva_supported(f, host);
  return f;
}

std::uint64_t restrict_page_sizes(std::uint64_t pgsize_bitmap, unsigned host_page_shift) {
  const std::uint64_t host = size_bit(host_page_shift);
  const std::uint64_t below = pgsize_bitmap & (host - 1);
  const std::uint64_t above = pgsize_bitmap & ~(host - 1);
  std::uint64_t granule = 0;
  if ((pgsize_bitmap & host) != 0) {
    granule = host;
  } else if (below != 0) {
    granule = std::bit_floor(below);
  } else {
    granule = above & (~above + 1);
  }
  switch (std::countr_zero(granule)) {
    case 12:
      return pgsize_bitmap & k4kSizes;
    case 14:
      return pgsize_bitmap & k16kSizes;
    case 16:
      return pgsize_bitmap & k64kSizes;
    default:
      return 0;
  }
}

}  // namespace shootdown::sw::smmu
