#include "hw/smmu/command_rules.h"

namespace shootdown::hw {

namespace smmuv3 = arch::smmuv3;
using smmuv3::Opcode;

namespace {

std::optional<std::string_view> unless(bool present, std::string_view rule) {
  if (present) return std::nullopt;
  return rule;
}

/// What an opcode needs.
std::optional<std::string_view> missing_feature(Opcode opcode, const SmmuFeatures& features) {
  switch (opcode) {
    case Opcode::kPrefetchConfig:
    case Opcode::kPrefetchAddr:
    case Opcode::kCfgiSte:
    case Opcode::kCfgiSteRange:
    case Opcode::kTlbiNsnhAll:
    case Opcode::kSync:
      return std::nullopt;
    case Opcode::kCfgiCd:
    case Opcode::kCfgiCdAll:
    case Opcode::kTlbiNhAll:
    case Opcode::kTlbiNhAsid:
    case Opcode::kTlbiNhVa:
    case Opcode::kTlbiNhVaa:
      return unless(features.stage1, "stage 1 command without IDR0.S1P");
    case Opcode::kTlbiEl2All:
    case Opcode::kTlbiEl2Asid:
    case Opcode::kTlbiEl2Va:
    case Opcode::kTlbiEl2Vaa:
      return unless(features.hyp, "CMD_TLBI_EL2_* without IDR0.HYP");
    case Opcode::kTlbiS12Vmall:
    case Opcode::kTlbiS2Ipa:
      return unless(features.stage2, "stage 2 command without IDR0.S2P");
    case Opcode::kAtcInv:
      return unless(features.ats, "CMD_ATC_INV without IDR0.ATS");
    case Opcode::kPriResp:
      return unless(features.pri, "CMD_PRI_RESP without IDR0.PRI");
    case Opcode::kResume:
    case Opcode::kStallTerm:
      return unless(features.can_stall(), "CMD_RESUME without the stall model (IDR0.STALL_MODEL)");
  }
  return "unknown command opcode";
}

}  // namespace

std::optional<std::string_view> why_illegal(const smmuv3::Command& command,
                                            const SmmuFeatures& features) {
  if (smmuv3::cmd0::Ssec::get(command.dw0) != 0) return "SSec set in a Non-secure command";
  const Opcode opcode = smmuv3::opcode_of(command);
  if (const auto missing = missing_feature(opcode, features)) return missing;
  if (smmuv3::is_tlbi_by_address(opcode) &&
      smmuv3::range_fault(command, features.range_invalidation) == smmuv3::RangeFault::kReserved) {
    return "TLBI with TG set and NUM = SCALE = TTL = 0 is reserved (IHI 0070, 4.4.1.1)";
  }
  if (opcode == Opcode::kSync &&
      smmuv3::cmd0::SyncSignal::get(command.dw0) == smmuv3::kSyncSignalIllegal) {
    return "CMD_SYNC with CS = 3 is reserved (IHI 0070, 4.7.3)";
  }
  if (opcode == Opcode::kPriResp &&
      smmuv3::cmd1::PriResponse::get(command.dw1) == smmuv3::kPriResponseIllegal) {
    return "CMD_PRI_RESP with Resp = 3 is reserved (IHI 0070, 4.5.2)";
  }
  return std::nullopt;
}

std::optional<std::string_view> why_questionable(const smmuv3::Command& command,
                                                 const SmmuFeatures& features) {
  if (!smmuv3::is_tlbi_by_address(smmuv3::opcode_of(command))) return std::nullopt;
  switch (smmuv3::range_fault(command, features.range_invalidation)) {
    case smmuv3::RangeFault::kMisaligned:
      return "TLBI range not aligned to its TTL: the effect is a free choice (IHI 0070, "
             "4.4.1.1)";
    case smmuv3::RangeFault::kNotPresent:
      return "TLBI range fields used without IDR3.RIL (IHI 0070, 4.4.1.1)";
    default:
      return std::nullopt;
  }
}

}  // namespace shootdown::hw
