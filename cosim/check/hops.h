// Which hop of a shootdown is missing: from a store that made a cached translation stale to the
// invalidation that should have removed it.
#ifndef SHOOTDOWN_COSIM_CHECK_HOPS_H
#define SHOOTDOWN_COSIM_CHECK_HOPS_H

#include <optional>
#include <string>
#include <vector>

#include "cosim/check/history.h"
#include "cosim/check/violation.h"

namespace shootdown::cosim {

/// A cached translation that should be gone.
struct StaleEntry {
  enum class Where : std::uint8_t { kCpu, kSmmu, kAtc };
  Where where{};
  ActorId tlb{};
  hw::Requester requester;
  unsigned mm{};
  arch::VirtAddr va{};
  const CachedEntry* entry{};  ///< null if the checker has lost sight of it
  const StoreRecord* store{};  ///< what made it stale
  /// It came later, through a walk cache: `store` took its table out.
  bool from_unlinked_table{};
  Stamp freed;  ///< when its frame was freed, if that is what is wrong
};

/// `entry`, which `tlb` holds, made stale by the first store since it was read, if there is one.
StaleEntry stale_entry(const History& history, ActorId tlb, const CachedEntry& entry, unsigned mm);

struct MissingHop {
  std::string hop;               ///< one of missing_hop_names()
  std::string text;              ///< in words
  std::vector<ChainItem> items;  ///< the hops, the missing one among them
};

MissingHop find_missing_hop(const History& history, const StaleEntry& stale);

/// The causal chain: fill, store, hops; the caller adds the use.
std::vector<ChainItem> build_chain(const History& history, const StaleEntry& stale,
                                   const MissingHop& missing);

/// The TLB that an access of `actor` with a translation from `source` used.
StaleEntry::Where where_of(const History& history, ActorId actor);

}  // namespace shootdown::cosim

#endif
