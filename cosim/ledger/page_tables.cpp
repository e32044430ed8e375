#include "cosim/ledger/page_tables.h"

#include <algorithm>

#include "hw/arch/vmsa64.h"

namespace shootdown::cosim {

namespace vmsa64 = arch::vmsa64;

namespace {

/// What a walker makes of an entry that is valid: other bits are software's.
std::uint64_t hardware_view(std::uint64_t entry, int level) {
  if (vmsa64::is_table(entry, level)) return vmsa64::next_table(entry).value | 4;
  if (!vmsa64::is_leaf(entry, level) || vmsa64::desc::Af::get(entry) == 0) return 0;
  return vmsa64::leaf_output(entry, level).value | 1 |
         (vmsa64::leaf_permissions(entry, {}).user_write() ? 2U : 0U);
}

unsigned index_in_table(arch::PhysAddr slot) { return slot.value % arch::kPageSize / 8; }

std::uint64_t bytes_of(int level) { return arch::page_bytes(vmsa64::level_shift(level)); }

// How many stores to one entry are kept that nobody can ask for by a cached translation: what a
// dirty page was written after, what a fault was permitted since.
constexpr std::size_t kStoresKept = 8;
// How many are kept for a translation that is cached, at most: twice that between two looks.
constexpr std::size_t kMostStores = 512;
// Flushes that a store keeps: the first ones decide.
constexpr std::size_t kFlushesKept = 8;
// System calls that a store keeps: for each page below an entry at most one has to be remembered.
constexpr std::size_t kRemovalsKept = 512;

/// Whether so many are looked through for what nobody can ask for: now and then, not at every
/// store.
constexpr bool worth_a_look(std::size_t count) {
  if (count < 2 * kStoresKept) return count == kStoresKept + kStoresKept / 2;
  return (count & (count - 1)) == 0;
}

/// The flushes of a store are few: one that found nothing to do gives way, and so does one for CPUs
/// only when devices are told.
void keep_flush(std::vector<FlushInStay>& flushes, const FlushInStay& began) {
  std::erase_if(flushes, [](const FlushInStay& one) { return one.flush->idle; });
  if (flushes.size() < kFlushesKept) {
    flushes.push_back(began);
    return;
  }
  if (!began.flush->secondary) return;
  const auto for_cpus = std::find_if(flushes.rbegin(), flushes.rend(),
                                     [](const FlushInStay& one) { return !one.flush->secondary; });
  if (for_cpus == flushes.rend()) return;
  flushes.erase(std::next(for_cpus).base());
  flushes.push_back(began);
}

/// The first system call that answers for a page decides.
void keep_removal(StoreRecord& store, const ProtectionRecord& removal) {
  const std::uint64_t first = std::max(removal.start.value, store.first());
  const std::uint64_t last = std::min(removal.limit.value - 1, store.last());
  const bool known = std::any_of(
      store.removals.begin(), store.removals.end(),
      [&](const auto& one) { return one.start.value <= first && last < one.limit.value; });
  if (!known && store.removals.size() < kRemovalsKept) store.removals.push_back(removal);
}

}  // namespace

std::uint64_t StoreRecord::last() const { return va.value + (bytes_of(level) - 1); }
std::uint64_t PageTables::EntryKey::last() const { return va + (bytes_of(level) - 1); }

template <class Map, class Action>
void PageTables::for_range(Map& map, arch::MmId mm, std::uint64_t start, std::uint64_t limit,
                           Action&& action) {
  for (int level = 0; level <= vmsa64::kLastLevel; ++level) {
    const std::uint64_t first = start & ~(bytes_of(level) - 1);
    for (auto it = map.lower_bound({mm, level, first}); it != map.end() && it->first.mm == mm &&
                                                        it->first.level == level &&
                                                        it->first.va < limit;) {
      it = action(it);
    }
  }
}

void PageTables::created(const sw::MmCreated& e) {
  tables_[e.pgd.value].places = {{.mm = e.mm, .level = 0, .base = 0}};
  format_ = e.format;
}

void PageTables::allocated(const sw::PageAllocated& e) {
  for (std::uint64_t i = 0; i < std::uint64_t{1} << e.order; ++i) {
    tables_.erase(e.page.value + i * arch::kPageSize);
    owners_[e.page.value + i * arch::kPageSize] = {.use = e.use, .mms = {}};
  }
  if (e.use == sw::PageUse::kTable) tables_[e.page.value].allocated = true;
}

PageTables::Table& PageTables::table_of(arch::PhysAddr slot, const Place& place) {
  Table& table = tables_[arch::page_of(slot).value];
  if (!table.allocated &&
      std::find(table.places.begin(), table.places.end(), place) == table.places.end()) {
    table.places.push_back(place);
  }
  return table;
}

void PageTables::stored(const sw::PteStore& e, const Stamp& at, CallPath path,
                        std::shared_ptr<const Stay> stay) {
  const unsigned index = index_in_table(e.entry);
  Table& table = table_of(
      e.entry, {.mm = e.mm, .level = e.level, .base = e.va.value - index * bytes_of(e.level)});
  StoreRecord record;
  record.at = at;
  record.level = e.level;
  record.before = arch::to_vmsa64(format_, e.before.value, e.level);
  record.after = arch::to_vmsa64(format_, e.after.value, e.level);
  record.raw_before = e.before.value;
  record.raw_after = e.after.value;
  record.path = path;
  record.stay = std::move(stay);
  const Slot now{.entry = record.after,
                 .raw = e.after.value,
                 .protnone = e.protnone ? vmsa64::next_table(e.after.value).value : 0};
  table.slots[index] = now;
  const std::vector<Place> places = table.places;  // a change can link tables
  for (const Place& place : places) {
    auto store = std::make_shared<StoreRecord>(record);
    store->mm = place.mm;
    store->va = {place.base + index * bytes_of(place.level)};
    change(store, now);
  }
}

void PageTables::remember(const EntryKey& key, const Store& store) {
  std::vector<Store>& stores = stores_[key];
  stores.push_back(store);
  if (!worth_a_look(stores.size())) return;
  const std::uint64_t since = oldest_use_(key.mm, key.va, key.last());
  const auto needed = std::find_if(stores.begin(), stores.end() - kStoresKept,
                                   [&](const Store& one) { return one->at.sequence > since; });
  stores.erase(stores.begin(), needed);
  if (stores.size() < kMostStores) return;
  // A cached entry that nobody uses can be old. What made it stale comes first, what holds now
  // comes last; of what was in between nobody will ever be told.
  const auto quarter = static_cast<std::ptrdiff_t>(stores.size() / 4);
  stores.erase(stores.begin() + quarter, stores.end() - quarter);
}

void PageTables::remember(arch::PhysAddr table, PlaceChange change) {
  std::vector<PlaceChange>& changes = place_changes_[table.value];
  changes.push_back(std::move(change));
  if (!worth_a_look(changes.size())) return;
  // What is asked for is the last change of a place before a walk, and when the table came out
  // last.
  const std::uint64_t since = oldest_stray_use_();
  const auto last_out = std::find_if(changes.rbegin(), changes.rend(),
                                     [](const PlaceChange& one) { return !one.linked; });
  std::vector<PlaceChange> kept;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const auto again = [&](const PlaceChange& later) {
      return later.place == changes[i].place && later.store->at.sequence <= since;
    };
    const bool superseded =
        std::any_of(changes.begin() + static_cast<std::ptrdiff_t>(i) + 1, changes.end(), again);
    const bool out = last_out != changes.rend() && &*last_out == &changes[i];
    if (!superseded || out) kept.push_back(changes[i]);
  }
  changes = std::move(kept);
}

void PageTables::change(const Store& store, const Slot& slot) {
  const StoreRecord& record = *store;
  const EntryKey key{record.mm, record.level, record.va.value};
  if (slot.entry == 0) {
    entries_.erase(key);
  } else {
    entries_[key] = slot.entry;
  }
  remember(key, store);
  const bool was_table = vmsa64::is_table(record.before, record.level);
  const bool is_table = vmsa64::is_table(record.after, record.level);
  const Place below{.mm = record.mm, .level = record.level + 1, .base = record.va.value};
  if (was_table && record.before != record.after) {
    unlink(vmsa64::next_table(record.before), below, store);
  }
  if (is_table && record.before != record.after) {
    link(vmsa64::next_table(record.after), below, store);
  }
  if (vmsa64::is_leaf(record.after, record.level)) {
    const std::uint64_t first = vmsa64::leaf_output(record.after, record.level).value;
    for (std::uint64_t i = 0; i < bytes_of(record.level); i += arch::kPageSize) {
      const auto owner = owners_.find(first + i);
      if (owner != owners_.end()) owner->second.mms.insert(record.mm);
    }
  }
  // Nobody has cached what was invalid. What is old may have been cached while it was young.
  const std::uint64_t before = hardware_view(record.before, record.level);
  if (vmsa64::is_valid(record.before) && record.before != record.after) {
    std::vector<Unflushed>& waiting = unflushed_[key];
    waiting.push_back(
        {.store = store,
         .seen_by_hardware = before != 0 && before != hardware_view(record.after, record.level)});
    if (waiting.size() > kStoresKept) {
      // What hardware saw before the oldest is as unflushed as before.
      waiting[1].seen_by_hardware |= waiting[0].seen_by_hardware;
      waiting.erase(waiting.begin());
    }
  }
}

void PageTables::link(arch::PhysAddr page, const Place& place, const Store& cause) {
  Table& table = tables_[page.value];
  if (std::find(table.places.begin(), table.places.end(), place) != table.places.end()) return;
  table.places.push_back(place);
  remember(page, {.store = cause, .place = place, .linked = true});
  for (unsigned i = 0; i < table.slots.size(); ++i) {
    const Slot slot = table.slots[i];
    if (slot.raw == 0) continue;
    auto store = std::make_shared<StoreRecord>(*cause);
    store->va = {place.base + i * bytes_of(place.level)};
    store->level = place.level;
    store->before = store->raw_before = 0;
    store->after = slot.entry;
    store->raw_after = slot.raw;
    store->with_table = true;
    change(store, slot);
  }
}

void PageTables::unlink(arch::PhysAddr page, const Place& place, const Store& cause) {
  remember(page, {.store = cause, .place = place, .linked = false});
  const auto found = tables_.find(page.value);
  if (found == tables_.end()) return;
  std::erase(found->second.places, place);
  for (unsigned i = 0; i < found->second.slots.size(); ++i) {
    const Slot& slot = found->second.slots[i];
    if (slot.raw == 0) continue;
    auto store = std::make_shared<StoreRecord>(*cause);
    store->va = {place.base + i * bytes_of(place.level)};
    store->level = place.level;
    store->before = slot.entry;
    store->raw_before = slot.raw;
    store->after = store->raw_after = 0;
    store->with_table = true;
    change(store, {});
  }
}

void PageTables::updated(const hw::DescriptorUpdate& e, arch::MmId mm) {
  const unsigned index = index_in_table(e.address);
  const arch::VirtAddr va = arch::page_of(e.va, vmsa64::level_shift(e.level));
  Table& table = table_of(
      e.address, {.mm = mm, .level = e.level, .base = va.value - index * bytes_of(e.level)});
  Slot& slot = table.slots[index];
  slot.entry = arch::to_vmsa64(format_, e.after.value, e.level);
  slot.raw = e.after.value;
  for (const Place& place : table.places) {
    entries_[{place.mm, place.level, place.base + index * bytes_of(place.level)}] = slot.entry;
  }
}

void PageTables::flush_began(const FlushInStay& began) {
  const FlushRecord& flush = *began.flush;
  for_range(unflushed_, flush.mm, flush.start.value, flush.limit.value, [&](auto it) {
    for (const Unflushed& one : it->second) {
      keep_flush(one.store->flushes, began);
    }
    return std::next(it);
  });
}

void PageTables::flush_ended(const FlushRecord& flush) {
  for_range(unflushed_, flush.mm, flush.start.value, flush.limit.value, [&](auto it) {
    std::erase_if(it->second, [&](Unflushed& one) {
      if (one.store->at.sequence >= flush.begin.sequence) return false;
      one.seen_by_hardware = false;
      return flush.secondary;  // else devices are still owed theirs
    });
    return it->second.empty() ? unflushed_.erase(it) : std::next(it);
  });
}

void PageTables::access_removed(arch::MmId mm, const ProtectionRecord& removal) {
  for_range(stores_, mm, removal.start.value, removal.limit.value, [&](auto it) {
    for (const Store& store : it->second) {
      const bool own = store->at.thread == removal.at.thread;
      const bool found = store->at.sequence < removal.began.sequence;
      if (own || found) keep_removal(*store, removal);
    }
    return std::next(it);
  });
}

// ---- Questions -------------------------------------------------------------------------------

arch::PhysAddr PageTables::Leaf::output(arch::VirtAddr va) const {
  const std::uint64_t offset = va.value & (arch::page_bytes(vmsa64::level_shift(level)) - 1);
  return {vmsa64::leaf_output(entry, level).value | offset};
}

bool PageTables::Leaf::permits(arch::Access access) const {
  return vmsa64::is_leaf(entry, level) && vmsa64::desc::Af::get(entry) != 0 &&
         vmsa64::leaf_permissions(entry, {}).permits(access, /*privileged=*/false);
}

PageTables::Leaf PageTables::leaf(arch::MmId mm, arch::VirtAddr va) const {
  for (int level = vmsa64::kLastLevel; level >= 1; --level) {
    const auto found =
        entries_.find({mm, level, arch::page_of(va, vmsa64::level_shift(level)).value});
    if (found != entries_.end() && vmsa64::is_leaf(found->second, level)) {
      return {.entry = found->second, .level = level};
    }
  }
  return {};
}

std::vector<const StoreRecord*> PageTables::stores(arch::MmId mm, arch::VirtAddr va) const {
  std::vector<const StoreRecord*> result;
  for (int level = vmsa64::kLastLevel; level >= 1; --level) {
    const auto found =
        stores_.find({mm, level, arch::page_of(va, vmsa64::level_shift(level)).value});
    if (found == stores_.end()) continue;
    for (const Store& store : found->second) {
      // Linking a table changes no translation that anybody could have cached.
      if (vmsa64::is_leaf(store->before, level) || vmsa64::is_leaf(store->after, level)) {
        result.push_back(store.get());
      }
    }
  }
  std::sort(result.begin(), result.end(), [](const StoreRecord* a, const StoreRecord* b) {
    return a->at.sequence < b->at.sequence;
  });
  return result;
}

bool PageTables::Place::maps(arch::MmId other, arch::VirtAddr va) const {
  return mm == other && va.value >= base && va.value - base < 512 * bytes_of(level);
}

bool PageTables::linked(arch::PhysAddr slot, arch::MmId mm, arch::VirtAddr va) const {
  const auto table = tables_.find(arch::page_of(slot).value);
  return table != tables_.end() &&
         std::any_of(table->second.places.begin(), table->second.places.end(),
                     [&](const Place& place) { return place.maps(mm, va); });
}

const StoreRecord* PageTables::taken_out(arch::PhysAddr slot, arch::MmId mm, arch::VirtAddr va,
                                         std::uint64_t sequence) const {
  const auto changes = place_changes_.find(arch::page_of(slot).value);
  if (changes == place_changes_.end()) return nullptr;
  // The last change of this place before then.
  for (auto change = changes->second.rbegin(); change != changes->second.rend(); ++change) {
    if (change->store->at.sequence > sequence || !change->place.maps(mm, va)) continue;
    return change->linked ? nullptr : change->store.get();
  }
  return nullptr;
}

const StoreRecord* PageTables::unhooked(arch::PhysAddr page) const {
  const auto changes = place_changes_.find(page.value);
  if (changes == place_changes_.end()) return nullptr;
  const auto last = std::find_if(changes->second.rbegin(), changes->second.rend(),
                                 [](const PlaceChange& change) { return !change.linked; });
  return last == changes->second.rend() ? nullptr : last->store.get();
}

bool PageTables::dirty_entry_maps(arch::PhysAddr page) const {
  constexpr std::uint64_t kDirty = vmsa64::software::Dirty::kMask;
  return std::any_of(entries_.begin(), entries_.end(), [&](const auto& entry) {
    const int level = entry.first.level;
    if (!vmsa64::is_leaf(entry.second, level)) return false;
    const std::uint64_t first = vmsa64::leaf_output(entry.second, level).value;
    const bool maps =
        page.value >= first && page.value - first < arch::page_bytes(vmsa64::level_shift(level));
    // arm64 without hardware dirty state: writable to hardware is dirty.
    const bool writable = vmsa64::leaf_permissions(entry.second, {}).user_write();
    return maps &&
           ((entry.second & kDirty) != 0 || (format_ == arch::TableFormat::kVmsa64 && writable));
  });
}

std::map<std::uint64_t, int> PageTables::mapped_frames() const {
  std::map<std::uint64_t, int> result;
  for (const auto& [page, table] : tables_) {
    if (table.places.empty()) continue;
    const int level = table.places.front().level;
    for (const Slot& slot : table.slots) {
      if (slot.protnone != 0) {
        ++result[slot.protnone];
      } else if (vmsa64::is_leaf(slot.entry, level)) {
        ++result[vmsa64::leaf_output(slot.entry, level).value];
      }
    }
  }
  return result;
}

bool PageTables::changed_since_flush(arch::MmId mm, arch::VirtAddr start,
                                     arch::VirtAddr limit) const {
  bool changed = false;
  for_range(unflushed_, mm, start.value, limit.value, [&](auto it) {
    changed |= std::any_of(it->second.begin(), it->second.end(),
                           [](const Unflushed& one) { return one.seen_by_hardware; });
    return std::next(it);
  });
  return changed;
}

bool PageTables::is_file_page(arch::PhysAddr page) const {
  const auto owner = owners_.find(arch::page_of(page).value);
  return owner != owners_.end() && owner->second.use == sw::PageUse::kFile;
}

bool PageTables::belongs_to_another(arch::PhysAddr page, arch::MmId mm) const {
  const auto owner = owners_.find(arch::page_of(page).value);
  if (owner == owners_.end()) return false;
  const sw::PageUse use = owner->second.use;
  if (use != sw::PageUse::kAnonymous && use != sw::PageUse::kFile) return true;
  return !owner->second.mms.empty() && owner->second.mms.count(mm) == 0;
}

std::size_t PageTables::remembered() const {
  std::size_t count = 0;
  for (const auto& [key, stores] : stores_) count += stores.size();
  for (const auto& [key, waiting] : unflushed_) count += waiting.size();
  for (const auto& [table, changes] : place_changes_) count += changes.size();
  return count;
}

}  // namespace shootdown::cosim
