// Which hop of a shootdown is missing: from a store that made a cached translation stale to the
// invalidation that should have removed it.
#ifndef SHOOTDOWN_COSIM_CHECK_HOPS_MISSING_HOP_H
#define SHOOTDOWN_COSIM_CHECK_HOPS_MISSING_HOP_H

#include <string>

#include "cosim/check/chain.h"
#include "cosim/check/hops/stale_entry.h"

namespace shootdown::cosim {

struct MissingHop {
  Hop hop{Hop::kUnknown};
  std::string text;  ///< in words
  Chain items;       ///< the hops that were made, and the missing one
};

/// Follows the hops in order and stops at the first that is missing.
MissingHop find_missing_hop(const Ledger& ledger, const StaleEntry& stale);

/// "PTE 0x... -> 0x...: read-only, clean -> writable, dirty"
std::string store_text(const StoreRecord& store);

/// The causal chain: fill, store, hops; the caller adds the use.
Chain build_chain(const Ledger& ledger, const StaleEntry& stale, const MissingHop& missing);

}  // namespace shootdown::cosim

#endif
