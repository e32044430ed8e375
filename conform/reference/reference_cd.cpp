#include "conform/reference/reference_cd.h"

#include <algorithm>

#include "conform/reference/reference_bits.h"

namespace shootdown::conform::reference {

namespace {

unsigned field(std::uint64_t word, unsigned high, unsigned low) {
  return static_cast<unsigned>(bits(word, high, low));
}

// TG0 and TG1 do not encode granules alike.
constexpr std::array<unsigned, 4> kTg0Shifts{12, 16, 14, 0};
constexpr std::array<unsigned, 4> kTg1Shifts{0, 14, 12, 16};

/// Section 5.5, and CD.HA and HD.
bool faults_or_updates_illegal(const ContextDescriptor& cd, const StreamTableEntry& ste,
                               const Features& features) {
  if (cd.stall && ste.s1_stall_disabled) return true;
  if (cd.stall && features.stall_model == kTerminateOnly) return true;
  if (!cd.stall && features.stall_model == kStallOnly) return true;
  if (!cd.abort && features.term_model) return true;
  if ((cd.ha || cd.hd) && features.httu == 0) return true;
  return cd.hd && features.httu == 1;
}

bool half_illegal(const ContextDescriptor::Half& half, unsigned output_bits,
                  const Features& features) {
  if (!features.granule(half.granule_shift)) return true;
  const bool large_granule = half.granule_shift == 16;
  unsigned largest = 39;
  if (features.stt) largest = large_granule ? 47 : 48;
  const unsigned smallest = large_granule && features.va_52 ? 12 : 16;
  // Out of range is CONSTRAINED UNPREDICTABLE in SMMUv3.0; taken as illegal, as from v3.1 on.
  if (half.tsz < smallest || half.tsz > largest) return true;
  const unsigned base_limit = large_granule ? output_bits : std::min(output_bits, 48U);
  return !fits(half.ttb, base_limit);
}

}  // namespace

ContextDescriptor::ContextDescriptor(const std::array<std::uint64_t, 8>& words)
    : valid(bit(words[0], 31)),
      half{Half{.tsz = field(words[0], 5, 0),
                .granule_shift = kTg0Shifts[bits(words[0], 7, 6)],
                .walks_disabled = bit(words[0], 14),
                .top_byte_ignored = bit(words[0], 38),
                .no_hierarchy = bit(words[1], 1),
                .no_unprivileged = bit(words[1], 2),
                .ttb = address_bits(words[1], 51, 4)},
           Half{.tsz = field(words[0], 21, 16),
                .granule_shift = kTg1Shifts[bits(words[0], 23, 22)],
                .walks_disabled = bit(words[0], 30),
                .top_byte_ignored = bit(words[0], 39),
                .no_hierarchy = bit(words[2], 1),
                .no_unprivileged = bit(words[2], 2),
                .ttb = address_bits(words[2], 51, 4)}},
      endi(bit(words[0], 15)),
      ips(field(words[0], 34, 32)),
      affd(bit(words[0], 35)),
      wxn(bit(words[0], 36)),
      pan(bit(words[0], 40)),
      aa64(bit(words[0], 41)),
      hd(bit(words[0], 42)),
      ha(bit(words[0], 43)),
      stall(bit(words[0], 44)),
      record(bit(words[0], 45)),
      abort(bit(words[0], 46)),
      aset(bit(words[0], 47)),
      asid(static_cast<std::uint16_t>(bits(words[0], 63, 48))) {}

Geometry ContextDescriptor::Half::geometry(unsigned output_bits) const {
  const unsigned input_bits = 64 - tsz;
  return {.granule_shift = granule_shift,
          .input_bits = input_bits,
          .start_level = stage1_start_level(granule_shift, input_bits),
          .output_bits = output_bits};
}

bool illegal(const ContextDescriptor& cd, const StreamTableEntry& ste, Fetch::World world,
             const Features& features) {
  if (!cd.valid) return true;
  // VMSAv8-32 tables are not modelled: they are absent, whatever IDR0.TTF says.
  if (!cd.aa64 || !features.aarch64_tables) return true;
  if (faults_or_updates_illegal(cd, ste, features)) return true;

  // In the EL2 world EPD0 and EPD1 are ignored, and what belongs to TTB1 is reserved.
  const bool el2 = world == Fetch::World::kEl2;
  if (!el2 && !features.asid16 && bits(cd.asid, 15, 8) != 0) return true;
  const bool uses_ttb0 = el2 || !cd.half[0].walks_disabled;
  const bool uses_ttb1 = !el2 && !cd.half[1].walks_disabled;
  if (uses_ttb0 || uses_ttb1) {
    if (features.ttendian == 2 && cd.endi) return true;
    if (features.ttendian == 3 && !cd.endi) return true;
  }
  const unsigned output_bits = features.output_bits(cd.ips);
  if (uses_ttb0 && half_illegal(cd.half[0], output_bits, features)) return true;
  return uses_ttb1 && half_illegal(cd.half[1], output_bits, features);
}

}  // namespace shootdown::conform::reference
