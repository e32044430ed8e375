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
constexpr Command prefetch_config(arch::StreamId sid) {
  return {op(Opcode::kPrefetchConfig) | cmd0::Sid::of(sid.value), 0};
}
constexpr Command tlbi_nsnh_all() { return {op(Opcode::kTlbiNsnhAll), 0}; }
constexpr Command tlbi_nh_asid(arch::Asid asid) {
  return {op(Opcode::kTlbiNhAsid) | cmd0::AsidField::of(asid.value), 0};
}
constexpr Command tlbi_nh_va(arch::Asid asid, std::uint64_t va, bool leaf) {
  return {op(Opcode::kTlbiNhVa) | cmd0::AsidField::of(asid.value),
          cmd1::Leaf::of(leaf) | cmd1::Va::set(0, va)};
}
constexpr Command tlbi_nh_va_range(arch::Asid asid, std::uint64_t va, bool leaf, unsigned num,
                                   unsigned scale, unsigned ttl) {
  Command command = tlbi_nh_va(asid, va, leaf);
  command.dw0 |= cmd0::Num::of(num) | cmd0::Scale::of(scale);
  command.dw1 |= cmd1::Ttl::of(ttl) | cmd1::Tg::of(1);  // 4 KiB
  return command;
}
/// RESUME: retry, or abort.
constexpr Command resume(arch::StreamId sid, std::uint16_t stag, bool retry) {
  return {op(Opcode::kResume) | cmd0::Sid::of(sid.value) | cmd0::ResumeRetry::of(retry) |
              cmd0::ResumeAbort::of(!retry),
          cmd1::Stag::of(stag)};
}
/// CS = 2 (SEV), inner shareable, write-back: what the driver uses when it polls CONS.
constexpr Command sync() { return {0x0fc02000 | op(Opcode::kSync), 0}; }

/// arm_smmu_atc_inv_to_cmd(): a power-of-two span of pages that contains [iova, iova + size).
/// size 0: everything.
constexpr Command atc_inv(arch::StreamId sid, arch::SubstreamId ssid, std::uint64_t iova,
                          std::uint64_t size) {
  Command command{op(Opcode::kAtcInv) | cmd0::Ssv::of(1) | cmd0::Ssid::of(ssid.value) |
                      cmd0::Sid::of(sid.value),
                  0};
  if (size == 0) {
    command.dw1 = cmd1::AtcSize::of(arch::smmuv3::kAtcSizeAll);
    return command;
  }
  const std::uint64_t first = iova >> arch::kPageShift;
  const std::uint64_t last = (iova + size - 1) >> arch::kPageShift;
  const auto log2 = static_cast<unsigned>(std::bit_width(first ^ last));
  command.dw1 =
      cmd1::AtcSize::of(log2) | cmd1::Va::set(0, (first >> log2 << log2) << arch::kPageShift);
  return command;
}

/// __arm_smmu_tlb_inv_range() for the 4 KiB granule: the commands that invalidate [iova, iova +
/// size). With range invalidation one command per power of two of the page count. `leaf` false:
/// table descriptors too, no level hint.
std::vector<Command> tlb_inv_range(arch::Asid asid, std::uint64_t iova, std::uint64_t size,
                                   bool leaf, bool range_invalidation);

static_assert(tlbi_nh_va(arch::Asid{0x12}, 0x7f0012345000, true) ==
              Command{0x0012000000000012, 0x00007f0012345001});
static_assert(tlbi_nh_va_range(arch::Asid{0x12}, 0x7f0012344000, true, 4, 2, 3) ==
              Command{0x0012000000204012, 0x00007f0012344701});
static_assert(atc_inv(arch::StreamId{0x108}, arch::SubstreamId{7}, 0x7f0012340000, 16 * 4096) ==
              Command{0x0000010800007840, 0x00007f0012340004});
static_assert(resume(arch::StreamId{0x108}, 0x2a, true) == Command{0x0000010800001044, 0x2a});
static_assert(sync() == Command{0x0fc02046, 0});

}  // namespace shootdown::sw::smmu

#endif
