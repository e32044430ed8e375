#include "conform/reference/reference_ste.h"

#include <algorithm>

#include "conform/reference/reference_bits.h"

namespace shootdown::conform::reference {

namespace {

constexpr unsigned kEatsFull = 1;
constexpr unsigned kEatsSplitStage = 2;
constexpr unsigned kStreamWorldEl2 = 2;

unsigned field(std::uint64_t word, unsigned high, unsigned low) {
  return static_cast<unsigned>(bits(word, high, low));
}

/// Section 5.2.2, IgnoreSTESTRW.
bool stream_world_used(const StreamTableEntry& ste, const Features& features) {
  return features.stage1 && features.hyp && ste.stage1() && !ste.stage2();
}

/// Section 5.2, STE.EATS. S2S counts here even if stage 2 is off.
bool ats_illegal(const StreamTableEntry& ste, const Features& features) {
  if (!features.ats || (!ste.stage1() && !ste.stage2())) return false;
  if (ste.eats == kEatsSplitStage) return ste.config != 7 || ste.s2_stall || features.ns1ats;
  // SMMUv3.0 may check S2S without stage 2 too; the architecture advises not to.
  return ste.eats == kEatsFull && ste.stage2() && ste.s2_stall;
}

bool stage1_illegal(const StreamTableEntry& ste, const Features& features) {
  if (!features.stage1) return true;
  if (ste.s1_stall_disabled && features.stall_model != kStallAndTerminate) return true;
  if (features.ssid_size != 0) {
    if (ste.s1_cd_max > features.ssid_size) return true;
    const bool two_level = ste.s1_format == 1 || ste.s1_format == 2;  // 3 acts as 0
    if (ste.s1_cd_max != 0 && two_level && !features.cd2l) return true;
  }
  // Section 3.4.3, notes 1 and 2: with stage 2, a stage 2 translation fault is allowed as well.
  const unsigned limit = ste.stage2() ? features.ias_bits() : features.oas_bits;
  return !fits(ste.s1_context_ptr, limit);
}

/// Section 5.2, STE.S2T0SZ and S2SL0; Arm ARM D8.2, the stage 2 start level.
bool stage2_size_illegal(const StreamTableEntry& ste, const Features& features) {
  const unsigned granule = ste.s2_granule_shift();
  unsigned largest = 39;
  if (features.stt) largest = granule == 16 ? 47 : 48;
  unsigned smallest = 64 - features.ias_bits();
  if (!features.v3_0) smallest = std::max(smallest, granule == 16 ? 12U : 16U);
  // Out of range is CONSTRAINED UNPREDICTABLE in SMMUv3.0; taken as illegal, as from v3.1 on.
  if (ste.s2_t0sz < smallest || ste.s2_t0sz > largest) return true;

  const int start_level = stage2_start_level(granule, ste.s2_sl0, features);
  return start_level < 0 || !stage2_start_level_consistent(granule, 64 - ste.s2_t0sz, start_level);
}

bool stage2_illegal(const StreamTableEntry& ste, const Features& features) {
  if (!features.stage2) return true;
  if (ste.s2_stall && features.stall_model == kTerminateOnly) return true;
  if (!ste.s2_stall && features.stall_model == kStallOnly) return true;
  // VMSAv8-32 tables are not modelled: they are absent, whatever IDR0.TTF says.
  if (!ste.s2_aa64 || !features.aarch64_tables) return true;
  if ((ste.s2_ha || ste.s2_hd) && features.httu == 0) return true;
  if (ste.s2_hd && features.httu == 1) return true;
  const unsigned granule = ste.s2_granule_shift();
  if (!features.granule(granule)) return true;
  unsigned base_limit = features.output_bits(ste.s2_ps);
  if (granule != 16) base_limit = std::min(base_limit, 48U);
  if (!fits(ste.s2_ttb, base_limit)) return true;
  if (stage2_size_illegal(ste, features)) return true;
  if (features.ttendian == 2 && ste.s2_endi) return true;
  return features.ttendian == 3 && !ste.s2_endi;
}

}  // namespace

StreamTableEntry::StreamTableEntry(const std::array<std::uint64_t, 8>& words)
    : valid(bit(words[0], 0)),
      config(field(words[0], 3, 1)),
      s1_format(field(words[0], 5, 4)),
      s1_context_ptr(address_bits(words[0], 55, 6)),
      s1_cd_max(field(words[0], 63, 59)),
      s1_dss(field(words[1], 1, 0)),
      s1_stall_disabled(bit(words[1], 27)),
      s2_fwb(bit(words[1], 25)),
      eats(field(words[1], 29, 28)),
      stream_world(field(words[1], 31, 30)),
      priv_cfg(field(words[1], 49, 48)),
      inst_cfg(field(words[1], 51, 50)),
      s2_vmid(static_cast<std::uint16_t>(bits(words[2], 15, 0))),
      s2_t0sz(field(words[2], 37, 32)),
      s2_sl0(field(words[2], 39, 38)),
      s2_tg(field(words[2], 47, 46)),
      s2_ps(field(words[2], 50, 48)),
      s2_aa64(bit(words[2], 51)),
      s2_endi(bit(words[2], 52)),
      s2_affd(bit(words[2], 53)),
      s2_ptw(bit(words[2], 54)),
      s2_hd(bit(words[2], 55)),
      s2_ha(bit(words[2], 56)),
      s2_stall(bit(words[2], 57)),
      s2_record(bit(words[2], 58)),
      s2_ttb(address_bits(words[3], 51, 4)) {}

bool StreamTableEntry::substreams(const Features& features) const {
  return features.ssid_size != 0 && s1_cd_max != 0;
}

unsigned StreamTableEntry::s2_granule_shift() const {
  constexpr std::array<unsigned, 4> kShifts{12, 16, 14, 0};
  return kShifts[s2_tg];
}

Geometry StreamTableEntry::s2_geometry(const Features& features) const {
  const unsigned granule = s2_granule_shift();
  return {.granule_shift = granule,
          .input_bits = 64 - s2_t0sz,
          .start_level = stage2_start_level(granule, s2_sl0, features),
          .output_bits = features.output_bits(s2_ps)};
}

Fetch::World StreamTableEntry::world(const Features& features, const Registers& registers) const {
  if (!stream_world_used(*this, features) || stream_world != kStreamWorldEl2) {
    return Fetch::World::kEl1;
  }
  return bit(registers.cr2, 0) ? Fetch::World::kEl2E2h : Fetch::World::kEl2;
}

std::uint16_t StreamTableEntry::vmid_tag(const Features& features,
                                         const Registers& registers) const {
  const bool tagged = features.stage2 && world(features, registers) == Fetch::World::kEl1;
  return tagged ? s2_vmid : std::uint16_t{0};
}

bool illegal(const StreamTableEntry& ste, const Features& features) {
  if (!ste.valid) return true;
  if (!ste.traffic_passes()) return false;
  if (ats_illegal(ste, features)) return true;
  const bool world_used = stream_world_used(ste, features);
  if (world_used && (ste.stream_world & 1) != 0) return true;
  if (ste.stage1() && stage1_illegal(ste, features)) return true;
  if (ste.stage2() && stage2_illegal(ste, features)) return true;
  // Section 5.2.2, IgnoreSTES2VMID.
  const bool vmid_ignored =
      !features.stage2 || (!ste.stage1() && !ste.stage2()) || (world_used && ste.stream_world != 0);
  return !vmid_ignored && !features.vmid16 && bits(ste.s2_vmid, 15, 8) != 0;
}

}  // namespace shootdown::conform::reference
