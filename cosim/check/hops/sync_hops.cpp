#include <fmt/format.h>

#include "cosim/check/hops/hop_search.h"

namespace shootdown::cosim {

void follow_sync(HopSearch& search, const NotifierCall& call, const CommandRecord& invalidation) {
  const CommandRecord* sync = nullptr;
  for (const CommandRecord* command : call.commands()) {
    if (command->submitted.sequence > invalidation.submitted.sequence &&
        command->command.what == arch::MaintenanceKind::kBarrier) {
      sync = command;
      break;
    }
  }
  if (sync == nullptr) {
    search.missing(Hop::kSync, "nobody waited for the invalidation", ChainRole::kBarrier,
                   invalidation.submitted.actor,
                   fmt::format("{}: not sent", search.words().barrier));
    return;
  }
  const std::string name(sync->command.command);
  const Effect* effect = nullptr;
  for (const Effect& one : invalidation.effects) {
    if (one.at.actor == search.stale.tlb) effect = &one;
  }
  // An ATC that does not answer makes the barrier fail; software goes on, and the entry is there.
  if (sync->timeout && (effect == nullptr || effect->at.sequence > sync->failed.sequence)) {
    search.happened(
        ChainRole::kBarrier, sync->submitted, name,
        fmt::format("failed at {}: {}", microseconds(sync->failed.time_ps), sync->error));
    search.missing(Hop::kAtc, "the ATC did not answer in time, and " + name + " failed",
                   ChainRole::kEffect, search.stale.tlb, "answer before the time-out");
    return;
  }
  search.happened(
      ChainRole::kBarrier, sync->submitted, name,
      sync->completed ? "complete at " + microseconds(sync->completed.time_ps) : std::string());
  if (!sync->completed) {
    search.missing(Hop::kUnknown, "the invalidation is still on its way", ChainRole::kBarrier,
                   search.stale.tlb, name + " has not completed");
    return;
  }
  if (effect == nullptr || effect->at.sequence > sync->completed.sequence) {
    search.missing(Hop::kSync, name + " completed before the invalidation took effect",
                   ChainRole::kEffect, search.stale.tlb, "effect before " + name + " completed");
    return;
  }
  const Stamp& used = search.stale.used;
  if (used && used.sequence < effect->at.sequence) {
    search.missing(Hop::kSync,
                   name + " completed while an access with the old translation was on its way",
                   ChainRole::kBarrier, search.stale.tlb,
                   fmt::format("the access that looked up at {} ends before {}",
                               microseconds(used.time_ps), name));
    return;
  }
  search.kept_by_hardware(effect->removed);
}

}  // namespace shootdown::cosim
