// Building SMMUv3 commands, as arm_smmu_cmdq_build_cmd() does.
#ifndef SHOOTDOWN_SW_SMMU_COMMANDS_H
#define SHOOTDOWN_SW_SMMU_COMMANDS_H

#include <bit>
#include <cstdint>
#include <vector>

#include "hw/arch/smmuv3_commands.h"
#include "hw/arch/types.h"

namespace shootdown::sw::smmu {

using arch::smmuv3::Command;
using arch::smmuv3::Opcode;
namespace cmd0 = arch::smmuv3::cmd0;
namespace cmd1 = arch::smmuv3::cmd1;

constexpr std::uint64_t op(Opcode opcode) { return cmd0::Op::of(static_cast<unsigned>(opcode)); }

constexpr Command cfgi_ste(arch::StreamId sid, bool leaf) {
  return {op(Opcode::kCfgiSte) | cmd0::Sid::of(sid.value), cmd1::Leaf::of(leaf)};
}
constexpr Command cfgi_all() {
  return {op(Opcode::kCfgiSteRange), cmd1::CfgiRange::of(arch::smmuv3::kCfgiRangeAll)};
}
constexpr Command cfgi_cd(arch::StreamId sid, arch::SubstreamId ssid, bool leaf) {
  return {op(Opcode::kCfgiCd) | cmd0::Sid::of(sid.value) | cmd0::Ssid::of(ssid.value),
          cmd1::Leaf::of(leaf)};
}
constexpr Command cfgi_cd_all(arch::StreamId sid) {
  return {op(Opcode::kCfgiCdAll) | cmd0::Sid::of(sid.value), 0};
}
constexpr Command prefetch_config(arch::StreamId sid) {
  return {op(Opcode::kPrefetchConfig) | cmd0::Sid::of(sid.value), 0};
}

/// CMD_TLBI_* without an address. Fields that an opcode does not have are left out.
constexpr Command tlbi(Opcode opcode, arch::Asid asid = {}, arch::Vmid vmid = {}) {
  Command command{op(opcode), 0};
  if (opcode == Opcode::kTlbiNhAsid || opcode == Opcode::kTlbiEl2Asid) {
    command.dw0 |= cmd0::AsidField::of(asid.value);
  }
  if (opcode == Opcode::kTlbiNhAsid || opcode == Opcode::kTlbiNhAll ||
      opcode == Opcode::kTlbiS12Vmall) {
    command.dw0 |= cmd0::VmidField::of(vmid.value);
  }
  return command;
}

/// Whose translations a CMD_TLBI_* by address means, and how far it reaches.
struct TlbiTarget {
  Opcode opcode{Opcode::kTlbiNhVa};  ///< NH_VA, EL2_VA or S2_IPA
  arch::Asid asid{};
  arch::Vmid vmid{};
  bool leaf{};
};
/// What a range command carries beside (IDR3.RIL). All zero: one address.
struct TlbiRange {
  unsigned num{};
  unsigned scale{};
  unsigned ttl{};
  unsigned tg{};  ///< 1, 2, 3: 4, 16, 64 KiB
};
constexpr Command tlbi(const TlbiTarget& target, std::uint64_t address, TlbiRange range = {}) {
  Command command{op(target.opcode) | cmd0::Num::of(range.num) | cmd0::Scale::of(range.scale),
                  cmd1::Leaf::of(target.leaf) | cmd1::Ttl::of(range.ttl) | cmd1::Tg::of(range.tg)};
  if (target.opcode == Opcode::kTlbiS2Ipa) {
    command.dw0 |= cmd0::VmidField::of(target.vmid.value);
    command.dw1 = cmd1::Ipa::set(command.dw1, address);
    return command;
  }
  command.dw0 |= cmd0::AsidField::of(target.asid.value);
  if (target.opcode == Opcode::kTlbiNhVa) command.dw0 |= cmd0::VmidField::of(target.vmid.value);
  command.dw1 = cmd1::Va::set(command.dw1, address);
  return command;
}

/// CMD_PRI_RESP.Resp.
enum class PriResponse : std::uint8_t { kDeny, kFail, kSuccess };
/// To whom a page request group is answered.
struct PriGroup {
  arch::StreamId sid{};
  bool has_ssid{};
  arch::SubstreamId ssid{};
  unsigned index{};  ///< PRG index
};
constexpr Command pri_resp(const PriGroup& group, PriResponse response) {
  return {op(Opcode::kPriResp) | cmd0::Sid::of(group.sid.value) | cmd0::Ssv::of(group.has_ssid) |
              cmd0::Ssid::of(group.ssid.value),
          cmd1::PrgIndex::of(group.index) | cmd1::PriResponse::of(static_cast<unsigned>(response))};
}

/// CMD_RESUME.{Ab,Ac}: retried, aborted, or terminated: as an abort where TERM_MODEL is 1, else as
/// reads of zero and lost writes.
enum class ResumeResponse : std::uint8_t { kTerminate, kRetry, kAbort };
constexpr Command resume(arch::StreamId sid, std::uint16_t stag, ResumeResponse response) {
  return {op(Opcode::kResume) | cmd0::Sid::of(sid.value) |
              cmd0::ResumeRetry::of(response == ResumeResponse::kRetry) |
              cmd0::ResumeAbort::of(response == ResumeResponse::kAbort),
          cmd1::Stag::of(stag)};
}

/// CMD_SYNC, inner shareable, write-back. It signals by a write of 0 to `msi`; without one by CS =
/// 2 (SEV), and the driver polls CONS.
constexpr Command sync(arch::PhysAddr msi = {}) {
  constexpr std::uint64_t kInnerShareable = 3;
  constexpr std::uint64_t kWriteBack = 0xf;
  constexpr std::uint64_t kSignalEvent = 2;
  const std::uint64_t signal = msi.value != 0 ? arch::smmuv3::kSyncSignalInterrupt : kSignalEvent;
  return {op(Opcode::kSync) | cmd0::SyncSignal::of(signal) | cmd0::SyncMsh::of(kInnerShareable) |
              cmd0::SyncMsiAttr::of(kWriteBack),
          cmd1::MsiAddress::set(0, msi.value)};
}

/// Whose ATC entries a CMD_ATC_INV means, and where: 2^log2_pages pages at `address`.
struct AtcTarget {
  arch::StreamId sid{};
  bool has_ssid{};
  arch::SubstreamId ssid{};
  bool global{};  ///< of all PASIDs (with a PASID)
};
struct AtcSpan {
  std::uint64_t address{};
  unsigned log2_pages{arch::smmuv3::kAtcSizeAll};
};
constexpr Command atc_inv(const AtcTarget& target, const AtcSpan& span) {
  return {op(Opcode::kAtcInv) | cmd0::Ssv::of(target.has_ssid) | cmd0::Ssid::of(target.ssid.value) |
              cmd0::Sid::of(target.sid.value) | cmd0::AtcGlobal::of(target.global),
          cmd1::AtcSize::of(span.log2_pages) | cmd1::Va::set(0, span.address)};
}

/// arm_smmu_atc_inv_to_cmd(): a power-of-two span of pages that contains [iova, iova + size).
/// size 0: everything. SubstreamID 0 (IOMMU_NO_PASID): no PASID prefix, and so all PASIDs.
constexpr Command atc_inv(arch::StreamId sid, arch::SubstreamId ssid, std::uint64_t iova,
                          std::uint64_t size) {
  const AtcTarget target{.sid = sid, .has_ssid = ssid.value != 0, .ssid = ssid};
  if (size == 0) return atc_inv(target, {});
  const std::uint64_t first = iova >> arch::kPageShift;
  const std::uint64_t last = (iova + size - 1) >> arch::kPageShift;
  const auto log2 = static_cast<unsigned>(std::bit_width(first ^ last));
  return atc_inv(target,
                 {.address = (first >> log2 << log2) << arch::kPageShift, .log2_pages = log2});
}

/// In which steps a range is invalidated.
struct TlbiSteps {
  unsigned leaf_shift{arch::kPageShift};     ///< smallest page of the domain: the unit of ranges
  unsigned granule_shift{arch::kPageShift};  ///< page that was unmapped
  bool range_invalidation{};                 ///< ARM_SMMU_FEAT_RANGE_INV
};
/// __arm_smmu_tlb_inv_range(): the commands that invalidate [iova, iova + size). With range
/// invalidation one command per power of two of the page count; `size` is then a multiple of the
/// leaf page (with another the kernel's loop does not end; here the rest is left out). Not leaf:
/// table descriptors too, no level hint.
std::vector<Command> tlb_inv_range(const TlbiTarget& target, std::uint64_t iova, std::uint64_t size,
                                   const TlbiSteps& steps);

static_assert(tlbi(TlbiTarget{.asid = arch::Asid{0x12}, .leaf = true}, 0x7f0012345000) ==
              Command{0x0012000000000012, 0x00007f0012345001});
static_assert(tlbi(TlbiTarget{.asid = arch::Asid{0x12}, .leaf = true}, 0x7f0012344000,
                   {.num = 4, .scale = 2, .ttl = 3, .tg = 1}) ==
              Command{0x0012000000204012, 0x00007f0012344701});
static_assert(tlbi(Opcode::kTlbiNhAsid, arch::Asid{0x12}, arch::Vmid{3}) ==
              Command{0x0012000300000011, 0});
static_assert(atc_inv(arch::StreamId{0x108}, arch::SubstreamId{7}, 0x7f0012340000, 16 * 4096) ==
              Command{0x0000010800007840, 0x00007f0012340004});
static_assert(pri_resp({.sid = arch::StreamId{0x108},
                        .has_ssid = true,
                        .ssid = arch::SubstreamId{7},
                        .index = 5},
                       PriResponse::kSuccess) == Command{0x0000010800007841, 0x2005});
static_assert(resume(arch::StreamId{0x108}, 0x2a, ResumeResponse::kRetry) ==
              Command{0x0000010800001044, 0x2a});
static_assert(sync() == Command{0x0fc02046, 0});
static_assert(sync(arch::PhysAddr{0x80001230}) == Command{0x0fc01046, 0x80001230});

}  // namespace shootdown::sw::smmu

#endif
