#include "hw/smmu/register_file.h"

#include <utility>

#include "hw/arch/smmuv3_tables.h"

namespace shootdown::hw {

namespace smmuv3 = arch::smmuv3;
namespace reg = arch::smmuv3::reg;

namespace {

/// When a register may be written; IHI 0070, the "access" lines of chapter 6.
enum class Guard : std::uint8_t { kNone, kSmmuOff, kCmdqOff, kEventqOff };

struct RegisterRule {
  std::uint32_t offset;
  std::uint32_t writable;
  Guard guard;
};

constexpr std::array<RegisterRule, 20> kRules{{
    {reg::kCr0, smmuv3::cr0::kWritable, Guard::kNone},
    {reg::kCr1, 0xfff, Guard::kNone},
    {reg::kCr2, 0x7, Guard::kSmmuOff},
    {reg::kGbpa, 0x801f3f1f, Guard::kNone},
    {reg::kIrqCtrl, 0x5, Guard::kNone},
    {reg::kGerrorN, 0x1fd, Guard::kNone},
    {reg::kStrtabBase, 0xffffffc0, Guard::kSmmuOff},
    {reg::kStrtabBase + 4, 0x400fffff, Guard::kSmmuOff},
    {reg::kStrtabBaseCfg, 0x307ff, Guard::kSmmuOff},
    {reg::kCmdqBase, 0xffffffff, Guard::kCmdqOff},
    {reg::kCmdqBase + 4, 0x400fffff, Guard::kCmdqOff},
    {reg::kCmdqProd, 0xfffff, Guard::kNone},
    {reg::kCmdqCons, 0xfffff, Guard::kCmdqOff},
    {reg::kEventqBase, 0xffffffff, Guard::kEventqOff},
    {reg::kEventqBase + 4, 0x400fffff, Guard::kEventqOff},
    {reg::kEventqProd, 0x800fffff, Guard::kEventqOff},
    {reg::kEventqCons, 0x800fffff, Guard::kNone},
    {reg::kGerror, 0, Guard::kNone},
    {reg::kIrqCtrlAck, 0, Guard::kNone},
    {reg::kCr0Ack, 0, Guard::kNone},
}};

/// IDR5.OAS for a number of output address bits.
unsigned oas_encoding(unsigned bits) {
  unsigned encoding = 0;
  while (encoding < 6 && smmuv3::address_bits(encoding) < bits) ++encoding;
  return encoding;
}

const RegisterRule* rule_of(std::uint32_t offset) {
  for (const RegisterRule& rule : kRules) {
    if (rule.offset == offset) return &rule;
  }
  return nullptr;
}

}  // namespace

RegisterFile::RegisterFile(const SmmuFeatures& features, const SmmuQueueSizes& sizes,
                           Illegal illegal)
    : features_(features), sizes_(sizes), illegal_(std::move(illegal)) {
  reset();
}

void RegisterFile::reset() {
  words_.fill(0);
  using namespace smmuv3;  // the field names below read like the specification
  set(reg::kIdr0,
      static_cast<std::uint32_t>(
          idr0::S1p::of(1) | idr0::Ttf::of(2) | idr0::Cohacc::of(1) |
          idr0::Btm::of(features_.broadcast) | idr0::Ats::of(features_.ats) | idr0::Asid16::of(1) |
          idr0::Ttendian::of(2) |
          idr0::StallModel::of(features_.stall_model ? kStallModelBoth : kStallModelTerminate)));
  set(reg::kIdr1, static_cast<std::uint32_t>(idr1::SidSize::of(features_.sid_bits) |
                                             idr1::SsidSize::of(features_.ssid_bits) |
                                             idr1::Eventqs::of(sizes_.event_log2) |
                                             idr1::Cmdqs::of(sizes_.command_log2)));
  set(reg::kIdr3, static_cast<std::uint32_t>(idr3::Ril::of(features_.range_invalidation) |
                                             idr3::Bbml::of(features_.range_invalidation ? 2 : 0)));
  set(reg::kIdr5,
      static_cast<std::uint32_t>(idr5::Oas::of(oas_encoding(features_.output_bits)) |
                                 idr5::Gran4k::of(1) | idr5::StallMax::of(sizes_.stall_max)));
  // SMMUv3.2 makes range invalidation mandatory.
  set(reg::kAidr, features_.range_invalidation ? 0x02 : 0x01);
  set(reg::kCr2, static_cast<std::uint32_t>(cr2::Ptm::of(1)));
}

std::uint64_t RegisterFile::read(std::uint32_t offset, unsigned bytes) const {
  if (!decoded(offset) || !decoded(offset + bytes - 1)) return 0;
  return bytes == 8 ? get64(offset) : get(offset);
}

void RegisterFile::write(std::uint32_t offset, std::uint64_t value, unsigned bytes) {
  if (!decoded(offset) || !decoded(offset + bytes - 1)) return;
  write_word(offset, static_cast<std::uint32_t>(value));
  if (bytes == 8) write_word(offset + 4, static_cast<std::uint32_t>(value >> 32));
}

void RegisterFile::write_word(std::uint32_t offset, std::uint32_t value) {
  const RegisterRule* rule = rule_of(offset);
  if (rule == nullptr || rule->writable == 0) {
    if (rule == nullptr && offset >= reg::kIrqCtrl) return;  // of an absent feature: RAZ/WI
    illegal_("write to a read-only SMMU register (IHI 0070, chapter 6)", offset);
    return;
  }
  // A change of GBPA has to say that it is one (section 6.3.14).
  if (offset == reg::kGbpa && smmuv3::gbpa::Update::get(value) == 0) return;
  const auto guard_broken = [&](std::uint64_t enable, std::string_view text) {
    if (!enabled(enable)) return false;
    illegal_(text, offset);
    return true;
  };
  switch (rule->guard) {
    case Guard::kNone:
      break;
    case Guard::kSmmuOff:
      if (guard_broken(smmuv3::cr0::Smmuen::kMask,
                       "register written while CR0.SMMUEN is set (IHI 0070, chapter 6)")) {
        return;
      }
      break;
    case Guard::kCmdqOff:
      if (guard_broken(smmuv3::cr0::Cmdqen::kMask,
                       "register written while CR0.CMDQEN is set (IHI 0070, chapter 6)")) {
        return;
      }
      break;
    case Guard::kEventqOff:
      if (guard_broken(smmuv3::cr0::Eventqen::kMask,
                       "register written while CR0.EVENTQEN is set (IHI 0070, chapter 6)")) {
        return;
      }
      break;
  }
  set(offset, (get(offset) & ~rule->writable) | (value & rule->writable));
}

}  // namespace shootdown::hw
