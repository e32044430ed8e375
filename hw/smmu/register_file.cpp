#include "hw/smmu/register_file.h"

#include <utility>

namespace shootdown::hw {

namespace smmuv3 = arch::smmuv3;
namespace reg = arch::smmuv3::reg;

namespace {

/// When a register may be written; IHI 0070, the "access" lines of chapter 6.
enum class Guard : std::uint8_t {
  kNone,
  kSmmuOff,
  kCmdqOff,
  kEventqOff,
  kPriqOff,
  kGerrorIrqOff,
  kEventqIrqOff,
  kPriqIrqOff,
};

struct RegisterRule {
  std::uint32_t offset;
  std::uint32_t writable;
  Guard guard;
};

constexpr std::uint32_t kIrqAddressLow = 0xfffffffc;
constexpr std::uint32_t kAddressHigh = 0x000fffff;
constexpr std::uint32_t kBaseHigh = 0x400fffff;  // with the allocation hint
constexpr std::uint32_t kIrqAttributes = 0x0000003f;

constexpr std::array<RegisterRule, 36> kRules{{
    {reg::kCr0, 0x1df, Guard::kNone},
    {reg::kCr1, 0xfff, Guard::kNone},
    {reg::kCr2, 0xf, Guard::kSmmuOff},
    {reg::kGbpa, 0x801f3f1f, Guard::kNone},
    {reg::kAgbpa, 0xffffffff, Guard::kNone},
    {reg::kIrqCtrl, 0x7, Guard::kNone},
    {reg::kGerrorN, 0x1fd, Guard::kNone},
    {reg::kGerrorIrqCfg0, kIrqAddressLow, Guard::kGerrorIrqOff},
    {reg::kGerrorIrqCfg0 + 4, kAddressHigh, Guard::kGerrorIrqOff},
    {reg::kGerrorIrqCfg1, 0xffffffff, Guard::kGerrorIrqOff},
    {reg::kGerrorIrqCfg2, kIrqAttributes, Guard::kGerrorIrqOff},
    {reg::kStrtabBase, 0xffffffc0, Guard::kSmmuOff},
    {reg::kStrtabBase + 4, kBaseHigh, Guard::kSmmuOff},
    {reg::kStrtabBaseCfg, 0x307ff, Guard::kSmmuOff},
    {reg::kCmdqBase, 0xffffffff, Guard::kCmdqOff},
    {reg::kCmdqBase + 4, kBaseHigh, Guard::kCmdqOff},
    {reg::kCmdqProd, 0xfffff, Guard::kNone},
    {reg::kCmdqCons, 0xfffff, Guard::kCmdqOff},
    {reg::kEventqBase, 0xffffffff, Guard::kEventqOff},
    {reg::kEventqBase + 4, kBaseHigh, Guard::kEventqOff},
    {reg::kEventqProd & 0xffff, 0x800fffff, Guard::kEventqOff},
    {reg::kEventqCons & 0xffff, 0x800fffff, Guard::kNone},
    {reg::kEventqIrqCfg0, kIrqAddressLow, Guard::kEventqIrqOff},
    {reg::kEventqIrqCfg0 + 4, kAddressHigh, Guard::kEventqIrqOff},
    {reg::kEventqIrqCfg1, 0xffffffff, Guard::kEventqIrqOff},
    {reg::kEventqIrqCfg2, kIrqAttributes, Guard::kEventqIrqOff},
    {reg::kPriqBase, 0xffffffff, Guard::kPriqOff},
    {reg::kPriqBase + 4, kBaseHigh, Guard::kPriqOff},
    {reg::kPriqProd & 0xffff, 0x800fffff, Guard::kPriqOff},
    {reg::kPriqCons & 0xffff, 0x800fffff, Guard::kNone},
    {reg::kPriqIrqCfg0, kIrqAddressLow, Guard::kPriqIrqOff},
    {reg::kPriqIrqCfg0 + 4, kAddressHigh, Guard::kPriqIrqOff},
    {reg::kPriqIrqCfg1, 0xffffffff, Guard::kPriqIrqOff},
    {reg::kPriqIrqCfg2, 0x80000000 | kIrqAttributes, Guard::kPriqIrqOff},
    {reg::kGerror, 0, Guard::kNone},
    {reg::kIrqCtrlAck, 0, Guard::kNone},
}};

const RegisterRule* rule_of(std::uint32_t offset) {
  for (const RegisterRule& rule : kRules) {
    if (rule.offset == offset) return &rule;
  }
  return nullptr;
}

bool is_index_register(std::uint32_t page_offset) {
  return page_offset == (reg::kEventqProd & 0xffff) || page_offset == (reg::kEventqCons & 0xffff) ||
         page_offset == (reg::kPriqProd & 0xffff) || page_offset == (reg::kPriqCons & 0xffff);
}
bool is_pri_register(std::uint32_t offset) {
  return offset >= reg::kPriqBase && offset <= reg::kPriqIrqCfg2;
}

/// What has to be off for a write, and the sentence for when it is not.
struct GuardText {
  bool interrupt;
  std::uint64_t mask;
  std::string_view text;
};
GuardText text_of(Guard guard) {
  switch (guard) {
    case Guard::kNone:
      break;
    case Guard::kSmmuOff:
      return {false, smmuv3::cr0::Smmuen::kMask,
              "register written while CR0.SMMUEN is set (IHI 0070, chapter 6)"};
    case Guard::kCmdqOff:
      return {false, smmuv3::cr0::Cmdqen::kMask,
              "register written while CR0.CMDQEN is set (IHI 0070, chapter 6)"};
    case Guard::kEventqOff:
      return {false, smmuv3::cr0::Eventqen::kMask,
              "register written while CR0.EVENTQEN is set (IHI 0070, chapter 6)"};
    case Guard::kPriqOff:
      return {false, smmuv3::cr0::Priqen::kMask,
              "register written while CR0.PRIQEN is set (IHI 0070, chapter 6)"};
    case Guard::kGerrorIrqOff:
      return {
          true, smmuv3::irq_ctrl::Gerror::kMask,
          "MSI configuration written while IRQ_CTRL has the interrupt on (IHI 0070, chapter 6)"};
    case Guard::kEventqIrqOff:
      return {
          true, smmuv3::irq_ctrl::Eventq::kMask,
          "MSI configuration written while IRQ_CTRL has the interrupt on (IHI 0070, chapter 6)"};
    case Guard::kPriqIrqOff:
      return {
          true, smmuv3::irq_ctrl::Priq::kMask,
          "MSI configuration written while IRQ_CTRL has the interrupt on (IHI 0070, chapter 6)"};
  }
  return {false, 0, ""};
}

}  // namespace

RegisterFile::RegisterFile(const SmmuFeatures& features, Illegal illegal)
    : features_(features), illegal_(std::move(illegal)) {
  set_masks();
  reset();
}

void RegisterFile::set_masks() {
  using namespace smmuv3;  // the field names below read like the specification
  for (const RegisterRule& rule : kRules) writable_[rule.offset / 4] = rule.writable;
  // Fields of absent features are RES0.
  std::uint64_t cr0_absent = 0;
  if (!features_.pri) cr0_absent |= cr0::Priqen::kMask;
  if (!features_.ats) cr0_absent |= cr0::Atschk::kMask;
  if (!features_.vmid_wildcard) cr0_absent |= cr0::Vmw::kMask;
  writable_[reg::kCr0 / 4] &= ~static_cast<std::uint32_t>(cr0_absent);
  std::uint64_t cr2_absent = 0;
  if (!features_.hyp) cr2_absent |= cr2::E2h::kMask;
  if (!features_.ats) cr2_absent |= cr2::RecCfgAts::kMask;
  writable_[reg::kCr2 / 4] &= ~static_cast<std::uint32_t>(cr2_absent);
  if (!features_.pri) {
    writable_[reg::kIrqCtrl / 4] &= ~static_cast<std::uint32_t>(irq_ctrl::Priq::kMask);
  }
  for (std::uint32_t offset = 0; offset < kDecodedBytes; offset += 4) {
    const bool msi = (offset >= reg::kGerrorIrqCfg0 && offset <= reg::kGerrorIrqCfg2) ||
                     (offset >= reg::kEventqIrqCfg0 && offset <= reg::kEventqIrqCfg2) ||
                     (offset >= reg::kPriqIrqCfg0 && offset <= reg::kPriqIrqCfg2);
    if ((is_pri_register(offset) && !features_.pri) || (msi && !features_.msi)) {
      // PRIQ_IRQ_CFG2.LO is there without MSIs too.
      const bool last_only = offset == reg::kPriqIrqCfg2 && features_.pri;
      writable_[offset / 4] =
          last_only ? static_cast<std::uint32_t>(irq_cfg::PriqLastOnly::kMask) : 0;
    }
  }
}

void RegisterFile::reset() {
  closing_ = 0;
  words_.fill(0);
  const IdRegisters ids = id_registers(features_);
  set(reg::kIdr0, ids.idr0);
  set(reg::kIdr1, ids.idr1);
  set(reg::kIdr3, ids.idr3);
  set(reg::kIdr5, ids.idr5);
  set(reg::kIidr, ids.iidr);
  set(reg::kAidr, ids.aidr);
  // Broadcasts are ignored until software asks for them.
  if (features_.broadcast) set(reg::kCr2, static_cast<std::uint32_t>(smmuv3::cr2::Ptm::of(1)));
  set(reg::kGbpa, static_cast<std::uint32_t>(smmuv3::gbpa::Shcfg::of(smmuv3::kShcfgIncoming)));
  set(reg::kCmdqBase, features_.command_queue_log2);
  set(reg::kEventqBase, features_.event_queue_log2);
  if (features_.pri) set(reg::kPriqBase, features_.pri_queue_log2);
}

bool RegisterFile::decoded(std::uint32_t offset) {
  const std::uint32_t page_offset = offset & kPageMask;
  if (offset >= smmuv3::kRegisterBytes || page_offset >= kDecodedBytes) return false;
  return offset < smmuv3::kRegisterPageBytes || is_index_register(page_offset & ~3U);
}

std::uint64_t RegisterFile::read(std::uint32_t offset, unsigned bytes) const {
  std::uint64_t value = decoded(offset) ? get(offset) : 0;
  if (bytes == 8 && decoded(offset + 4)) value |= std::uint64_t{get(offset + 4)} << 32;
  return value;
}

void RegisterFile::write(std::uint32_t offset, std::uint64_t value, unsigned bytes) {
  write_word(offset, static_cast<std::uint32_t>(value));
  if (bytes == 8) write_word(offset + 4, static_cast<std::uint32_t>(value >> 32));
}

void RegisterFile::write_word(std::uint32_t offset, std::uint32_t value) {
  if (!decoded(offset)) return;
  const std::uint32_t page_offset = offset & kPageMask;
  const std::uint32_t writable = writable_[page_offset / 4];
  const RegisterRule* rule = rule_of(page_offset);
  if (writable == 0) {
    // Of an absent feature or not there at all: write-ignored. Read-only ones are worth a word.
    const bool read_only = (rule != nullptr && rule->writable == 0) || page_offset < reg::kCr0 ||
                           page_offset == reg::kCr0Ack || page_offset == reg::kStatusr;
    if (read_only) illegal_("write to a read-only SMMU register (IHI 0070, chapter 6)", offset);
    return;
  }
  if (page_offset == reg::kGbpa) {
    // A change has to say that it is one, and to wait for the one before it (section 6.3.14).
    if (smmuv3::gbpa::Update::get(value) == 0 || smmuv3::gbpa::Update::get(get(offset)) != 0)
      return;
  }
  if (rule->guard != Guard::kNone) {
    const GuardText guard = text_of(rule->guard);
    const std::uint32_t on = guard.interrupt ? get(reg::kIrqCtrl) | get(reg::kIrqCtrlAck)
                                             : get(reg::kCr0) | get(reg::kCr0Ack);
    if ((on & guard.mask) != 0) {
      illegal_(guard.text, offset);
      return;
    }
  }
  std::uint32_t changes = (get(offset) ^ value) & writable;
  if (page_offset == reg::kGerrorN && (changes & ~active_errors()) != 0) {
    // What there is no error to acknowledge for stays as it is: one of the permitted choices.
    illegal_("GERRORN bit toggled although its error is not active (IHI 0070, 6.3.20)", offset);
    changes &= active_errors();
  }
  set(offset, get(offset) ^ changes);
}

}  // namespace shootdown::hw
