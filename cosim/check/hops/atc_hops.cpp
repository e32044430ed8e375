#include <fmt/format.h>

#include "cosim/check/hops/hop_search.h"

namespace shootdown::cosim {

namespace {

/// Under broadcast maintenance: whether a covering TLBI had taken effect in the MMU before the ATC
/// was told.
bool broadcast_done_before(const HopSearch& search, const CommandRecord& atc) {
  const ActorId mmu = search.ledger.log().mmu_of(search.stale.tlb);
  for (const Stay* stay : search.stays) {
    for (const auto& tlbi : stay->tlbis) {
      if (tlbi->at.sequence < search.since || !search.matches(tlbi->what)) continue;
      for (const Effect& effect : tlbi->effects) {
        if (effect.at.actor == mmu && effect.at.sequence < atc.submitted.sequence) return true;
      }
    }
  }
  return false;
}

}  // namespace

void follow_atc(HopSearch& search, const NotifierCall& call, const CommandRecord* tlbi) {
  const CommandRecord* atc = nullptr;
  for (const CommandRecord* command : call.commands()) {
    if (command->command.what == arch::MaintenanceKind::kAtc &&
        command->command.stream_id == search.stale.requester.stream_id &&
        command->command.invalidation->covers(search.first, search.last, {}, false)) {
      atc = command;
      break;
    }
  }
  const ActorId driver = call.record->at.actor;
  const arch::MaintenanceWords& words = search.words();
  if (atc == nullptr) {
    search.missing(Hop::kAtc,
                   fmt::format("the {}'s TLB was emptied, the device's ATC was not", words.mmu),
                   ChainRole::kCommand, driver, fmt::format("{}: not sent", words.atc));
    return;
  }
  search.happened(ChainRole::kCommand, atc->submitted, command_text(*atc));
  if (tlbi == nullptr && !broadcast_done_before(search, *atc)) {
    search.missing(
        Hop::kAtcOrder,
        fmt::format("the ATC was emptied before the broadcast TLBI had reached the {}'s TLB",
                    words.mmu),
        ChainRole::kCommand, driver, fmt::format("{} after the DSB", words.atc));
    return;
  }
  if (tlbi != nullptr && atc->submitted.sequence < tlbi->submitted.sequence) {
    search.missing(
        Hop::kAtcOrder,
        fmt::format("the ATC was emptied before the {}'s TLB and filled again from it", words.mmu),
        ChainRole::kCommand, driver,
        fmt::format("{} after the {} has completed", words.atc, tlbi->command.command));
    return;
  }
  follow_sync(search, call, *atc);
}

}  // namespace shootdown::cosim
