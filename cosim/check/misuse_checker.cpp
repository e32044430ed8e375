#include "cosim/check/misuse_checker.h"

#include <fmt/format.h>

#include <utility>

#include "cosim/observe/format.h"

namespace shootdown::cosim {

void MisuseChecker::on_event(const Event& event) {
  if (const auto* use = event.payload.get<hw::IllegalUse>()) {
    report(event, "driver-misuse", {}, fmt::format("{}: {}", use->rule, hex(use->detail)),
           "command", "software broke a rule of the architecture");
  } else if (const auto* difference = event.payload.get<hw::LockstepMismatch>()) {
    report(
        event, "lockstep-mismatch", difference->va,
        fmt::format("{} of {} at {}: SystemC {}, RTL {}", difference->field, difference->operation,
                    hex(difference->va), hex(difference->systemc), hex(difference->rtl)),
        "hardware", "the RTL and the model of this TLB differ");
    findings_.stop_run();
  } else if (const auto* assertion = event.payload.get<hw::RtlAssertionFailed>()) {
    report(event, "rtl-assertion", {},
           fmt::format("{} assertion(s) of the RTL failed; the RTL's own message names them",
                       assertion->failures),
           "hardware", "the RTL broke its own rules");
    findings_.stop_run();
  }
}

void MisuseChecker::report(const Event& event, std::string kind, arch::VirtAddr address,
                           std::string headline, std::string hop, std::string hop_text) {
  const std::string& actor = actor_name(event.actor);
  if (findings_.repeats(kind, actor, headline)) return;
  Violation violation{.kind = std::move(kind),
                      .time_ps = event.time_ps,
                      .actor = actor,
                      .address = address,
                      .headline = std::move(headline),
                      .missing_hop = std::move(hop),
                      .hop_text = std::move(hop_text),
                      .chain = {},
                      .count = 1};
  violation.chain.push_back({.time_ps = event.time_ps,
                             .happened = true,
                             .actor = actor,
                             .text = violation.headline,
                             .note = ""});
  findings_.report(std::move(violation));
}

}  // namespace shootdown::cosim
