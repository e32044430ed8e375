#include "cosim/ledger/cached_translations.h"

#include <algorithm>

namespace shootdown::cosim {

namespace vmsa64 = arch::vmsa64;

CachedTranslations::OfActor& CachedTranslations::of(ActorId actor) {
  if (actor >= actors_.size()) actors_.resize(log_->actors().size());
  return actors_[actor];
}

// ---- Accesses --------------------------------------------------------------------------------

const DescriptorRead& CachedTranslations::read_of_hit(ActorId actor, const hw::TlbLookup& lookup,
                                                      std::uint64_t generation) {
  const std::uint64_t page = arch::page_of(lookup.va).value;
  HitMemo& memo = hit_memo_[(page >> arch::kPageShift) % hit_memo_.size()];
  if (memo.generation != generation || memo.page != page || memo.actor != actor ||
      memo.asid != lookup.requester.asid.value) {
    const CachedEntry* entry = cached(actor, lookup.va, lookup.requester.asid);
    memo = {.generation = generation,
            .page = page,
            .actor = actor,
            .asid = lookup.requester.asid.value,
            .read = entry == nullptr ? DescriptorRead{} : entry->read};
  }
  return memo.read;
}

void CachedTranslations::looked_up(const Event& event, const hw::TlbLookup& e,
                                   std::uint64_t generation) {
  if (e.regime == arch::Regime::kStage2) return;
  std::vector<OpenAccess>& accesses = of(event.actor).open;
  // An access can look up again under the same number: a retry, or a stage of its configuration.
  const auto again = std::find_if(accesses.begin(), accesses.end(), [&](const OpenAccess& one) {
    return one.access_id == e.access_id;
  });
  // Field by field: a copy of what was just written would wait for it, at every look-up of a run.
  OpenAccess& open = again != accesses.end() ? *again : accesses.emplace_back();
  open.access_id = e.access_id;
  open.looked_up.sequence = event.sequence;
  open.looked_up.time_ps = event.time_ps;
  open.looked_up.actor = event.actor;
  open.looked_up.thread = event.thread;
  open.requester = e.requester;
  open.va = e.va;
  if (e.outcome != hw::LookupOutcome::kMiss) {
    open.hit_read = read_of_hit(event.actor, e, generation);
  } else if (again != accesses.end()) {
    open.hit_read = {};
  }
}

std::uint64_t CachedTranslations::oldest_open(const OfActor& actor) {
  std::uint64_t oldest = ~std::uint64_t{0};
  for (const OpenAccess& access : actor.open) {
    oldest = std::min(oldest, access.looked_up.sequence);
  }
  return oldest;
}

void CachedTranslations::ended(ActorId tlb, std::uint64_t access_id) {
  last_ended_ = {};
  last_ended_fill_.reset();
  last_ended_walk_.reset();
  last_ended_actor_ = tlb;
  OfActor& actor = of(tlb);
  for (std::size_t i = 0; i < actor.open.size(); ++i) {
    if (actor.open[i].access_id != access_id) continue;
    last_ended_ = actor.open[i];
    actor.open[i] = actor.open.back();
    actor.open.pop_back();
    break;
  }
  last_ended_.access_id = access_id;
  if (!actor.filled.empty()) {
    if (const auto fill = actor.filled.find(access_id); fill != actor.filled.end()) {
      last_ended_fill_ = fill->second;
      actor.filled.erase(fill);
    }
  }
  if (!actor.walks.empty()) {
    if (const auto walk = actor.walks.find(access_id); walk != actor.walks.end()) {
      last_ended_walk_ = walk->second;
      actor.walks.erase(walk);
    }
  }
  // Whoever ends without a fill leaves the answer to its translation request.
  if (log_->actor(tlb).role == ActorRole::kAtc) ats_reads_.erase(access_id);
  if (actor.retired.empty()) return;
  const std::uint64_t oldest = std::min(oldest_open(actor), last_ended_.looked_up.sequence);
  std::erase_if(actor.retired,
                [&](const CachedEntry& entry) { return entry.removed.sequence < oldest; });
}

const std::vector<OpenAccess>& CachedTranslations::open_accesses(ActorId actor) const {
  static const std::vector<OpenAccess> kNone;
  return actor < actors_.size() ? actors_[actor].open : kNone;
}

// ---- Walks -----------------------------------------------------------------------------------

void CachedTranslations::walk_began(const Stamp& at, const hw::WalkBegin& e) {
  if (e.regime == arch::Regime::kStage2) return;
  of(at.actor).walks[e.access_id] = {.began = at, .asid = e.requester.asid, .va = e.va, .last = {}};
}

std::uint64_t CachedTranslations::unlinked_table_of(ActorId actor, const Walk& walk,
                                                    arch::PhysAddr slot,
                                                    std::uint64_t sequence) const {
  const auto mm = spaces_->mm_of(actor, walk.asid);
  if (!mm) return 0;
  const std::uint64_t table = arch::page_of(slot).value;
  if (tables_->taken_out(slot, *mm, walk.va, sequence) != nullptr) return table;
  const auto& strays = actors_[actor].strays;
  const auto stray = strays.find({walk.asid.value, table});
  // Somebody may have linked it where it is read by now.
  return stray == strays.end() || tables_->linked(slot, *mm, walk.va) ? 0 : stray->second;
}

void CachedTranslations::walk_read(const Stamp& at, const hw::WalkRead& e) {
  if (e.stage2) return;  // what software changes in a run is stage 1
  OfActor& actor = of(at.actor);
  Walk& walk = actor.walks[e.access_id];
  walk.last = {.at = at,
               .unlinked_table = unlinked_table_of(at.actor, walk, e.address, at.sequence)};
  const std::uint64_t entry = arch::to_vmsa64(tables_->format(), e.descriptor.value, e.level);
  if (vmsa64::is_table(entry, e.level)) {
    const std::pair key{walk.asid.value, vmsa64::next_table(entry).value};
    if (walk.last.unlinked_table != 0) {
      actor.strays[key] = walk.last.unlinked_table;
    } else {
      actor.strays.erase(key);
    }
  }
  const StoreRecord* unlinked = unlinked_by(at.actor, walk.last, walk.asid, walk.va);
  if (unlinked == nullptr) return;
  walk.last.at = unlinked->at;
  --walk.last.at.sequence;
}

const StoreRecord* CachedTranslations::unlinked_by(ActorId actor, const DescriptorRead& read,
                                                   arch::Asid asid, arch::VirtAddr va) const {
  const auto mm = spaces_->mm_of(actor, asid);
  if (read.unlinked_table == 0 || !mm) return nullptr;
  return tables_->taken_out({read.unlinked_table}, *mm, va, read.at.sequence + 1);
}

const StoreRecord* CachedTranslations::unlinked_table(const CachedEntry& entry) const {
  return unlinked_by(entry.filled.actor, entry.read, entry.fill.requester.asid, entry.fill.page);
}

const StoreRecord* CachedTranslations::unlinked_table(ActorId actor,
                                                      std::uint64_t access_id) const {
  const Walk* walk = nullptr;
  if (actor == last_ended_actor_ && access_id == last_ended_.access_id && last_ended_walk_) {
    walk = &*last_ended_walk_;
  } else if (actor < actors_.size()) {
    const auto found = actors_[actor].walks.find(access_id);
    if (found != actors_[actor].walks.end()) walk = &found->second;
  }
  return walk == nullptr ? nullptr : unlinked_by(actor, walk->last, walk->asid, walk->va);
}

// ---- Entries ---------------------------------------------------------------------------------

void CachedTranslations::filled(const Stamp& at, const hw::TlbFill& e) {
  if (e.regime == arch::Regime::kStage2) return;
  OfActor& actor = of(at.actor);
  CachedEntry entry{.filled = at, .read = {.at = at}, .removed = {}, .fill = e};
  if (const auto walk = actor.walks.find(e.access_id); walk != actor.walks.end()) {
    entry.read = walk->second.last;
  }
  if (const auto ats = ats_reads_.find(e.access_id);
      ats != ats_reads_.end() && log_->actor(at.actor).role == ActorRole::kAtc) {
    entry.read = ats->second;
    ats_reads_.erase(ats);
  }
  // Whoever judges the access may ask for what it has filled, whether it was installed or not.
  const bool on_its_way =
      std::any_of(actor.open.begin(), actor.open.end(),
                  [&](const OpenAccess& one) { return one.access_id == e.access_id; });
  if (on_its_way) actor.filled[e.access_id] = entry;
  if (e.dropped) return;
  std::erase_if(actor.live, [&](const CachedEntry& other) {
    return other.fill.page == e.page && other.fill.page_shift == e.page_shift &&
           other.fill.global == e.global &&
           (e.global || other.fill.requester.asid == e.requester.asid);
  });
  actor.live.push_back(entry);
}

void CachedTranslations::retire(CachedEntry& entry, const Stamp& at) {
  OfActor& actor = of(at.actor);
  if (actor.open.empty()) return;  // nobody on its way can have used it
  entry.removed = at;
  std::erase_if(actor.retired, [&](const CachedEntry& other) {
    return other.fill.page == entry.fill.page &&
           other.fill.requester.asid == entry.fill.requester.asid;
  });
  actor.retired.push_back(entry);
}

void CachedTranslations::evicted(const Stamp& at, const hw::TlbEvict& e) {
  if (e.regime == arch::Regime::kStage2) return;
  std::erase_if(of(at.actor).live, [&](CachedEntry& entry) {
    if (entry.fill.page != e.page || entry.fill.page_shift != e.page_shift ||
        entry.fill.global != e.global || (!e.global && entry.fill.requester.asid != e.asid)) {
      return false;
    }
    retire(entry, at);
    return true;
  });
}

Dropped CachedTranslations::invalidated(const Stamp& at, const hw::TlbInvalidate& e) {
  const auto covered = [&](const CachedEntry& entry) {
    return e.what.covers(entry.first(), entry.last(), entry.fill.requester.asid, entry.fill.global);
  };
  std::vector<CachedEntry>& live = of(at.actor).live;
  Dropped dropped;
  const auto filled = static_cast<std::size_t>(std::count_if(live.begin(), live.end(), covered));
  if (e.removed < filled && !log_->actor(at.actor).silent_evictions) return dropped;
  std::erase_if(live, [&](CachedEntry& entry) {
    if (!covered(entry)) return false;
    ++dropped.dropped;
    if (still_good(entry)) ++dropped.needless;
    retire(entry, at);
    return true;
  });
  return dropped;
}

void CachedTranslations::answered(const Stamp& at, const hw::AtsAnswered& e) {
  ended(at.actor, e.access_id);
  // The answer comes from a walk of this access, or from the entry that it hit.
  ats_reads_[e.access_id] = last_ended_walk_ ? last_ended_walk_->last : last_ended_.hit_read;
}

// ---- Questions -------------------------------------------------------------------------------

ActorId CachedTranslations::atc_of(ActorId device) const {
  const auto& actors = log_->actors();
  const auto atc = std::find_if(actors.begin(), actors.end(), [&](const Actor& actor) {
    return actor.role == ActorRole::kAtc && actor.parent == device;
  });
  return atc == actors.end() ? device : static_cast<ActorId>(atc - actors.begin());
}

const CachedEntry* CachedTranslations::cached(ActorId actor, arch::VirtAddr va,
                                              arch::Asid asid) const {
  if (actor >= actors_.size()) return nullptr;
  for (const auto* entries : {&actors_[actor].live, &actors_[actor].retired}) {
    for (auto entry = entries->rbegin(); entry != entries->rend(); ++entry) {
      if (entry->matches(va, asid)) return &*entry;
    }
  }
  return nullptr;
}

std::vector<std::pair<ActorId, const CachedEntry*>> CachedTranslations::live_into(
    arch::PhysAddr page, std::uint64_t bytes) const {
  std::vector<std::pair<ActorId, const CachedEntry*>> result;
  for (std::size_t i = 0; i < actors_.size(); ++i) {
    if (log_->actor(static_cast<ActorId>(i)).silent_evictions) continue;
    for (const CachedEntry& entry : actors_[i].live) {
      const std::uint64_t first = entry.fill.output.value;
      const std::uint64_t last = first + (arch::page_bytes(entry.fill.page_shift) - 1);
      if (first < page.value + bytes && page.value <= last) {
        result.emplace_back(static_cast<ActorId>(i), &entry);
      }
    }
  }
  return result;
}

std::vector<std::pair<ActorId, const CachedEntry*>> CachedTranslations::live_at(arch::MmId mm,
                                                                                arch::VirtAddr va,
                                                                                int level) const {
  std::vector<std::pair<ActorId, const CachedEntry*>> result;
  const std::uint64_t last = va.value + (arch::page_bytes(vmsa64::level_shift(level)) - 1);
  for (std::size_t i = 0; i < actors_.size(); ++i) {
    const auto actor = static_cast<ActorId>(i);
    if (log_->actor(actor).silent_evictions) continue;
    for (const CachedEntry& entry : actors_[i].live) {
      if (entry.first() > last || va.value > entry.last()) continue;
      if (spaces_->mm_of(actor, entry.fill.requester.asid) != mm) continue;
      if (reachable(actor, entry)) result.emplace_back(actor, &entry);
    }
  }
  return result;
}

bool CachedTranslations::still_good(const CachedEntry& entry) const {
  const auto mm = spaces_->mm_of(entry.filled.actor, entry.fill.requester.asid);
  if (!mm) return false;
  const PageTables::Leaf now = tables_->leaf(*mm, entry.fill.page);
  return vmsa64::is_leaf(now.entry, now.level) &&
         now.output(entry.fill.page) == entry.fill.output && now.permits(arch::Access::kRead) &&
         (!entry.fill.permissions.user_write() || now.permits(arch::Access::kWrite));
}

std::uint64_t CachedTranslations::oldest_use(arch::MmId mm, std::uint64_t first,
                                             std::uint64_t last) const {
  std::uint64_t oldest = ~std::uint64_t{0};
  const auto consider = [&](ActorId actor, arch::Asid asid, std::uint64_t from, std::uint64_t to,
                            std::uint64_t sequence) {
    if (sequence == 0 || sequence >= oldest || from > last || first > to) return;
    if (mm == arch::MmId{} || spaces_->mm_of(actor, asid) == mm) oldest = sequence;
  };
  for (std::size_t i = 0; i < actors_.size(); ++i) {
    const auto actor = static_cast<ActorId>(i);
    const auto consider_entry = [&](const CachedEntry& entry) {
      consider(actor, entry.fill.requester.asid, entry.first(), entry.last(),
               entry.read.at.sequence);
    };
    for (const CachedEntry& entry : actors_[i].live) consider_entry(entry);
    const std::uint64_t oldest_look_up = oldest_open(actors_[i]);
    for (const CachedEntry& entry : actors_[i].retired) {
      if (entry.removed.sequence >= oldest_look_up) consider_entry(entry);
    }
    for (const OpenAccess& access : actors_[i].open) {
      const std::uint64_t since =
          access.hit_read.at ? access.hit_read.at.sequence : access.looked_up.sequence;
      consider(actor, access.requester.asid, access.va.value, access.va.value, since);
    }
    for (const auto& [id, walk] : actors_[i].walks) {
      consider(actor, walk.asid, walk.va.value, walk.va.value,
               walk.last.at ? walk.last.at.sequence : walk.began.sequence);
    }
  }
  // Answers on their way to an ATC say which device asked, not for what.
  for (const auto& [id, read] : ats_reads_) {
    if (read.at) oldest = std::min(oldest, read.at.sequence);
  }
  return oldest;
}

std::uint64_t CachedTranslations::oldest_stray_use() const {
  std::uint64_t oldest = ~std::uint64_t{0};
  const auto consider = [&](const DescriptorRead& read) {
    if (read.unlinked_table != 0) oldest = std::min(oldest, read.at.sequence);
  };
  for (const OfActor& actor : actors_) {
    for (const CachedEntry& entry : actor.live) consider(entry.read);
    for (const CachedEntry& entry : actor.retired) consider(entry.read);
    for (const auto& [id, entry] : actor.filled) consider(entry.read);
    for (const OpenAccess& access : actor.open) consider(access.hit_read);
    for (const auto& [id, walk] : actor.walks) consider(walk.last);
  }
  for (const auto& [id, read] : ats_reads_) consider(read);
  return oldest;
}

std::size_t CachedTranslations::remembered() const {
  std::size_t count = ats_reads_.size();
  for (const OfActor& actor : actors_) {
    count += actor.live.size() + actor.retired.size() + actor.open.size() + actor.walks.size() +
             actor.filled.size() + actor.strays.size();
  }
  return count;
}

}  // namespace shootdown::cosim
