#include <fmt/format.h>

#include "cosim/check/hops/hop_search.h"

namespace shootdown::cosim {

std::vector<const CommandRecord*> NotifierCall::commands() const {
  std::uint64_t next = ~std::uint64_t{0};
  for (const NotifierRecord& later : stay->notifiers) {
    if (later.at.sequence > record->at.sequence) {
      next = later.at.sequence;
      break;
    }
  }
  std::vector<const CommandRecord*> result;
  for (const auto& command : stay->commands) {
    const std::uint64_t sequence = command->submitted.sequence;
    if (sequence > record->at.sequence && sequence < next) result.push_back(command.get());
  }
  return result;
}

namespace {

std::string call_text(const NotifierRecord& call) {
  return fmt::format("mmu_notifier {}({})", call.callback, range_text(call.start, call.limit));
}

/// What the CPUs did is part of the story, whatever the missing hop turns out to be.
void tell_of_cpus(HopSearch& search) {
  for (const Stay* stay : search.stays) {
    for (const auto& tlbi : stay->tlbis) {
      if (tlbi->at.sequence < search.since || !search.tells_cpus(tlbi->what)) continue;
      const std::string function = search.flush_function();
      search.happened(
          ChainRole::kTlbi, tlbi->at,
          fmt::format("{}TLBI {}", function.empty() ? function : function + ": ", tlbi->op),
          tlbi->completed ? "complete on the CPUs at " + microseconds(tlbi->completed.time_ps)
                          : std::string());
      return;
    }
  }
}

struct Found {
  NotifierCall covering;
  const NotifierRecord* other{};  // the first with another range
};

Found look_for_call(const HopSearch& search) {
  Found found;
  for (const Stay* stay : search.stays) {
    for (const NotifierRecord& call : stay->notifiers) {
      if (call.mm != search.stale.mm) continue;
      // Once the process lets go of its devices nothing is cached again: that call counts for all
      // that is cleared after it.
      if (call.at.sequence < search.since && !call.release) continue;
      // start == end means "everything" to the driver.
      if (call.start == call.limit || search.covers(call.start, call.limit)) {
        found.covering = {.record = &call, .stay = stay};
        return found;
      }
      if (found.other == nullptr && call.at.sequence < search.next_flush) found.other = &call;
    }
  }
  return found;
}

}  // namespace

void follow_notifier(HopSearch& search) {
  const Binding* binding =
      search.ledger.spaces().binding(search.stale.tlb, search.stale.requester.stream_id);
  const bool atc = search.stale.where == StaleEntry::Where::kAtc;
  const bool broadcast = binding != nullptr && binding->broadcast;
  if (broadcast && !atc) return follow_broadcast(search);
  tell_of_cpus(search);
  const Found found = look_for_call(search);
  if (found.covering.record == nullptr) {
    if (found.other != nullptr) {
      search.happened(ChainRole::kNotifier, found.other->at, call_text(*found.other),
                      "another range");
      search.missing(Hop::kRange, "the notifier was given a range without the address",
                     ChainRole::kNotifier, found.other->at.actor, "notifier for " + search.page());
    } else if (search.due == nullptr) {
      search.nobody_flushed();
    } else {
      search.missing(Hop::kNotifier,
                     fmt::format("the CPUs were told, the {} was not", search.words().mmu),
                     ChainRole::kNotifier, search.due->begin.actor,
                     "mmu_notifier_arch_invalidate_secondary_tlbs: not called");
    }
    return;
  }
  const NotifierCall& call = found.covering;
  search.happened(ChainRole::kNotifier, call.record->at, call_text(*call.record));
  const CommandRecord* tlbi = nullptr;
  if (!broadcast) {
    tlbi = follow_command(search, call);
    if (tlbi == nullptr) return;
  }
  if (atc) return follow_atc(search, call, tlbi);
  follow_sync(search, call, *tlbi);
}

}  // namespace shootdown::cosim
