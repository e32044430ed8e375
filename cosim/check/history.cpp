#include "cosim/check/history.h"

#include <algorithm>

namespace shootdown::cosim {

namespace vmsa64 = arch::vmsa64;

namespace {

/// More than accesses can be on their way between a fill and the end of its access.
constexpr std::size_t kRecentFills = 1024;
}  // namespace

void History::on_event(const Event& event) {
  event.payload.visit([&](const auto& payload) { on(event, payload); });
}

void History::reset() {
  ++generation_;
  mm_by_asid_.clear();
  mm_by_smmu_asid_.clear();
  bindings_.clear();
  live_.clear();
  retired_.clear();
  walks_.clear();
  strays_.clear();
  recent_fills_.clear();
  ats_reads_.clear();
  just_ended_ = {};
  open_.clear();
  flushes_.clear();
  open_flushes_.clear();
  tlbis_.clear();
  notifiers_.clear();
  commands_.clear();
  next_fetched_ = 0;
  syncs_.clear();
  protections_.clear();
  invalidations_.clear();
  atc_completed_.clear();
  frames_.clear();
  last_freed_.clear();
  stacks_.clear();
  entered_kernel_.clear();
  ipis_.clear();
  active_mm_.clear();
  exiting_.clear();
  pending_.clear();
  tables_.reset();
}

// ---- Software --------------------------------------------------------------------------------

void History::on(const Event& event, const sw::FunctionEnter& e) {
  auto& stack = stacks_[event.thread];
  if (stack.empty()) entered_kernel_[event.thread] = stamp(event);
  stack.push_back(e.function);
}

void History::on(const Event& event, const sw::FunctionExit&) {
  auto& stack = stacks_[event.thread];
  if (!stack.empty()) stack.pop_back();
}

std::string History::functions_of(ThreadId thread) const {
  const auto found = stacks_.find(thread);
  if (found == stacks_.end()) return {};
  std::string text;
  for (const char* function : found->second) {
    if (!text.empty()) text += " > ";
    text += function;
  }
  return text;
}

void History::on(const Event&, const sw::MmCreated& e) {
  ++generation_;
  tables_.created(e);
  mm_by_asid_[e.asid.value] = e.mm;
}

void History::on(const Event&, const sw::SvaBound& e) {
  ++generation_;
  mm_by_smmu_asid_[e.asid.value] = e.mm;
  bindings_[e.stream_id.value] = {.device = log_.actor_name(devices_[e.stream_id.value]),
                                  .mm = e.mm,
                                  .asid = e.asid,
                                  .atc = e.atc,
                                  .broadcast = e.broadcast};
}

void History::on(const Event& event, const sw::PteStore& e) {
  ++generation_;
  tables_.stored(e, stamp(event), functions_of(event.thread));
}

void History::on(const Event& event, const hw::DescriptorUpdate& e) {
  ++generation_;
  if (const auto mm = mm_of(event.actor, e.requester.asid)) tables_.updated(e, *mm);
}

void History::on(const Event& event, const sw::IpiSent& e) {
  ++generation_;
  ipis_.push_back({.at = stamp(event), .mask = e.mask});
}

void History::on(const Event&, const sw::MmExiting& e) {
  ++generation_;
  exiting_.insert(e.mm);
}

void History::on(const Event&, const sw::FlushPending& e) { pending_[e.mm] = e.count; }

void History::on(const Event& event, const sw::MmActive& e) {
  ++generation_;
  active_mm_[event.actor] = e.mm;
}

void History::on(const Event& event, const sw::FlushBegin& e) {
  ++generation_;
  open_flushes_[e.flush] = flushes_.size();
  flushes_.push_back({.begin = stamp(event),
                      .end = {},
                      .mm = e.mm,
                      .start = e.start,
                      .limit = e.end,
                      .secondary = e.secondary,
                      .functions = functions_of(event.thread)});
}

void History::on(const Event& event, const sw::FlushEnd& e) {
  ++generation_;
  const auto found = open_flushes_.find(e.flush);
  if (found == open_flushes_.end()) return;
  FlushRecord& flush = flushes_[found->second];
  if (!e.done) {
    open_flushes_.erase(found);
    return;
  }
  flush.end = stamp(event);
  tables_.flushed(flush.mm, flush.start, flush.limit, flush.begin.sequence);
  open_flushes_.erase(found);
}

void History::on(const Event& event, const sw::NotifierCalled& e) {
  ++generation_;
  notifiers_.push_back(
      {.at = stamp(event), .mm = e.mm, .start = e.start, .limit = e.end, .callback = e.callback});
}

void History::on(const Event& event, const sw::CommandSubmitted& e) {
  ++generation_;
  commands_.push_back(
      {.submitted = stamp(event), .fetched = {}, .refused = {}, .number = 0, .command = e.command});
}

void History::on(const Event&, const sw::PageAllocated& e) {
  ++generation_;
  tables_.allocated(e);
  for (std::uint64_t i = 0; i < std::uint64_t{1} << e.order; ++i) {
    frames_.erase(e.page.value + i * arch::kPageSize);
  }
}

void History::on(const Event& event, const sw::PageFreed& e) {
  ++generation_;
  for (std::uint64_t i = 0; i < std::uint64_t{1} << e.order; ++i) {
    frames_[e.page.value + i * arch::kPageSize] = {stamp(event)};
    last_freed_[e.page.value + i * arch::kPageSize] = stamp(event);
  }
}

void History::on(const Event& event, const sw::ProtectionRemoved& e) {
  ++generation_;
  protections_.push_back({.at = stamp(event),
                          .began = entered_kernel_[event.thread],
                          .mm = e.mm,
                          .start = e.start,
                          .limit = e.end,
                          .operation = e.operation});
}

// ---- Hardware --------------------------------------------------------------------------------

const DescriptorRead& History::read_of_hit(ActorId actor, const hw::TlbLookup& lookup) {
  const std::uint64_t page = arch::page_of(lookup.va).value;
  HitMemo& memo = hit_memo_[(page >> arch::kPageShift) % hit_memo_.size()];
  if (memo.generation != generation_ || memo.page != page || memo.actor != actor ||
      memo.asid != lookup.requester.asid.value) {
    const CachedEntry* entry = cached(actor, lookup.va, lookup.requester.asid);
    memo = {.generation = generation_,
            .page = page,
            .actor = actor,
            .asid = lookup.requester.asid.value,
            .read = entry == nullptr ? DescriptorRead{} : entry->read};
  }
  return memo.read;
}

void History::on(const Event& event, const hw::TlbLookup& e) {
  if (event.actor >= open_.size()) open_.resize(log_.actors().size());
  // A retried access looks up again under the same number; what came before has ended it.
  // Field by field: a copy of what was just written would wait for it, at every look-up of a run.
  OpenAccess& open = open_[event.actor].emplace_back();
  open.access_id = e.access_id;
  stamp(event, open.looked_up);
  open.requester = e.requester;
  open.va = e.va;
  if (e.outcome != hw::LookupOutcome::kMiss) open.hit_read = read_of_hit(event.actor, e);
}

void History::close(ActorId actor, std::uint64_t access_id) {
  just_ended_ = {};
  if (actor >= open_.size()) return;
  auto& open = open_[actor];
  for (std::size_t i = 0; i < open.size(); ++i) {
    if (open[i].access_id != access_id) continue;
    just_ended_ = open[i];
    open[i] = open.back();
    open.pop_back();
    return;
  }
}

const std::vector<OpenAccess>& History::open_accesses(ActorId actor) const {
  static const std::vector<OpenAccess> kNone;
  return actor < open_.size() ? open_[actor] : kNone;
}

void History::on(const Event& event, const hw::WalkBegin& e) {
  auto& walks = walks_[event.actor];
  walks[e.access_id] = {.asid = e.requester.asid, .va = e.va, .last = {}};
  // Finished accesses need not be kept.
  if (walks.size() > 1024) walks.erase(walks.begin());
}

std::uint64_t History::unlinked_table_of(ActorId actor, const Walk& walk, arch::PhysAddr slot,
                                         std::uint64_t sequence) const {
  const auto mm = mm_of(actor, walk.asid);
  if (!mm) return 0;
  const std::uint64_t table = arch::page_of(slot).value;
  if (tables_.taken_out(slot, *mm, walk.va, sequence) != nullptr) return table;
  const auto strays = strays_.find({actor, walk.asid.value});
  if (strays == strays_.end()) return 0;
  const auto stray = strays->second.find(table);
  // Somebody may have linked it where it is read by now.
  return stray == strays->second.end() || tables_.linked(slot, *mm, walk.va) ? 0 : stray->second;
}

void History::on(const Event& event, const hw::WalkRead& e) {
  Walk& walk = walks_[event.actor][e.access_id];
  walk.last = {.at = stamp(event),
               .unlinked_table = unlinked_table_of(event.actor, walk, e.address, event.sequence)};
  const std::uint64_t entry = arch::to_vmsa64(tables_.format(), e.descriptor, e.level);
  if (vmsa64::is_table(entry, e.level)) {
    const std::uint64_t next = vmsa64::next_table(entry).value;
    auto& strays = strays_[{event.actor, walk.asid.value}];
    if (walk.last.unlinked_table != 0) {
      strays[next] = walk.last.unlinked_table;
    } else {
      strays.erase(next);
    }
  }
  const StoreRecord* unlinked = unlinked_by(event.actor, walk.last, walk.asid, walk.va);
  if (unlinked == nullptr) return;
  walk.last.at = unlinked->at;
  --walk.last.at.sequence;
}

const StoreRecord* History::unlinked_by(ActorId actor, const DescriptorRead& read, arch::Asid asid,
                                        arch::VirtAddr va) const {
  const auto mm = mm_of(actor, asid);
  if (read.unlinked_table == 0 || !mm) return nullptr;
  return tables_.taken_out({read.unlinked_table}, *mm, va, read.at.sequence + 1);
}

const StoreRecord* History::unlinked_table(const CachedEntry& entry) const {
  return unlinked_by(entry.filled.actor, entry.read, entry.fill.requester.asid, entry.fill.page);
}

const StoreRecord* History::unlinked_table(ActorId actor, std::uint64_t access_id) const {
  const auto walks = walks_.find(actor);
  if (walks == walks_.end()) return nullptr;
  const auto walk = walks->second.find(access_id);
  if (walk == walks->second.end()) return nullptr;
  return unlinked_by(actor, walk->second.last, walk->second.asid, walk->second.va);
}

void History::on(const Event& event, const hw::TlbFill& e) {
  ++generation_;
  CachedEntry entry{.filled = stamp(event), .read = {.at = stamp(event)}, .removed = {}, .fill = e};
  const auto& walks = walks_[event.actor];
  if (const auto walk = walks.find(e.access_id); walk != walks.end()) {
    entry.read = walk->second.last;
  }
  const auto ats = ats_reads_.find(e.access_id);
  if (is_atc(event.actor) && ats != ats_reads_.end()) {
    entry.read = ats->second;
    ats_reads_.erase(ats);
  }
  auto& recent = recent_fills_[event.actor];
  recent.push_back(entry);
  if (recent.size() > kRecentFills) recent.pop_front();
  if (e.dropped) return;
  auto& live = live_[event.actor];
  std::erase_if(live, [&](const CachedEntry& other) {
    return other.fill.page == e.page && other.fill.page_shift == e.page_shift &&
           other.fill.global == e.global &&
           (e.global || other.fill.requester.asid == e.requester.asid);
  });
  live.push_back(entry);
}

void History::retire(CachedEntry& entry, const Event& event) {
  entry.removed = stamp(event);
  auto& retired = retired_[event.actor];
  std::erase_if(retired, [&](const CachedEntry& other) {
    return other.fill.page == entry.fill.page &&
           other.fill.requester.asid == entry.fill.requester.asid;
  });
  retired.push_back(entry);
}

void History::on(const Event& event, const hw::TlbEvict& e) {
  ++generation_;
  std::erase_if(live_[event.actor], [&](CachedEntry& entry) {
    return entry.fill.page == e.page && entry.fill.page_shift == e.page_shift &&
           entry.fill.global == e.global && (e.global || entry.fill.requester.asid == e.asid);
  });
}

void History::on(const Event& event, const hw::TlbInvalidate& e) {
  ++generation_;
  invalidations_[event.actor].push_back({.at = stamp(event), .event = e});
  const auto covered = [&](const CachedEntry& entry) {
    return e.what.covers(entry.fill.page.value, entry.last(), entry.fill.requester.asid,
                         entry.fill.global);
  };
  auto& live = live_[event.actor];
  just_dropped_ = {};
  // A TLB that removed fewer than it holds is not believed: its entries stay.
  if (e.removed < static_cast<std::size_t>(std::count_if(live.begin(), live.end(), covered)))
    return;
  std::erase_if(live, [&](CachedEntry& entry) {
    if (!covered(entry)) return false;
    ++just_dropped_.dropped;
    if (still_good(entry)) ++just_dropped_.needless;
    retire(entry, event);
    return true;
  });
}

void History::on(const Event& event, const hw::AccessDone& e) {
  // An access through an ATC was looked up there and is reported by the device.
  const bool atc = e.source == hw::TranslationSource::kAtc;
  close(atc ? atc_of(event.actor) : event.actor, e.access_id);
}

void History::on(const Event& event, const hw::AccessHeld& e) { close(event.actor, e.access_id); }

void History::on(const Event& event, const hw::TranslationFault& e) {
  close(event.actor, e.access_id);
}

void History::on(const Event& event, const hw::AtsAnswered& e) {
  close(event.actor, e.access_id);
  // The answer comes from a walk of this access, or from the entry that it hit.
  const auto& walks = walks_[event.actor];
  const auto walk = walks.find(e.access_id);
  ats_reads_[e.access_id] = walk != walks.end() ? walk->second.last : just_ended_.hit_read;
}

void History::on(const Event& event, const hw::CommandFetched& e) {
  ++generation_;
  // Commands are consumed in the order of submission; a refused one is fetched again, edited.
  if (next_fetched_ > 0 && commands_[next_fetched_ - 1].refused &&
      !commands_[next_fetched_ - 1].fetched) {
    commands_[next_fetched_ - 1].fetched = stamp(event);
    return;
  }
  if (next_fetched_ >= commands_.size()) return;
  CommandRecord& record = commands_[next_fetched_++];
  record.fetched = stamp(event);
  record.number = e.number;
}

void History::on(const Event& event, const hw::CommandError& e) {
  ++generation_;
  for (CommandRecord& record : commands_) {
    if (record.number != e.number) continue;
    record.refused = stamp(event);
    record.fetched = {};
  }
}

void History::on(const Event& event, const hw::SyncCompleted& e) {
  ++generation_;
  syncs_.push_back({.completed = stamp(event), .number = e.number});
}

void History::on(const Event&, const hw::AtcInvalidationCompleted& e) {
  ++generation_;
  atc_completed_.insert(e.command_number);
}

void History::on(const Event& event, const hw::TlbiIssued& e) {
  ++generation_;
  tlbis_.push_back({.at = stamp(event),
                    .completed = {},
                    .dvm_id = e.dvm_id,
                    .op = e.op,
                    .what = arch::decode_tlbi(e.op, e.operand)});
}

void History::on(const Event& event, const hw::DsbCompleted& e) {
  ++generation_;
  for (auto record = tlbis_.rbegin(); record != tlbis_.rend(); ++record) {
    if (record->at.actor != event.actor || record->dvm_id > e.last_dvm_id) continue;
    if (record->completed) break;
    record->completed = stamp(event);
  }
}

// ---- Questions -------------------------------------------------------------------------------

std::optional<unsigned> History::mm_of(ActorId actor, arch::Asid asid) const {
  const auto& owners = is_cpu(actor) ? mm_by_asid_ : mm_by_smmu_asid_;
  const auto found = owners.find(asid.value);
  if (found == owners.end()) return std::nullopt;
  return found->second;
}

arch::Asid History::cpu_asid(unsigned mm) const {
  for (const auto& [asid, owner] : mm_by_asid_) {
    if (owner == mm) return arch::Asid{asid};
  }
  return {};
}

const Binding* History::binding(arch::StreamId stream) const {
  const auto found = bindings_.find(stream.value);
  return found == bindings_.end() ? nullptr : &found->second;
}

const CachedEntry* History::cached(ActorId actor, arch::VirtAddr va, arch::Asid asid) const {
  for (const auto* entries : {&live_, &retired_}) {
    const auto found = entries->find(actor);
    if (found == entries->end()) continue;
    for (auto entry = found->second.rbegin(); entry != found->second.rend(); ++entry) {
      if (entry->matches(va, asid)) return &*entry;
    }
  }
  return nullptr;
}

const CachedEntry* History::fill_of_access(ActorId actor, std::uint64_t access_id) const {
  const auto recent = recent_fills_.find(actor);
  if (recent == recent_fills_.end()) return nullptr;
  for (auto fill = recent->second.rbegin(); fill != recent->second.rend(); ++fill) {
    if (fill->fill.access_id == access_id) return &*fill;
  }
  return nullptr;
}

std::vector<std::pair<ActorId, const CachedEntry*>> History::live_into(arch::PhysAddr page,
                                                                       std::uint64_t bytes) const {
  std::vector<std::pair<ActorId, const CachedEntry*>> result;
  for (const auto& [actor, entries] : live_) {
    for (const CachedEntry& entry : entries) {
      const std::uint64_t first = entry.fill.output.value;
      const std::uint64_t last = first + (arch::page_bytes(entry.fill.page_shift) - 1);
      if (first < page.value + bytes && page.value <= last) result.emplace_back(actor, &entry);
    }
  }
  return result;
}

bool History::is_atc(ActorId actor) const {
  return std::any_of(atcs_.begin(), atcs_.end(), [&](const auto& device) {
    return device.second == actor && device.first != actor;
  });
}

ActorId History::atc_of(ActorId device) const {
  const auto found = atcs_.find(device);
  return found == atcs_.end() ? device : found->second;
}

bool History::flush_in_progress(unsigned mm, arch::VirtAddr va) const {
  for (const auto& [number, index] : open_flushes_) {
    const FlushRecord& flush = flushes_[index];
    if (flush.mm != mm) continue;
    // Any page of a block stands for the block: compare by the leaf that maps the address.
    const std::uint64_t bytes = arch::page_bytes(vmsa64::level_shift(tables_.leaf(mm, va).level));
    const std::uint64_t first = va.value & ~(bytes - 1);
    if (flush.start.value <= first + (bytes - 1) && first < flush.limit.value) return true;
  }
  return false;
}

bool History::takes_part_in_broadcast(ActorId actor) const {
  if (is_cpu(actor)) return true;
  if (!is_smmu(actor)) return false;
  return std::any_of(bindings_.begin(), bindings_.end(),
                     [](const auto& binding) { return binding.second.broadcast; });
}

const std::vector<InvalidationRecord>& History::invalidations(ActorId actor) const {
  static const std::vector<InvalidationRecord> kNone;
  const auto found = invalidations_.find(actor);
  return found == invalidations_.end() ? kNone : found->second;
}

Stamp History::freed(arch::PhysAddr page) const {
  const auto found = frames_.find(arch::page_of(page).value);
  return found == frames_.end() ? Stamp{} : found->second.freed;
}

Stamp History::last_freed(arch::PhysAddr page) const {
  const auto found = last_freed_.find(arch::page_of(page).value);
  return found == last_freed_.end() ? Stamp{} : found->second;
}

bool History::still_good(const CachedEntry& entry) const {
  const auto mm = mm_of(entry.filled.actor, entry.fill.requester.asid);
  if (!mm) return false;
  const PageTables::Leaf now = tables_.leaf(*mm, entry.fill.page);
  return vmsa64::is_leaf(now.entry, now.level) &&
         now.output(entry.fill.page) == entry.fill.output && now.permits(arch::Access::kRead) &&
         (!entry.fill.permissions.user_write() || now.permits(arch::Access::kWrite));
}

const FlushRecord* History::flush_after(const StoreRecord& store) const {
  const std::uint64_t last =
      store.va.value + (arch::page_bytes(vmsa64::level_shift(store.level)) - 1);
  for (const FlushRecord& flush : flushes_) {
    if (flush.mm != store.mm || flush.begin.sequence < store.at.sequence) continue;
    if (flush.start.value <= last && store.va < flush.limit) return &flush;
  }
  return nullptr;
}

bool History::private_to_another(arch::PhysAddr page, unsigned mm) const {
  return belongs_to_another(page, mm) && !tables_.is_file_page(page);
}

bool History::belongs_to_another(arch::PhysAddr page, unsigned mm) const {
  return !freed(page) && tables_.belongs_to_another(page, mm);
}

std::vector<std::pair<ActorId, const CachedEntry*>> History::live_at(unsigned mm, arch::VirtAddr va,
                                                                     int level) const {
  std::vector<std::pair<ActorId, const CachedEntry*>> result;
  const std::uint64_t last = va.value + (arch::page_bytes(vmsa64::level_shift(level)) - 1);
  for (const auto& [actor, entries] : live_) {
    for (const CachedEntry& entry : entries) {
      if (mm_of(actor, entry.fill.requester.asid) != mm) continue;
      if (entry.fill.page.value <= last && va.value <= entry.last() && reachable(actor, entry)) {
        result.emplace_back(actor, &entry);
      }
    }
  }
  return result;
}

bool History::reachable(ActorId actor, const CachedEntry& entry) const {
  if (const auto mm = mm_of(actor, entry.fill.requester.asid);
      mm && is_cpu(actor) && exiting_.contains(*mm)) {
    return false;
  }
  const auto active = active_mm_.find(actor);
  return active == active_mm_.end() || mm_of(actor, entry.fill.requester.asid) == active->second;
}

}  // namespace shootdown::cosim
