#include "cosim/check/hops/stale_entry.h"

namespace shootdown::cosim {

StaleEntry::Where where_of(const Ledger& ledger, ActorId actor) {
  switch (ledger.log().actor(actor).role) {
    case ActorRole::kCpu:
    case ActorRole::kThread:
      return StaleEntry::Where::kCpu;
    case ActorRole::kAtc:
      return StaleEntry::Where::kAtc;
    case ActorRole::kSecondaryMmu:
    case ActorRole::kDevice:
      break;
  }
  return StaleEntry::Where::kSecondaryMmu;
}

namespace {

/// Whether what was stored leads where the cached translation does, and permits all that it does.
bool permits_as_much(const StoreRecord& store, const CachedEntry& entry) {
  const PageTables::Leaf after{.entry = store.after, .level = store.level};
  if (!arch::vmsa64::is_leaf(after.entry, after.level) ||
      after.output(entry.fill.page) != entry.fill.output) {
    return false;
  }
  const arch::vmsa64::Permissions now = arch::vmsa64::leaf_permissions(after.entry, {});
  for (const arch::Access access : {arch::Access::kRead, arch::Access::kWrite}) {
    if (entry.fill.permissions.permits(access, false) && !now.permits(access, false)) return false;
  }
  return true;
}

}  // namespace

StaleEntry stale_entry(const Ledger& ledger, ActorId tlb, const CachedEntry& entry, arch::MmId mm) {
  StaleEntry stale;
  stale.where = where_of(ledger, tlb);
  stale.tlb = tlb;
  stale.requester = entry.fill.requester;
  stale.mm = mm;
  stale.va = entry.fill.page;
  stale.entry = &entry;
  stale.store = ledger.cached().unlinked_table(entry);
  stale.from_unlinked_table = stale.store != nullptr;
  if (stale.from_unlinked_table) return stale;
  const StoreRecord* first = nullptr;
  for (const StoreRecord* store : ledger.tables().stores(mm, entry.fill.page)) {
    if (store->at.sequence <= entry.read.at.sequence) continue;
    if (first == nullptr) first = store;
    // An entry that was cleared for a moment, or given back what it had lost, is not stale by that.
    if (permits_as_much(*store, entry)) {
      stale.store = nullptr;
    } else if (stale.store == nullptr) {
      stale.store = store;
    }
  }
  if (stale.store == nullptr) stale.store = first;
  return stale;
}

StaleEntry stale_access(const Ledger& ledger, ActorId actor, const hw::AccessDone& done,
                        arch::MmId mm) {
  const CachedTranslations& cached = ledger.cached();
  const bool walked = done.source == hw::TranslationSource::kWalk;
  StaleEntry stale;
  stale.where = done.source == hw::TranslationSource::kAtc ? StaleEntry::Where::kAtc
                                                           : where_of(ledger, actor);
  stale.tlb = stale.where == StaleEntry::Where::kAtc ? cached.atc_of(actor) : actor;
  stale.requester = done.requester;
  stale.mm = mm;
  stale.va = done.va;
  stale.entry =
      walked ? cached.last_ended_fill() : cached.cached(stale.tlb, done.va, done.requester.asid);
  stale.used = cached.last_ended().looked_up;
  // A hit used the entry as it was at the look-up, whatever has been filled since.
  const Stamp hit_read = cached.last_ended().hit_read.at;
  const std::uint64_t read = !walked && hit_read      ? hit_read.sequence
                             : stale.entry == nullptr ? 0
                                                      : stale.entry->read.at.sequence;
  for (const StoreRecord* store : ledger.tables().stores(mm, done.va)) {
    if (store->at.sequence <= read) continue;
    const PageTables::Leaf after{.entry = store->after, .level = store->level};
    const bool good = arch::vmsa64::is_leaf(after.entry, after.level) &&
                      after.output(done.va) == done.pa &&
                      arch::vmsa64::leaf_permissions(after.entry, {}).permits(done.access, false);
    // Only what holds up to now counts: an entry that became good again is not stale.
    if (good) {
      stale.store = nullptr;
    } else if (stale.store == nullptr) {
      stale.store = store;
    }
  }
  if (stale.entry != nullptr) {
    if (const StoreRecord* unlinked = cached.unlinked_table(*stale.entry)) {
      stale.store = unlinked;
      stale.from_unlinked_table = true;
    }
  }
  return stale;
}

}  // namespace shootdown::cosim
