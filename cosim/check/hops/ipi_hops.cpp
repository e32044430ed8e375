#include <fmt/format.h>

#include "cosim/check/hops/hop_search.h"

namespace shootdown::cosim {

namespace {

/// The CPU that was told, and did what it did: what was wrong with it.
void invalidation_is_missing(HopSearch& search, const LocalEffect* wrong_asid,
                             const LocalEffect* other) {
  const ActorId cpu = search.stale.tlb;
  if (wrong_asid != nullptr) {
    search.happened(ChainRole::kEffect, wrong_asid->at, "invalidates", "another ASID");
    search.missing(Hop::kAsid,
                   fmt::format("the CPU invalidated ASID {}, the entry has ASID {}",
                               wrong_asid->what.asid.value, search.stale.requester.asid.value),
                   ChainRole::kEffect, cpu,
                   fmt::format("invalidation of ASID {}", search.stale.requester.asid.value));
  } else if (other != nullptr) {
    search.happened(ChainRole::kEffect, other->at, "invalidates",
                    fmt::format("{} to {}", hex(other->what.start), hex(other->what.last)));
    search.missing(Hop::kRange, "the CPU invalidated another address", ChainRole::kEffect, cpu,
                   "invalidation of " + search.page());
  } else {
    search.missing(Hop::kCpuTlbi,
                   search.due->begin.actor == cpu
                       ? "the CPU that flushed did not invalidate the address"
                       : "the interrupted CPU did not invalidate the address",
                   ChainRole::kEffect, cpu, "invalidation of " + search.page());
  }
}

}  // namespace

void follow_ipi(HopSearch& search) {
  const StaleEntry& stale = search.stale;
  if (search.due == nullptr) return search.nobody_flushed();
  const LocalEffect* wrong_asid = nullptr;
  const LocalEffect* other = nullptr;
  for (const LocalEffect& effect : search.due->local) {
    if (effect.at.actor != stale.tlb) continue;
    if (search.matches(effect.what)) {
      search.happened(ChainRole::kEffect, effect.at,
                      fmt::format("invalidates ({} entries removed)", effect.removed));
      return search.kept_by_hardware(effect.removed);
    }
    (search.matches_but_for_asid(effect.what) ? wrong_asid : other) = &effect;
  }
  if (search.due->begin.actor == stale.tlb) {
    return invalidation_is_missing(search, wrong_asid, other);
  }
  const unsigned number = search.ledger.log().actor(stale.tlb).index;
  for (const Stay* stay : search.stays) {
    for (const IpiRecord& ipi : stay->ipis) {
      if (!search.within_due(ipi.at) || (ipi.mask >> number & 1) == 0) continue;
      search.happened(ChainRole::kIpi, ipi.at, "IPI to " + search.name(stale.tlb));
      return invalidation_is_missing(search, wrong_asid, other);
    }
  }
  search.missing(Hop::kIpi, "this CPU was not told", ChainRole::kIpi, search.due->begin.actor,
                 "IPI to " + search.name(stale.tlb) + ": not sent");
}

}  // namespace shootdown::cosim
