#include <fmt/format.h>

#include "cosim/check/hops/hop_search.h"

namespace shootdown::cosim {

namespace {

std::string tlbi_text(const TlbiRecord& tlbi) { return fmt::format("TLBI {}", tlbi.op); }

/// What was issued since the store, as far as it could have been the right one.
struct Found {
  const TlbiRecord* covering{};
  const TlbiRecord* leaf_only{};
  const TlbiRecord* wrong_asid{};
  const TlbiRecord* other_range{};
};

bool is_of_another(const HopSearch& search, const TlbiRecord& tlbi) {
  const auto mm = search.ledger.spaces().mm_of(tlbi.at.actor, tlbi.what.asid);
  return mm && *mm != search.stale.mm;
}

Found look_for_tlbi(const HopSearch& search) {
  Found found;
  for (const Stay* stay : search.stays) {
    for (const auto& record : stay->tlbis) {
      const TlbiRecord& tlbi = *record;
      if (tlbi.at.sequence < search.since) continue;
      const bool ours = search.within_due(tlbi.at);
      // The flush that owes it decides. Others may be under way when the walk goes astray.
      if (search.stale.from_unlinked_table && search.due != nullptr && !ours) continue;
      if (found.leaf_only == nullptr && search.covers(tlbi.what) && tlbi.what.leaf_only) {
        found.leaf_only = &tlbi;
      }
      if (search.matches(tlbi.what)) {
        if (found.covering == nullptr) found.covering = &tlbi;
      } else if (tlbi.at.sequence > search.next_flush) {
        continue;  // of another flush
      } else if (search.matches_but_for_asid(tlbi.what)) {
        // One for another process, outside the due flush, was meant for that process.
        if (ours || !is_of_another(search, tlbi)) found.wrong_asid = &tlbi;
      } else if (ours) {
        found.other_range = &tlbi;
      }
    }
  }
  return found;
}

/// No TLBI covers the translation: why not.
void tlbi_is_missing(HopSearch& search, const Found& found) {
  if (found.leaf_only != nullptr && search.stale.from_unlinked_table) {
    search.happened(ChainRole::kTlbi, found.leaf_only->at, tlbi_text(*found.leaf_only),
                    "last level only");
    search.missing(
        Hop::kWalkCache, "the invalidation was of last-level entries: walk caches keep the table",
        ChainRole::kTlbi, found.leaf_only->at.actor, "invalidation of table entries too");
  } else if (search.due == nullptr && found.wrong_asid == nullptr) {
    search.nobody_flushed();
  } else if (found.wrong_asid != nullptr) {
    search.happened(ChainRole::kTlbi, found.wrong_asid->at, tlbi_text(*found.wrong_asid),
                    "another ASID");
    search.missing(
        Hop::kAsid,
        fmt::format("the TLBI names ASID {}, the entry has ASID {}",
                    found.wrong_asid->what.asid.value, search.stale.requester.asid.value),
        ChainRole::kTlbi, search.store_actor(),
        fmt::format("TLBI for ASID {}", search.stale.requester.asid.value));
  } else if (found.other_range != nullptr) {
    const arch::Invalidation& what = found.other_range->what;
    search.happened(ChainRole::kTlbi, found.other_range->at, tlbi_text(*found.other_range),
                    fmt::format("covers {} to {}", hex(what.start), hex(what.last)));
    search.missing(Hop::kRange, "the TLBI covers another address", ChainRole::kTlbi,
                   search.store_actor(), "TLBI that covers " + search.page());
  } else {
    search.missing(Hop::kCpuTlbi, "the flush issued no TLBI", ChainRole::kTlbi,
                   search.due->begin.actor, "TLBI: not issued");
  }
}

}  // namespace

void follow_broadcast(HopSearch& search) {
  const Found found = look_for_tlbi(search);
  if (found.covering == nullptr) return tlbi_is_missing(search, found);
  const TlbiRecord& tlbi = *found.covering;
  search.happened(
      ChainRole::kTlbi, tlbi.at, tlbi_text(tlbi),
      tlbi.completed ? "complete at " + microseconds(tlbi.completed.time_ps) : std::string());
  if (!tlbi.completed) {
    search.missing(Hop::kDsb, "nobody waited for the TLBI", ChainRole::kBarrier, tlbi.at.actor,
                   "DSB ISH: not executed");
    return;
  }
  for (const Effect& effect : tlbi.effects) {
    if (effect.at.actor != search.stale.tlb) continue;
    if (effect.at.sequence > tlbi.completed.sequence) break;
    // Whoever had looked up before the effect had to be waited for.
    const Stamp& used = search.stale.used;
    if (used && used.sequence < effect.at.sequence) {
      search.happened(ChainRole::kEffect, effect.at,
                      fmt::format("invalidates ({} entries removed)", effect.removed));
      search.missing(Hop::kDsb,
                     "DSB completed while an access with the old translation was on its way",
                     ChainRole::kBarrier, tlbi.completed.actor,
                     fmt::format("the access that looked up at {} ends before the DSB",
                                 microseconds(used.time_ps)));
      return;
    }
    return search.kept_by_hardware(effect.removed);
  }
  search.missing(Hop::kDsb, "DSB completed before the TLBI took effect in this TLB",
                 ChainRole::kEffect, search.stale.tlb, "effect before the DSB completed");
}

}  // namespace shootdown::cosim
