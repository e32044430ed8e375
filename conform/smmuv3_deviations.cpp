#include "conform/smmuv3_deviations.h"

#include <array>
#include <nlohmann/json.hpp>

#include "conform/gzip_json.h"
#include "hw/arch/smmuv3_events.h"

namespace shootdown::conform {

using namespace arch::smmuv3;  // event fields
using nlohmann::json;

namespace {

using Event = std::array<std::uint64_t, 4>;

/// The one event of an access that was aborted, if that is how it ended.
const Event* only_event(const DmaOutcome& outcome) {
  return outcome.result == "abort" && outcome.events.size() == 1 ? &outcome.events.front()
                                                                 : nullptr;
}
bool aborted_with(const DmaOutcome& outcome, EventType type) {
  const Event* event = only_event(outcome);
  return event != nullptr && static_cast<EventType>(event0::Type::get((*event)[0])) == type;
}
bool is_stage2(const DmaOutcome& outcome) {
  const Event* event = only_event(outcome);
  return event != nullptr && event1::S2::get((*event)[1]) != 0;
}
std::uint64_t ipa_page(const Event& event) { return event3::Ipa::get(event[3]); }

struct Rule {
  std::string_view deviation;
  std::string_view rule;
  bool (*holds)(const json& step, const DmaOutcome& recorded, const DmaOutcome& model);
};

bool anything(const json&, const DmaOutcome&, const DmaOutcome&) { return true; }

/// The stage 1 table that stage 2 does not map: same fault, with S2, CLASS = TT and the IPA of the
/// descriptor. The recording has the base of the table, or calls it a fault of the CD.
bool table_walk_event(const json&, const DmaOutcome& recorded, const DmaOutcome& model) {
  const Event* theirs = only_event(recorded);
  const Event* ours = only_event(model);
  return theirs != nullptr && ours != nullptr && (*theirs)[0] == (*ours)[0] &&
         (*theirs)[2] == (*ours)[2] && is_stage2(model) &&
         event1::Class::get((*ours)[1]) == kClassTableWalk &&
         ipa_page(*ours) >> 16 == ipa_page(*theirs) >> 16;
}

bool same_with_fetch_address(const json&, const DmaOutcome& recorded, const DmaOutcome& model) {
  return aborted_with(recorded, EventType::kFCdFetch) &&
         aborted_with(model, EventType::kFCdFetch) && recorded.events[0][2] == model.events[0][3];
}

constexpr std::array kRules{
    Rule{"ap1", "AP[1] = 0: no unprivileged access (Arm ARM D8.4.1)",
         [](const json&, const DmaOutcome& recorded, const DmaOutcome& model) {
           return recorded.result == "ok" && aborted_with(model, EventType::kFPermission);
         }},
    Rule{"aptable-tlb", "APTable is part of what a TLB entry permits (Arm ARM D8.4.2)",
         [](const json&, const DmaOutcome& recorded, const DmaOutcome& model) {
           return recorded.result == "ok" && aborted_with(model, EventType::kFPermission);
         }},
    Rule{"reserved-block", "a block where none exists is reserved (Arm ARM D8.3.1)",
         [](const json&, const DmaOutcome& recorded, const DmaOutcome& model) {
           return recorded.result == "ok" && aborted_with(model, EventType::kFTranslation);
         }},
    Rule{"table-addrsize", "the address of a table is checked like any output (IHI 0070, 3.4)",
         [](const json&, const DmaOutcome& recorded, const DmaOutcome& model) {
           return aborted_with(recorded, EventType::kFWalkEabt) &&
                  aborted_with(model, EventType::kFAddrSize);
         }},
    Rule{"cdfetch-addr", "F_CD_FETCH has its address in FetchAddr (IHI 0070, 7.3.10)",
         same_with_fetch_address},
    Rule{"l2-span", "a StreamID beyond the Span is C_BAD_STREAMID (IHI 0070, 3.3.2)",
         [](const json&, const DmaOutcome& recorded, const DmaOutcome& model) {
           return aborted_with(recorded, EventType::kCBadSte) &&
                  (aborted_with(model, EventType::kCBadStreamid) || model.events.empty());
         }},
    Rule{"recinvsid", "CR2.RECINVSID = 0: C_BAD_STREAMID is not recorded (IHI 0070, 6.3.12)",
         [](const json&, const DmaOutcome& recorded, const DmaOutcome& model) {
           return aborted_with(recorded, EventType::kCBadStreamid) && model.result == "abort" &&
                  model.events.empty();
         }},
    Rule{"evtq-overflow", "a full event queue loses the event (IHI 0070, 7.4)",
         [](const json&, const DmaOutcome& recorded, const DmaOutcome& model) {
           return recorded.result == "abort" && model.result == "abort";
         }},
    Rule{"tbi1", "CD.TBI1: the top byte is ignored (IHI 0070, 5.4)",
         [](const json& step, const DmaOutcome& recorded, const DmaOutcome&) {
           return (hex_number(step.at("a")) >> 55 & 1) != 0 &&
                  aborted_with(recorded, EventType::kFTranslation);
         }},
    Rule{"ng", "a global entry belongs to no ASID (IHI 0070, 4.4.2)",
         [](const json&, const DmaOutcome&, const DmaOutcome& model) {
           return model.result == "ok";
         }},
    Rule{"s2-concat", "start tables of stage 2 lie side by side (Arm ARM D8.2.6)",
         [](const json&, const DmaOutcome& recorded, const DmaOutcome&) {
           return aborted_with(recorded, EventType::kFTranslation) && is_stage2(recorded);
         }},
    Rule{"s2-httu", "STE.S2HA and S2HD without IDR0.HTTU are illegal (IHI 0070, 5.2)",
         [](const json&, const DmaOutcome&, const DmaOutcome& model) {
           return aborted_with(model, EventType::kCBadSte);
         }},
    Rule{"s2-sl0", "STE.S2SL0 has to suit S2T0SZ (Arm ARM, AArch64.S2InconsistentSL)",
         [](const json&, const DmaOutcome&, const DmaOutcome& model) {
           return aborted_with(model, EventType::kCBadSte);
         }},
    Rule{"s2-hit-wo", "S2AP[0] = 0: no reads (Arm ARM D8.4.3)",
         [](const json&, const DmaOutcome& recorded, const DmaOutcome& model) {
           return recorded.result == "ok" && aborted_with(model, EventType::kFPermission) &&
                  is_stage2(model);
         }},
    Rule{"s2-hit-noevent", "STE.S2R: the fault is recorded (IHI 0070, 3.12)",
         [](const json&, const DmaOutcome& recorded, const DmaOutcome& model) {
           return recorded.result == "abort" && recorded.events.empty() &&
                  aborted_with(model, EventType::kFPermission) && is_stage2(model);
         }},
    Rule{"s2-hit-ipa0", "a stage 2 fault has its IPA (IHI 0070, 7.3.16)",
         [](const json&, const DmaOutcome& recorded, const DmaOutcome& model) {
           return aborted_with(recorded, EventType::kFPermission) &&
                  aborted_with(model, EventType::kFPermission) && is_stage2(model) &&
                  recorded.events[0][2] == model.events[0][2];
         }},
    Rule{"nested-tt-event", "stage 2 fault on a table walk: S2, CLASS = TT, IPA (IHI 0070, 7.3.13)",
         table_walk_event},
    Rule{"impdef", "the architecture leaves the choice (tag impdef)", anything},
};

bool names(const json& vector, const json& step, std::string_view deviation) {
  if (step.contains("dev")) {
    const json& dev = step.at("dev");
    if (dev.is_string() && dev.get<std::string>() == deviation) return true;
    if (dev.is_array()) {
      for (const json& one : dev) {
        if (one == deviation) return true;
      }
    }
  }
  for (const json& tag : vector.at("tags")) {
    const std::string text = tag.get<std::string>();
    if (text == deviation || text == "qemu-dev:" + std::string(deviation)) return true;
  }
  return false;
}

/// Deviations that the recorder did not know of, by the group of vectors in which they show.
struct UntaggedRule {
  std::string_view group;
  std::string_view rule;
  bool (*holds)(const DmaOutcome& recorded, const DmaOutcome& model);
};

constexpr std::array kUntaggedRules{
    UntaggedRule{"perm",
                 "IDR1.ATTR_PERMS_OVR = 0: STE.PRIVCFG is RES0, and AP[1] = 0 permits no "
                 "unprivileged access (IHI 0070, 5.2; Arm ARM D8.4.1)",
                 [](const DmaOutcome& recorded, const DmaOutcome& model) {
                   return recorded.result == "ok" && aborted_with(model, EventType::kFPermission);
                 }},
    UntaggedRule{"ste", "IDR1.SSIDSIZE = 0: STE.S1CDMax is ignored (IHI 0070, 5.2)",
                 [](const DmaOutcome& recorded, const DmaOutcome& model) {
                   return aborted_with(recorded, EventType::kCBadSte) &&
                          !aborted_with(model, EventType::kCBadSte);
                 }},
    UntaggedRule{
        "", "RnW is the transaction's, also where the read of its CD faults (IHI 0070, 7.3)",
        [](const DmaOutcome& recorded, const DmaOutcome& model) {
          const Event* theirs = only_event(recorded);
          const Event* ours = only_event(model);
          if (theirs == nullptr || ours == nullptr || !is_stage2(recorded)) return false;
          constexpr std::uint64_t kRnw = event1::Rnw::kMask;
          return event1::Class::get((*ours)[1]) == kClassCd && (*theirs)[0] == (*ours)[0] &&
                 ((*theirs)[1] | kRnw) == ((*ours)[1] | kRnw) && (*theirs)[2] == (*ours)[2] &&
                 ipa_page(*theirs) == ipa_page(*ours);
        }},
};

}  // namespace

std::optional<std::string_view> rule_against_recording(const json& vector, const json& step,
                                                       const DmaOutcome& recorded,
                                                       const DmaOutcome& model) {
  for (const Rule& rule : kRules) {
    if (names(vector, step, rule.deviation) && rule.holds(step, recorded, model)) return rule.rule;
  }
  for (const UntaggedRule& rule : kUntaggedRules) {
    const bool applies = rule.group.empty() || vector.at("group") == rule.group;
    if (applies && rule.holds(recorded, model)) return rule.rule;
  }
  return std::nullopt;
}

}  // namespace shootdown::conform
