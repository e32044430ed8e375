#include <fmt/format.h>

#include "cosim/check/hops/hop_search.h"

namespace shootdown::cosim {

std::string command_text(const CommandRecord& command) {
  std::string text(command.command.command);
  if (command.command.what != arch::MaintenanceKind::kTlb) return text;
  const arch::Invalidation& what = *command.command.invalidation;
  if (what.scope == arch::Invalidation::Scope::kVa ||
      what.scope == arch::Invalidation::Scope::kVaAnyAsid) {
    text += fmt::format(" ASID {} {} to {}", what.asid.value, hex(what.start), hex(what.last));
  }
  return text;
}

const CommandRecord* follow_command(HopSearch& search, const NotifierCall& call) {
  const CommandRecord* wrong_asid = nullptr;
  const CommandRecord* other = nullptr;
  const CommandRecord* refused = nullptr;
  for (const CommandRecord* command : call.commands()) {
    if (command->command.what != arch::MaintenanceKind::kTlb) continue;
    const arch::Invalidation& what = *command->command.invalidation;
    if (command->failed) {
      refused = command;
    } else if (search.matches(what)) {
      search.happened(ChainRole::kCommand, command->submitted, command_text(*command));
      return command;
    } else {
      (search.matches_but_for_asid(what) ? wrong_asid : other) = command;
    }
  }
  const ActorId driver = call.record->at.actor;
  const arch::MaintenanceWords& words = search.words();
  if (refused != nullptr) {
    search.happened(
        ChainRole::kCommand, refused->submitted, command_text(*refused),
        fmt::format("refused at {}: {}", microseconds(refused->failed.time_ps), refused->error));
    search.missing(Hop::kCommand, fmt::format("the {} refused the invalidation", words.mmu),
                   ChainRole::kCommand, driver, fmt::format("a legal {}", words.tlb));
  } else if (wrong_asid != nullptr) {
    search.happened(ChainRole::kCommand, wrong_asid->submitted, command_text(*wrong_asid),
                    "another ASID");
    search.missing(Hop::kAsid,
                   fmt::format("the command names ASID {}, the entry has ASID {}",
                               wrong_asid->command.invalidation->asid.value,
                               search.stale.requester.asid.value),
                   ChainRole::kCommand, driver,
                   fmt::format("{} for ASID {}", words.tlb, search.stale.requester.asid.value));
  } else if (other != nullptr) {
    search.happened(ChainRole::kCommand, other->submitted, command_text(*other), "another range");
    search.missing(Hop::kRange, "the command covers another address", ChainRole::kCommand, driver,
                   fmt::format("{} for {}", words.tlb, search.page()));
  } else {
    search.missing(Hop::kCommand, "the driver's callback sent no invalidation", ChainRole::kCommand,
                   driver, fmt::format("{}: not sent", words.tlb));
  }
  return nullptr;
}

}  // namespace shootdown::cosim
