#include "conform/reference/reference_smmu.h"

#include <stdexcept>

#include "conform/reference/reference_bits.h"
#include "conform/reference/reference_cd.h"
#include "conform/reference/reference_event.h"
#include "conform/reference/reference_features.h"
#include "conform/reference/reference_lookup.h"
#include "conform/reference/reference_ste.h"
#include "conform/reference/reference_walk.h"

namespace shootdown::conform::reference {

namespace {

/// A Memory that answers with stale descriptors but refuses to update them would go on for ever.
constexpr int kMostRestarts = 1000;

Outcome without_event(Outcome::Kind kind, std::uint64_t output) {
  return {.kind = kind, .output = output, .event = std::nullopt};
}

Outcome abort_silently() { return without_event(Outcome::Kind::kAbort, 0); }

/// Section 3.4: with the SMMU disabled, GBPA rules, and nothing is ever recorded.
Outcome disabled(const Features& features, const Registers& registers,
                 const Transaction& transaction) {
  const bool abort = bit(registers.gbpa, 20);
  if (abort || !fits(transaction.address, features.oas_bits)) return abort_silently();
  return without_event(Outcome::Kind::kBypass, transaction.address);
}

/// Section 13.1.2 and STE.PRIVCFG, INSTCFG: writes are data, whatever anyone says.
Transaction overridden(Transaction transaction, const StreamTableEntry& ste,
                       const Features& features) {
  constexpr unsigned kClear = 2;
  constexpr unsigned kSet = 3;
  if (features.attr_perms_ovr) {
    if (ste.priv_cfg >= kClear) transaction.privileged = ste.priv_cfg == kSet;
    if (ste.inst_cfg >= kClear) transaction.instruction = ste.inst_cfg == kSet;
  }
  if (transaction.write) transaction.instruction = false;
  return transaction;
}

/// One transaction on its way, with what has been found out about it so far.
class Passage {
 public:
  Passage(const Features& features, const Registers& registers, const Transaction& transaction,
          Memory& memory)
      : features_(features), registers_(registers), transaction_(transaction), memory_(memory) {}

  /// Nothing if the walk has to begin again.
  std::optional<Outcome> run();

 private:
  std::optional<Outcome> through_ste(const StreamTableEntry& ste);
  std::optional<Outcome> through_cd(const StreamTableEntry& ste, Walker& walker);
  std::optional<Outcome> without_stage1(const StreamTableEntry& ste, Walker& walker);

  std::optional<Fault> substream_fault(const StreamTableEntry& ste) const;
  std::optional<Outcome> finish(const Result<std::uint64_t>& result, const StreamTableEntry* ste,
                                const ContextDescriptor* cd) const;
  std::optional<Outcome> fail(const Fault& fault, const StreamTableEntry* ste,
                              const ContextDescriptor* cd) const;

  const Features& features_;
  const Registers& registers_;
  Transaction transaction_;
  Memory& memory_;
};

/// What a fault does to the transaction, and whether it is recorded.
std::optional<Outcome> Passage::fail(const Fault& fault, const StreamTableEntry* ste,
                                     const ContextDescriptor* cd) const {
  if (fault.type == EventType::kRestart) return std::nullopt;

  // Section 5.5: A, R and S govern only what stage 1 or stage 2 finds wrong while translating.
  bool aborts = true;
  bool records = true;
  bool stalls = false;
  if (fault.type == EventType::kBadStreamid) {
    records = bit(registers_.cr2, 1);  // RECINVSID
  } else if (is_translation_related(fault.type) && !fault.stage1_bypassed) {
    if (fault.stage2) {
      stalls = ste->s2_stall;
      records = ste->s2_record;
    } else {
      stalls = cd->stall;
      records = cd->record;
      aborts = cd->abort;
    }
  }

  Outcome outcome;
  outcome.kind = aborts ? Outcome::Kind::kAbort : Outcome::Kind::kRazWi;
  if (stalls) outcome.kind = Outcome::Kind::kStall;
  if (records || stalls) outcome.event = event_record(fault, transaction_, stalls);
  return outcome;
}

std::optional<Outcome> Passage::finish(const Result<std::uint64_t>& result,
                                       const StreamTableEntry* ste,
                                       const ContextDescriptor* cd) const {
  if (const Fault* fault = std::get_if<Fault>(&result)) return fail(*fault, ste, cd);
  // Section 3.4: what is beyond the OAS after the last stage is cut off.
  const std::uint64_t output = std::get<std::uint64_t>(result) & ones(features_.oas_bits);
  return without_event(Outcome::Kind::kTranslated, output);
}

/// Sections 5.2 (S1CDMax, S1DSS) and 7.3.22: C_BAD_SUBSTREAMID is before F_STREAM_DISABLED.
std::optional<Fault> Passage::substream_fault(const StreamTableEntry& ste) const {
  const bool substreams = ste.stage1() && ste.substreams(features_);
  if (transaction_.substream_id) {
    const std::uint32_t id = *transaction_.substream_id;
    if (!substreams || !fits(id, ste.s1_cd_max)) {
      return Fault{.type = EventType::kBadSubstreamid, .substream_id = id};
    }
    // CD 0 then belongs to traffic without a SubstreamID.
    if (id == 0 && ste.s1_dss == kS1dssSubstream0) return Fault{.type = EventType::kStreamDisabled};
    return std::nullopt;
  }
  if (substreams && ste.s1_dss != kS1dssBypass && ste.s1_dss != kS1dssSubstream0) {
    return Fault{.type = EventType::kStreamDisabled};
  }
  return std::nullopt;
}

/// Section 3.4: stage 1 off, or bypassed by S1DSS. The address is checked all the same.
std::optional<Outcome> Passage::without_stage1(const StreamTableEntry& ste, Walker& walker) {
  const bool translates = ste.stage1() || ste.stage2();
  const unsigned limit = translates ? features_.ias_bits() : features_.oas_bits;
  if (!fits(transaction_.address, limit)) {
    const Fault fault{.type = EventType::kAddrSize, .stage1_bypassed = true};
    return fail(fault, &ste, nullptr);
  }
  if (!ste.stage2()) {
    const std::uint64_t output = transaction_.address & ones(features_.oas_bits);
    return without_event(Outcome::Kind::kBypass, output);
  }
  const Access access{.write = transaction_.write,
                      .instruction = transaction_.instruction,
                      .privileged = transaction_.privileged};
  return finish(walker.stage2(transaction_.address, access, Fetch::For::kInput, false), &ste,
                nullptr);
}

std::optional<Outcome> Passage::through_cd(const StreamTableEntry& ste, Walker& walker) {
  const auto found = find_cd(features_, registers_, ste, transaction_.stream_id,
                             transaction_.substream_id.value_or(0), walker, memory_);
  if (const Fault* fault = std::get_if<Fault>(&found)) return fail(*fault, &ste, nullptr);
  const auto& cd = std::get<ContextDescriptor>(found);
  return finish(walker.translate(cd), &ste, &cd);
}

std::optional<Outcome> Passage::through_ste(const StreamTableEntry& ste) {
  if (!ste.traffic_passes()) return abort_silently();
  transaction_ = overridden(transaction_, ste, features_);
  if (const auto fault = substream_fault(ste)) return fail(*fault, &ste, nullptr);

  Walker walker(features_, registers_, ste, transaction_, memory_);
  const bool default_bypass =
      ste.substreams(features_) && !transaction_.substream_id && ste.s1_dss == kS1dssBypass;
  if (!ste.stage1() || default_bypass) return without_stage1(ste, walker);
  return through_cd(ste, walker);
}

std::optional<Outcome> Passage::run() {
  const auto found = find_ste(features_, registers_, transaction_.stream_id, memory_);
  if (const Fault* fault = std::get_if<Fault>(&found)) return fail(*fault, nullptr, nullptr);
  return through_ste(std::get<StreamTableEntry>(found));
}

}  // namespace

Outcome translate(const Identification& id, const Registers& registers,
                  const Transaction& transaction, Memory& memory) {
  const Features features(id);
  const bool enabled = bit(registers.cr0, 0);
  if (!enabled) return disabled(features, registers, transaction);
  for (int attempt = 0; attempt < kMostRestarts; ++attempt) {
    if (auto outcome = Passage(features, registers, transaction, memory).run()) return *outcome;
  }
  throw std::runtime_error("reference SMMU: a descriptor update never succeeds");
}

}  // namespace shootdown::conform::reference
