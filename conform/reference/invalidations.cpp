#include "conform/reference/invalidations.h"

#include <algorithm>

namespace shootdown::conform::reference {
namespace {

enum Opcode : std::uint8_t {
  kCfgiSte = 0x03,
  kCfgiSteRange = 0x04,  // CFGI_ALL is its range of 31
  kCfgiCd = 0x05,
  kCfgiCdAll = 0x06,
  kNhAll = 0x10,
  kNhAsid = 0x11,
  kNhVa = 0x12,
  kNhVaa = 0x13,
  kEl2All = 0x20,
  kEl2Asid = 0x21,
  kEl2Va = 0x22,
  kEl2Vaa = 0x23,
  kS12Vmall = 0x28,
  kS2Ipa = 0x2A,
  kNsnhAll = 0x30,
};

constexpr std::uint64_t bits(std::uint64_t word, unsigned high, unsigned low) {
  return (word >> low) & ((std::uint64_t{2} << (high - low)) - 1);
}

constexpr std::uint64_t low_mask(unsigned count) {
  return count >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
}

bool is_configuration(std::uint8_t opcode) { return opcode < kNhAll; }

bool has_address(std::uint8_t opcode) {
  return opcode == kNhVa || opcode == kNhVaa || opcode == kEl2Va || opcode == kEl2Vaa ||
         opcode == kS2Ipa;
}

/// Section 4.4.1.1: which address bits must be zero in a range command. If one is not, which
/// addresses are invalidated is unpredictable. `level` is 0 without a hint.
bool is_misaligned(std::uint64_t address, unsigned granule_shift, int level) {
  const unsigned block_shift =
      level == 0 ? granule_shift
                 : granule_shift + static_cast<unsigned>(3 - level) * (granule_shift - 3);
  return (address & low_mask(block_shift)) != 0;
}

void decode_address(const std::array<std::uint64_t, 2>& words, const Identification& id,
                    Invalidation& result) {
  constexpr std::uint32_t kIdr3Ril = 1U << 10;
  const std::uint64_t address =
      result.opcode == kS2Ipa ? words[1] & low_mask(56) & ~low_mask(12) : words[1] & ~low_mask(12);
  const unsigned granule =
      (id.idr3 & kIdr3Ril) == 0 ? 0 : static_cast<unsigned>(bits(words[1], 11, 10));
  if (granule == 0) {
    result.first = address;
    result.last = address | low_mask(12);
    return;
  }
  result.granule_shift = 10 + 2 * granule;
  int level = static_cast<int>(bits(words[1], 9, 8));
  if (result.granule_shift == 14 && level == 1) level = 0;  // no such blocks without IDR5.DS
  if (level != 0) result.leaf_level = level;
  if (is_misaligned(address, result.granule_shift, level)) return;  // first > last: covers nothing
  const std::uint64_t granules = (bits(words[0], 16, 12) + 1) << bits(words[0], 24, 20);
  result.first = address;
  result.last = address + (granules << result.granule_shift) - 1;
  if (result.last < address) result.last = ~std::uint64_t{0};  // does not wrap into the lower half
}

std::uint16_t vmid_mask(const Identification& id, const Registers& registers) {
  constexpr std::uint32_t kIdr0S2p = 1U << 0;
  constexpr std::uint32_t kIdr0Vmw = 1U << 17;
  if ((id.idr0 & kIdr0S2p) == 0) return 0;  // VMIDs are not compared
  const unsigned ignored =
      (id.idr0 & kIdr0Vmw) != 0 ? static_cast<unsigned>(bits(registers.cr0, 8, 6)) : 0;
  return static_cast<std::uint16_t>(~low_mask(std::min(ignored, 4U)));
}

bool covers_structure(const Invalidation& command, const Cached& cached) {
  const auto same_above = [](std::uint32_t a, std::uint32_t b, unsigned shift) {
    return shift >= 32 || (a >> shift) == (b >> shift);
  };
  const bool same_stream = command.stream_id == cached.stream_id;
  switch (command.opcode) {
    case kCfgiSte:
      if (cached.kind == Cached::Kind::kL1std)
        return !command.leaf_only &&
               same_above(command.stream_id, cached.stream_id, cached.block_shift);
      return same_stream;  // the STE, and every CD and L1CD reached through it
    case kCfgiSteRange:
      return same_above(command.stream_id, cached.stream_id,
                        cached.kind == Cached::Kind::kL1std
                            ? std::max(command.range_shift, cached.block_shift)
                            : command.range_shift);
    case kCfgiCd:
      if (!same_stream) return false;
      if (cached.kind == Cached::Kind::kL1cd)
        return !command.leaf_only &&
               same_above(command.substream_id, cached.substream_id, cached.block_shift);
      return cached.kind == Cached::Kind::kCd && command.substream_id == cached.substream_id;
    case kCfgiCdAll:
      return same_stream &&
             (cached.kind == Cached::Kind::kCd || cached.kind == Cached::Kind::kL1cd);
    default:
      return false;
  }
}

bool covers_address(const Invalidation& command, const Cached& cached) {
  const std::uint64_t last = cached.base | low_mask(cached.span_shift);
  if (command.first > last || command.last < cached.base) return false;
  if (command.granule_shift != 0 && command.granule_shift != cached.granule_shift) return false;
  if (!cached.leaf) {
    // Section 4.4.1.1: with a level hint only the tables above that level.
    return !command.leaf_only && (command.leaf_level < 0 || cached.level < command.leaf_level);
  }
  return command.leaf_level < 0 || command.leaf_level == cached.level;
}

bool covers_translation(const Invalidation& command, const Cached& cached) {
  const bool el1 = cached.world == Fetch::World::kEl1;
  const bool stage1 = cached.kind == Cached::Kind::kStage1;
  const bool same_vmid = ((command.vmid ^ cached.vmid) & command.vmid_mask) == 0;
  const bool same_asid = command.asid == cached.asid;
  // Which EL2 commands meet which EL2 entries is CR2.E2H's choice when they are issued.
  const bool same_el2 = cached.world == (command.e2h ? Fetch::World::kEl2E2h : Fetch::World::kEl2);
  switch (command.opcode) {
    case kNhAll:
      return el1 && stage1 && same_vmid;
    case kNhAsid:
      return el1 && stage1 && same_vmid && same_asid && !cached.global;
    case kNhVa:
      return el1 && stage1 && same_vmid && (same_asid || cached.global) &&
             covers_address(command, cached);
    case kNhVaa:
      return el1 && stage1 && same_vmid && covers_address(command, cached);
    case kEl2All:
      return !el1;
    case kEl2Asid:
      return cached.world == Fetch::World::kEl2E2h && same_el2 && same_asid && !cached.global;
    case kEl2Va:
      return !el1 && same_el2 && (!command.e2h || same_asid || cached.global) &&
             covers_address(command, cached);
    case kEl2Vaa:
      return !el1 && same_el2 && covers_address(command, cached);
    case kS12Vmall:
      return el1 && same_vmid;
    case kS2Ipa:
      return el1 && !stage1 && same_vmid && covers_address(command, cached);
    case kNsnhAll:
      return el1;
    default:
      return false;
  }
}

}  // namespace

std::optional<Invalidation> decode_invalidation(const std::array<std::uint64_t, 2>& words,
                                                const Identification& id,
                                                const Registers& registers) {
  Invalidation result;
  result.opcode = static_cast<std::uint8_t>(words[0]);
  switch (result.opcode) {
    case kCfgiSteRange:
      result.range_shift = static_cast<unsigned>(bits(words[1], 4, 0)) + 1;
      [[fallthrough]];
    case kCfgiSte:
    case kCfgiCd:
    case kCfgiCdAll:
      result.stream_id = static_cast<std::uint32_t>(bits(words[0], 63, 32));
      result.substream_id = static_cast<std::uint32_t>(bits(words[0], 31, 12));
      result.leaf_only = bits(words[1], 0, 0) != 0;
      return result;
    case kNhAll:
    case kNhAsid:
    case kNhVa:
    case kNhVaa:
    case kEl2All:
    case kEl2Asid:
    case kEl2Va:
    case kEl2Vaa:
    case kS12Vmall:
    case kS2Ipa:
    case kNsnhAll:
      result.vmid = static_cast<std::uint16_t>(bits(words[0], 47, 32));
      result.vmid_mask = vmid_mask(id, registers);
      result.asid = static_cast<std::uint16_t>(bits(words[0], 63, 48));
      result.leaf_only = bits(words[1], 0, 0) != 0;
      result.e2h = (registers.cr2 & 1) != 0;
      if (has_address(result.opcode)) decode_address(words, id, result);
      return result;
    default:
      return std::nullopt;
  }
}

bool covers(const Invalidation& invalidation, const Cached& cached) {
  const bool translation =
      cached.kind == Cached::Kind::kStage1 || cached.kind == Cached::Kind::kStage2;
  if (is_configuration(invalidation.opcode))
    return !translation && covers_structure(invalidation, cached);
  return translation && covers_translation(invalidation, cached);
}

void InvalidationLog::Commands::complete(Time gone) {
  for (; pending_from < all.size(); ++pending_from) all[pending_from].gone = gone;
}

void InvalidationLog::add(Invalidation invalidation, Time now) {
  invalidation.issued = now;
  first_pending_ = std::min(first_pending_, now);
  (is_configuration(invalidation.opcode) ? configuration_ : translation_)
      .all.push_back(invalidation);
}

void InvalidationLog::complete() {
  if (first_pending_ == kForever) return;
  const Time gone = std::max(first_pending_, last_used_ + 1);
  configuration_.complete(gone);
  translation_.complete(gone);
  first_pending_ = kForever;
}

Time InvalidationLog::gone_at(const Cached& cached, Time read_at,
                              std::span<const CachedPart> parts) const {
  Time from = read_at;
  for (const CachedPart& part : parts) from = std::min(from, part.read_at);
  if (from == kForever) return kForever;
  const bool translation =
      cached.kind == Cached::Kind::kStage1 || cached.kind == Cached::Kind::kStage2;
  const std::vector<Invalidation>& commands = (translation ? translation_ : configuration_).all;
  const auto first = std::upper_bound(
      commands.begin(), commands.end(), from,
      [](Time time, const Invalidation& command) { return time < command.issued; });
  for (auto command = first; command != commands.end(); ++command) {
    if (!covers(*command, cached)) continue;
    if (command->issued > read_at) return command->gone;
    const bool part_goes = std::any_of(parts.begin(), parts.end(), [&](const CachedPart& part) {
      return command->issued > part.read_at && covers(*command, part.what);
    });
    if (part_goes) return command->gone;
  }
  return kForever;
}

Time InvalidationLog::all_gone_before(std::span<const Cached> examples) const {
  for (auto command = translation_.all.rbegin(); command != translation_.all.rend(); ++command) {
    if (command->gone == kForever || command->leaf_level >= 0) continue;
    if (std::all_of(examples.begin(), examples.end(),
                    [&](const Cached& example) { return covers(*command, example); }))
      return command->issued;
  }
  return 0;
}

Time InvalidationLog::everything_gone_before(const Identification& id) const {
  constexpr std::uint32_t kIdr0Hyp = 1U << 9;
  const auto last_issued = [this](std::uint8_t opcode) -> Time {
    for (auto command = translation_.all.rbegin(); command != translation_.all.rend(); ++command)
      if (command->opcode == opcode && command->gone != kForever) return command->issued;
    return 0;
  };
  Time translations = last_issued(kNsnhAll);
  if ((id.idr0 & kIdr0Hyp) != 0) translations = std::min(translations, last_issued(kEl2All));
  // Until its SYNC a doomed structure may still be used to make new translations.
  for (auto command = configuration_.all.rbegin(); command != configuration_.all.rend(); ++command)
    if (command->opcode == kCfgiSteRange && command->range_shift >= 32 &&
        command->gone <= translations)
      return command->issued;
  return 0;
}

}  // namespace shootdown::conform::reference
