#include "cosim/check/page_tables.h"

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

std::uint64_t last_of(const std::array<std::uint64_t, 3>& key) {
  return key[2] + (bytes_of(static_cast<int>(key[1])) - 1);
}

}  // namespace

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

void PageTables::stored(const sw::PteStore& e, const Stamp& at, const std::string& functions) {
  const unsigned index = index_in_table(e.entry);
  Table& table = table_of(
      e.entry, {.mm = e.mm, .level = e.level, .base = e.va.value - index * bytes_of(e.level)});
  Slot& slot = table.slots[index];
  StoreRecord record{.at = at,
                     .mm = e.mm,
                     .va = e.va,
                     .level = e.level,
                     .before = arch::to_vmsa64(format_, e.before, e.level),
                     .after = arch::to_vmsa64(format_, e.after, e.level),
                     .raw_before = e.before,
                     .raw_after = e.after,
                     .with_table = false,
                     .functions = functions};
  slot = {.entry = record.after,
          .raw = e.after,
          .protnone = e.protnone ? vmsa64::next_table(e.after).value : 0};
  const Slot now = slot;
  const std::vector<Place> places = table.places;  // a change can link tables
  for (const Place& place : places) {
    record.mm = place.mm;
    record.va = {place.base + index * bytes_of(place.level)};
    change(record, now);
  }
}

void PageTables::change(const StoreRecord& record, const Slot& slot) {
  const LeafKey key{record.mm, static_cast<std::uint64_t>(record.level), record.va.value};
  entries_[key] = slot.entry;
  stores_[key].push_back(record);
  const bool was_table = vmsa64::is_table(record.before, record.level);
  const bool is_table = vmsa64::is_table(record.after, record.level);
  const Place below{.mm = record.mm, .level = record.level + 1, .base = record.va.value};
  if (was_table && record.before != record.after) {
    unlink(vmsa64::next_table(record.before), below, record);
  }
  if (is_table && record.before != record.after) {
    link(vmsa64::next_table(record.after), below, record);
  }
  if (vmsa64::is_leaf(record.after, record.level)) {
    const std::uint64_t first = vmsa64::leaf_output(record.after, record.level).value;
    for (std::uint64_t i = 0; i < bytes_of(record.level); i += arch::kPageSize) {
      const auto owner = owners_.find(first + i);
      if (owner != owners_.end()) owner->second.mms.insert(record.mm);
    }
  }
  // Nobody has cached what was invalid.
  const std::uint64_t before = hardware_view(record.before, record.level);
  if (before != 0 && before != hardware_view(record.after, record.level)) {
    unflushed_[key] = record.at;
  }
}

void PageTables::link(arch::PhysAddr page, const Place& place, const StoreRecord& cause) {
  Table& table = tables_[page.value];
  if (std::find(table.places.begin(), table.places.end(), place) != table.places.end()) return;
  table.places.push_back(place);
  place_changes_[page.value].push_back({.store = cause, .place = place, .linked = true});
  for (unsigned i = 0; i < table.slots.size(); ++i) {
    const Slot slot = tables_[page.value].slots[i];
    if (slot.raw == 0) continue;
    StoreRecord record = cause;
    record.va = {place.base + i * bytes_of(place.level)};
    record.level = place.level;
    record.before = record.raw_before = 0;
    record.after = slot.entry;
    record.raw_after = slot.raw;
    record.with_table = true;
    change(record, slot);
  }
}

void PageTables::unlink(arch::PhysAddr page, const Place& place, const StoreRecord& cause) {
  place_changes_[page.value].push_back({.store = cause, .place = place, .linked = false});
  const auto found = tables_.find(page.value);
  if (found == tables_.end()) return;
  std::erase(found->second.places, place);
  for (unsigned i = 0; i < found->second.slots.size(); ++i) {
    const Slot& slot = found->second.slots[i];
    if (slot.raw == 0) continue;
    StoreRecord record = cause;
    record.va = {place.base + i * bytes_of(place.level)};
    record.level = place.level;
    record.before = slot.entry;
    record.raw_before = slot.raw;
    record.after = record.raw_after = 0;
    record.with_table = true;
    change(record, {});
  }
}

void PageTables::updated(const hw::DescriptorUpdate& e, unsigned mm) {
  const unsigned index = index_in_table(e.address);
  const arch::VirtAddr va = arch::page_of(e.va, vmsa64::level_shift(e.level));
  Table& table = table_of(
      e.address, {.mm = mm, .level = e.level, .base = va.value - index * bytes_of(e.level)});
  Slot& slot = table.slots[index];
  slot.entry = arch::to_vmsa64(format_, e.after, e.level);
  slot.raw = e.after;
  for (const Place& place : table.places) {
    entries_[{place.mm, static_cast<std::uint64_t>(place.level),
              place.base + index * bytes_of(place.level)}] = slot.entry;
  }
}

void PageTables::flushed(unsigned mm, arch::VirtAddr start, arch::VirtAddr limit,
                         std::uint64_t began) {
  std::erase_if(unflushed_, [&](const auto& entry) {
    const auto& [key, at] = entry;
    return key[0] == mm && at.sequence < began && start.value <= last_of(key) &&
           key[2] < limit.value;
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

PageTables::Leaf PageTables::leaf(unsigned mm, arch::VirtAddr va) const {
  for (int level = vmsa64::kLastLevel; level >= 1; --level) {
    const auto found = entries_.find({mm, static_cast<std::uint64_t>(level),
                                      arch::page_of(va, vmsa64::level_shift(level)).value});
    if (found != entries_.end() && vmsa64::is_leaf(found->second, level)) {
      return {.entry = found->second, .level = level};
    }
  }
  return {};
}

std::vector<const StoreRecord*> PageTables::stores(unsigned mm, arch::VirtAddr va) const {
  std::vector<const StoreRecord*> result;
  for (int level = vmsa64::kLastLevel; level >= 1; --level) {
    const auto found = stores_.find({mm, static_cast<std::uint64_t>(level),
                                     arch::page_of(va, vmsa64::level_shift(level)).value});
    if (found == stores_.end()) continue;
    for (const StoreRecord& record : found->second) {
      // Linking a table changes no translation that anybody could have cached.
      if (vmsa64::is_leaf(record.before, level) || vmsa64::is_leaf(record.after, level)) {
        result.push_back(&record);
      }
    }
  }
  std::sort(result.begin(), result.end(), [](const StoreRecord* a, const StoreRecord* b) {
    return a->at.sequence < b->at.sequence;
  });
  return result;
}

bool PageTables::Place::maps(unsigned other, arch::VirtAddr va) const {
  return mm == other && va.value >= base && va.value - base < 512 * bytes_of(level);
}

bool PageTables::linked(arch::PhysAddr slot, unsigned mm, arch::VirtAddr va) const {
  const auto table = tables_.find(arch::page_of(slot).value);
  return table != tables_.end() &&
         std::any_of(table->second.places.begin(), table->second.places.end(),
                     [&](const Place& place) { return place.maps(mm, va); });
}

const StoreRecord* PageTables::taken_out(arch::PhysAddr slot, unsigned mm, arch::VirtAddr va,
                                         std::uint64_t sequence) const {
  const auto changes = place_changes_.find(arch::page_of(slot).value);
  if (changes == place_changes_.end()) return nullptr;
  // The last change of this place before then.
  for (auto change = changes->second.rbegin(); change != changes->second.rend(); ++change) {
    if (change->store.at.sequence > sequence || !change->place.maps(mm, va)) continue;
    return change->linked ? nullptr : &change->store;
  }
  return nullptr;
}

const StoreRecord* PageTables::unhooked(arch::PhysAddr page) const {
  const auto changes = place_changes_.find(page.value);
  if (changes == place_changes_.end()) return nullptr;
  const auto last = std::find_if(changes->second.rbegin(), changes->second.rend(),
                                 [](const PlaceChange& change) { return !change.linked; });
  return last == changes->second.rend() ? nullptr : &last->store;
}

bool PageTables::dirty_entry_maps(arch::PhysAddr page) const {
  constexpr std::uint64_t kDirty = std::uint64_t{1} << 55;
  return std::any_of(entries_.begin(), entries_.end(), [&](const auto& entry) {
    const int level = static_cast<int>(entry.first[1]);
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

bool PageTables::changed_since_flush(unsigned mm, arch::VirtAddr start,
                                     arch::VirtAddr limit) const {
  return std::any_of(unflushed_.begin(), unflushed_.end(), [&](const auto& entry) {
    const LeafKey& key = entry.first;
    return key[0] == mm && start.value <= last_of(key) && key[2] < limit.value;
  });
}

bool PageTables::is_file_page(arch::PhysAddr page) const {
  const auto owner = owners_.find(arch::page_of(page).value);
  return owner != owners_.end() && owner->second.use == sw::PageUse::kFile;
}

bool PageTables::belongs_to_another(arch::PhysAddr page, unsigned mm) const {
  const auto owner = owners_.find(arch::page_of(page).value);
  if (owner == owners_.end()) return false;
  const sw::PageUse use = owner->second.use;
  if (use != sw::PageUse::kAnonymous && use != sw::PageUse::kFile) return true;
  return !owner->second.mms.empty() && owner->second.mms.count(mm) == 0;
}

}  // namespace shootdown::cosim
