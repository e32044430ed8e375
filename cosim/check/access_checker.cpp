#include "cosim/check/access_checker.h"

#include <fmt/format.h>

#include "cosim/observe/format.h"

namespace shootdown::cosim {

namespace {

const char* verb(arch::Access access) {
  return access == arch::Access::kWrite ? "writes" : "reads";
}

/// Whether [start, limit) touches what the entry maps that was stored, or the one that a walk cache
/// still led to: any address of a block stands for the whole of it.
bool covers(arch::VirtAddr start, arch::VirtAddr limit, const StaleEntry& stale) {
  const bool later = stale.from_unlinked_table && stale.entry != nullptr;
  const arch::VirtAddr first = later ? stale.entry->fill.page : stale.store->va;
  const std::uint64_t last =
      later ? stale.entry->last()
            : first.value + (arch::page_bytes(arch::vmsa64::level_shift(stale.store->level)) - 1);
  return start.value <= last && (first < limit || limit.value == ~std::uint64_t{0});
}

}  // namespace

void AccessChecker::on_event(const Event& event) {
  if (const auto* done = event.payload.get<hw::AccessDone>()) {
    if (done->bytes != 0 && done->source != hw::TranslationSource::kBypass) {
      on_access(event, *done);
    }
  } else if (const auto* freed = event.payload.get<sw::PageFreed>()) {
    on_free(event, *freed);
  }
}

void AccessChecker::on_access(const Event& event, const hw::AccessDone& done) {
  const std::uint64_t page = arch::page_of(done.va).value;
  const std::uint32_t requester = done.requester.stream_id.value << 16 | done.requester.asid.value;
  Passed& passed = passed_[(page >> arch::kPageShift) % passed_.size()];
  if (passed.generation == history_.generation() && passed.page == page &&
      passed.output == arch::page_of(done.pa).value && passed.requester == requester &&
      passed.actor == event.actor && passed.access == done.access) {
    return;
  }
  const auto mm = history_.mm_of(event.actor, done.requester.asid);
  if (!mm) return;
  const PageTables::Leaf leaf = history_.tables().leaf(*mm, done.va);
  const bool permitted = arch::vmsa64::is_leaf(leaf.entry, leaf.level) &&
                         leaf.output(done.va) == done.pa &&
                         arch::vmsa64::leaf_permissions(leaf.entry, {}).permits(done.access, false);
  if (!permitted || history_.freed(done.pa)) return judge(event, done, *mm);
  passed = {.generation = history_.generation(),
            .page = page,
            .output = arch::page_of(done.pa).value,
            .requester = requester,
            .actor = event.actor,
            .access = done.access};
}

void AccessChecker::judge(const Event& event, const hw::AccessDone& done, unsigned mm) {
  ActorId tlb = event.actor;
  const auto where = done.source == hw::TranslationSource::kAtc ? StaleEntry::Where::kAtc
                                                                : where_of(history_, event.actor);
  if (where == StaleEntry::Where::kAtc) {
    tlb = history_.atc_of(event.actor);
  }
  StaleEntry stale{.where = where,
                   .tlb = tlb,
                   .requester = done.requester,
                   .mm = mm,
                   .va = done.va,
                   .entry = done.source == hw::TranslationSource::kWalk
                                ? history_.fill_of_access(tlb, done.access_id)
                                : history_.cached(tlb, done.va, done.requester.asid),
                   .store = nullptr,
                   .freed = {}};
  // A hit used the entry as it was at the look-up, whatever has been filled since.
  const Stamp hit_read = history_.just_ended().hit_read.at;
  const std::uint64_t read = done.source != hw::TranslationSource::kWalk && hit_read
                                 ? hit_read.sequence
                             : stale.entry == nullptr ? 0
                                                      : stale.entry->read.at.sequence;
  for (const StoreRecord* store : history_.tables().stores(mm, done.va)) {
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
  if (const StoreRecord* unlinked =
          stale.entry == nullptr ? nullptr : history_.unlinked_table(*stale.entry)) {
    stale.store = unlinked;
    stale.from_unlinked_table = true;
    if (history_.private_to_another(done.pa, mm)) {
      report(event, done, stale, "isolation", "in a frame that belongs to another");
    }
  }
  if (stale.store == nullptr) {
    // Memory never said what the access used: hardware made it up, or did not look at permissions.
    report(event, done, stale,
           done.access == arch::Access::kWrite ? "write-after-protect" : "stale-access",
           "although no entry ever permitted it");
    return;
  }
  const std::uint64_t since = stale.store->at.sequence;
  const Stamp freed = history_.last_freed(done.pa);
  if (freed && freed.sequence > since) {
    stale.freed = freed;
    report(event, done, stale, "use-after-free",
           "in a frame freed at " + microseconds(freed.time_ps));
    if (history_.belongs_to_another(done.pa, mm)) {
      report(event, done, stale, "isolation", "in a frame that belongs to another by now");
    }
    return;
  }
  // Losing write permission on the same frame is a matter of protection, all else of mapping.
  const PageTables::Leaf now = history_.tables().leaf(mm, done.va);
  const bool same_frame =
      arch::vmsa64::is_leaf(now.entry, now.level) && now.output(done.va) == done.pa;
  const bool protection = same_frame && done.access == arch::Access::kWrite;
  for (const ProtectionRecord& record : history_.removed_protections()) {
    if (record.at.sequence < since || record.mm != mm) continue;
    if (!record.answers_for(*stale.store)) continue;
    if (!covers(record.start, record.limit, stale)) continue;
    report(
        event, done, stale, protection ? "write-after-protect" : "stale-access",
        fmt::format("after {} returned at {}", record.operation, microseconds(record.at.time_ps)));
    return;
  }
  for (const FlushRecord& flush : history_.flushes()) {
    if (flush.mm != mm || flush.begin.sequence < since || !flush.end) continue;
    if (!flush.secondary && where != StaleEntry::Where::kCpu) continue;
    if (!covers(flush.start, flush.limit, stale)) continue;
    report(event, done, stale, "stale-access",
           "through a translation that was flushed at " + microseconds(flush.end.time_ps));
    return;
  }
}

void AccessChecker::report(const Event& event, const hw::AccessDone& done, const StaleEntry& stale,
                           std::string kind, const std::string& why) {
  const std::string requester = requester_name(event.actor, done.requester);
  if (findings_.repeats(kind, requester, done.va)) return;
  MissingHop missing;
  if (stale.store != nullptr) {
    missing = find_missing_hop(history_, stale);
  } else {
    missing.hop = "hardware";
    missing.text = "the translation does not come from the tables";
  }
  Violation violation{.kind = std::move(kind),
                      .time_ps = event.time_ps,
                      .actor = requester,
                      .address = done.va,
                      .headline = fmt::format("{} {} {} at {}, {}", requester, verb(done.access),
                                              hex(done.va), hex(done.pa), why),
                      .missing_hop = missing.hop,
                      .hop_text = missing.text,
                      .chain = build_chain(history_, stale, missing),
                      .count = 1};
  violation.chain.push_back({.time_ps = event.time_ps,
                             .happened = true,
                             .actor = requester,
                             .text = fmt::format("{} {} through the old translation: {}",
                                                 verb(done.access), hex(done.va), hex(done.pa)),
                             .note = ""});
  findings_.report(std::move(violation));
}

void AccessChecker::on_free(const Event& event, const sw::PageFreed& freed) {
  const std::uint64_t bytes = arch::kPageSize << freed.order;
  for (const auto& [tlb, entry] : history_.live_into(freed.page, bytes)) {
    const auto mm = history_.mm_of(entry->filled.actor, entry->fill.requester.asid);
    if (!mm || !history_.reachable(tlb, *entry)) continue;
    const std::string& name = actor_name(tlb);
    if (findings_.repeats("use-after-free", name, entry->fill.page)) continue;
    StaleEntry stale = stale_entry(history_, tlb, *entry, *mm);
    stale.freed = {event.sequence, event.time_ps, event.actor, event.thread};
    const MissingHop missing = find_missing_hop(history_, stale);
    Violation violation{
        .kind = "use-after-free",
        .time_ps = event.time_ps,
        .actor = name,
        .address = entry->fill.page,
        .headline = fmt::format("frame {} is freed while {} still translates {} to it",
                                hex(freed.page), name, hex(entry->fill.page)),
        .missing_hop = missing.hop,
        .hop_text = missing.text,
        .chain = build_chain(history_, stale, missing),
        .count = 1};
    violation.chain.push_back(
        {.time_ps = event.time_ps,
         .happened = true,
         .actor = actor_name(event.actor),
         .text = fmt::format("frame {} freed ({} page)", hex(freed.page), name_of(freed.use)),
         .note = ""});
    findings_.report(std::move(violation));
  }
}

}  // namespace shootdown::cosim
