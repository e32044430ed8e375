#include "cosim/check/misuse_checker.h"

#include <fmt/format.h>

#include <utility>

#include "cosim/observe/format.h"

namespace shootdown::cosim {

void MisuseChecker::on_event(const Event& event) {
  if (const auto* use = event.payload.get<hw::IllegalUse>()) {
    report(event, ViolationKind::kDriverMisuse, {},
           fmt::format("{}: {}", use->rule, hex(use->detail.value)), Hop::kCommand,
           "software broke a rule of the architecture");
  } else if (const auto* difference = event.payload.get<hw::LockstepMismatch>()) {
    report(event, ViolationKind::kLockstepMismatch, difference->va,
           fmt::format("{} of {} at {}: SystemC {}, RTL {}", difference->field,
                       difference->operation, hex(difference->va), hex(difference->systemc.value),
                       hex(difference->rtl.value)),
           Hop::kHardware, "the RTL and the model of this TLB differ");
    findings_.stop_run();
  } else if (const auto* assertion = event.payload.get<hw::RtlAssertionFailed>()) {
    report(event, ViolationKind::kRtlAssertion, {},
           fmt::format("{} assertion(s) of the RTL failed; the RTL's own message names them",
                       assertion->failures),
           Hop::kHardware, "the RTL broke its own rules");
    findings_.stop_run();
  }
}

void MisuseChecker::report(const Event& event, ViolationKind kind, arch::VirtAddr address,
                           std::string headline, Hop hop, std::string hop_text) {
  if (findings_.repeats(kind, event.actor, headline)) return;
  Chain story = chain();
  story.add(ChainRole::kOther, stamp_of(event), headline);
  findings_.report({.kind = kind,
                    .missing_hop = hop,
                    .sequence = event.sequence,
                    .time_ps = event.time_ps,
                    .actor = event.actor,
                    .actor_name = name(event.actor),
                    .address = address,
                    .headline = std::move(headline),
                    .hop_text = std::move(hop_text),
                    .chain = std::move(story.items()),
                    .count = 1});
}

}  // namespace shootdown::cosim
