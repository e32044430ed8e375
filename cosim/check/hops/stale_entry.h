// A cached translation that should be gone, and what made it stale.
#ifndef SHOOTDOWN_COSIM_CHECK_HOPS_STALE_ENTRY_H
#define SHOOTDOWN_COSIM_CHECK_HOPS_STALE_ENTRY_H

#include <cstdint>
#include <optional>

#include "cosim/ledger/ledger.h"

namespace shootdown::cosim {

struct StaleEntry {
  enum class Where : std::uint8_t { kCpu, kSecondaryMmu, kAtc };
  Where where{};
  ActorId tlb{kNoActor};
  hw::Requester requester;
  arch::MmId mm{};
  arch::VirtAddr va{};
  const CachedEntry* entry{};  ///< null if the checker has lost sight of it
  const StoreRecord* store{};  ///< what made it stale; null: not known
  /// It came later, through a walk cache: `store` took its table out.
  bool from_unlinked_table{};
  Stamp freed;  ///< when its frame was freed, if that is what is wrong
  Stamp used;   ///< when an access that has ended since looked it up, if that is what is wrong
  /// The flush that was to end before this; null: the finder chooses.
  const FlushRecord* due{};

  /// First and last byte of what the translation maps: any address of a block stands for all of it.
  std::uint64_t first() const {
    return entry != nullptr ? entry->first() : arch::page_of(va).value;
  }
  std::uint64_t last() const {
    return entry != nullptr ? entry->last() : first() + (arch::kPageSize - 1);
  }
};

/// Which kind of TLB `actor` is, or looks up in: a device without an ATC uses its secondary MMU's.
StaleEntry::Where where_of(const Ledger& ledger, ActorId actor);

/// `entry`, which `tlb` holds, made stale by the first store since it was read, if there is one.
StaleEntry stale_entry(const Ledger& ledger, ActorId tlb, const CachedEntry& entry, arch::MmId mm);

/// The translation that an access has used, with the store since which memory no longer says it; no
/// store: memory never said it. `done.source` is not kBypass.
StaleEntry stale_access(const Ledger& ledger, ActorId actor, const hw::AccessDone& done,
                        arch::MmId mm);

}  // namespace shootdown::cosim

#endif
