#include "cosim/check/hops/missing_hop.h"

#include <fmt/format.h>

#include <algorithm>

#include "cosim/check/hops/hop_search.h"

namespace shootdown::cosim {

namespace {

/// The flush, by the function that took a table out, of another part of what it maps.
const FlushRecord* flush_of_a_part(const HopSearch& search) {
  const StoreRecord* store = search.stale.store;
  if (store == nullptr || !store->with_table || !store->stay) return nullptr;
  const KernelStacks& stacks = search.ledger.stacks();
  const CallPath caller = stacks.caller(store->path);
  const std::uint64_t bytes = arch::page_bytes(arch::vmsa64::level_shift(store->level - 1));
  const std::uint64_t table = store->va.value & ~(bytes - 1);
  for (const auto& flush : store->stay->flushes) {
    if (flush->idle || flush->begin.sequence <= search.since) continue;
    if (!stacks.within(flush->path, caller)) continue;
    if (!flush->covers(table, table + (bytes - 1))) continue;
    return search.covers(flush->start, flush->limit) ? nullptr : flush.get();
  }
  return nullptr;
}

void add_fill(Chain& chain, const CachedEntry& entry, ChainRole role, std::string note) {
  const hw::TlbFill& fill = entry.fill;
  chain.add(role, entry.filled,
            fmt::format("TLB fill  ASID {}, {} -> {}, {}, {}", fill.requester.asid.value,
                        hex(fill.page), hex(fill.output), page_size_name(fill.page_shift),
                        fill.permissions.user_write() ? "writable" : "read-only"),
            std::move(note));
}

}  // namespace

std::string store_text(const StoreRecord& store) {
  const std::string before = describe_entry(store.before, store.level);
  const std::string after = describe_entry(store.after, store.level);
  if (store.with_table) {
    return store.raw_after == 0 ? fmt::format("PTE {} unmapped together with its table: {}",
                                              hex(store.raw_before), before)
                                : fmt::format("PTE {} mapped together with its table: {}",
                                              hex(store.raw_after), after);
  }
  return fmt::format("PTE {} -> {}: {} -> {}", hex(store.raw_before), hex(store.raw_after), before,
                     after);
}

MissingHop find_missing_hop(const Ledger& ledger, const StaleEntry& stale) {
  HopSearch search(ledger, stale);
  if (stale.store == nullptr) {
    search.missing(Hop::kUnknown, "the checker cannot tell which store made the translation stale",
                   ChainRole::kStore, stale.tlb, "the store that made it stale");
    return std::move(search.result);
  }
  const bool flushed = search.due != nullptr && search.due->end;
  const FlushRecord* part = flushed ? nullptr : flush_of_a_part(search);
  if (part != nullptr) {
    search.happened(ChainRole::kFlush, part->begin, "flush " + range_text(part->start, part->limit),
                    "a part of what the table maps");
    search.missing(Hop::kRange, "the flush covers a part of what was unmapped with the table",
                   ChainRole::kFlush, part->begin.actor, "flush that covers " + search.page());
  } else if (stale.freed && search.due != nullptr &&
             (!flushed || search.due->end.sequence > stale.freed.sequence)) {
    search.missing(Hop::kFlush, "the frame was freed before its translations were flushed",
                   ChainRole::kFlush, search.store_actor(), "flush before the frame was freed");
  } else if (stale.where != StaleEntry::Where::kCpu) {
    follow_notifier(search);
  } else if (ledger.local_invalidation()) {
    follow_ipi(search);
  } else {
    follow_broadcast(search);
  }
  return std::move(search.result);
}

Chain build_chain(const Ledger& ledger, const StaleEntry& stale, const MissingHop& missing) {
  Chain chain(ledger.log());
  const bool born_stale = stale.entry != nullptr && stale.from_unlinked_table;
  if (stale.entry != nullptr && !born_stale) {
    const bool store = stale.store != nullptr;
    add_fill(chain, *stale.entry, store ? ChainRole::kBecomesStale : ChainRole::kFill, "");
  }
  if (stale.store != nullptr) {
    const StoreRecord& store = *stale.store;
    if (std::string functions = ledger.stacks().text(store.path); !functions.empty()) {
      chain.add(ChainRole::kFunctions, store.at, std::move(functions));
    }
    chain.add(ChainRole::kStore, store.at, store_text(store));
  }
  chain.append(missing.items);
  if (born_stale) {
    add_fill(chain, *stale.entry, ChainRole::kFill, "from a table that is not linked any more");
  }
  return chain;
}

}  // namespace shootdown::cosim
