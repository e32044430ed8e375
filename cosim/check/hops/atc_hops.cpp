#include "cosim/check/hops/hop_search.h"

namespace shootdown::cosim {

namespace {

/// Under broadcast maintenance: whether a covering TLBI had taken effect in the MMU before the ATC
/// was told.
bool broadcast_done_before(const HopSearch& search, const CommandRecord& atc) {
  const ActorId device = search.ledger.log().actor(search.stale.tlb).parent;
  const ActorId mmu = device == kNoActor ? kNoActor : search.ledger.log().actor(device).parent;
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
  if (atc == nullptr) {
    search.missing(Hop::kAtc, "the SMMU's TLB was emptied, the device's ATC was not",
                   ChainRole::kCommand, driver, "CMD_ATC_INV: not sent");
    return;
  }
  search.happened(ChainRole::kCommand, atc->submitted, command_text(*atc));
  if (tlbi == nullptr && !broadcast_done_before(search, *atc)) {
    search.missing(Hop::kAtcOrder,
                   "the ATC was emptied before the broadcast TLBI had reached the SMMU's TLB",
                   ChainRole::kCommand, driver, "CMD_ATC_INV after the DSB");
    return;
  }
  if (tlbi != nullptr && atc->submitted.sequence < tlbi->submitted.sequence) {
    search.missing(Hop::kAtcOrder,
                   "the ATC was emptied before the SMMU's TLB and filled again from it",
                   ChainRole::kCommand, driver, "CMD_ATC_INV after the CMD_TLBI has completed");
    return;
  }
  follow_sync(search, call, *atc);
}

}  // namespace shootdown::cosim
