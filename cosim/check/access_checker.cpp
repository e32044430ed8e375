#include "cosim/check/access_checker.h"

#include <fmt/format.h>

#include "cosim/observe/format.h"

namespace shootdown::cosim {

namespace {

std::string_view verb(arch::Access access) {
  return access == arch::Access::kWrite ? "writes" : "reads";
}

/// Whether [start, limit) touches what the entry maps that was stored, or the one that a walk cache
/// still led to: any address of a block stands for the whole of it.
bool covers(arch::VirtAddr start, arch::VirtAddr limit, const StaleEntry& stale) {
  const bool later = stale.from_unlinked_table && stale.entry != nullptr;
  const std::uint64_t first = later ? stale.entry->first() : stale.store->first();
  const std::uint64_t last = later ? stale.entry->last() : stale.store->last();
  return start.value <= last && (first < limit.value || limit.value == ~std::uint64_t{0});
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
  if (passed.generation == ledger_.generation() && passed.page == page &&
      passed.output == arch::page_of(done.pa).value && passed.requester == requester &&
      passed.actor == event.actor && passed.access == done.access) {
    return;
  }
  const auto mm = ledger_.spaces().mm_of(event.actor, done.requester.asid);
  if (!mm) return;
  const PageTables::Leaf leaf = ledger_.tables().leaf(*mm, done.va);
  const bool permitted = arch::vmsa64::is_leaf(leaf.entry, leaf.level) &&
                         leaf.output(done.va) == done.pa &&
                         arch::vmsa64::leaf_permissions(leaf.entry, {}).permits(done.access, false);
  if (!permitted || ledger_.frames().free_since(done.pa)) return judge(event, done, *mm);
  passed = {.generation = ledger_.generation(),
            .page = page,
            .output = arch::page_of(done.pa).value,
            .requester = requester,
            .actor = event.actor,
            .access = done.access};
}

void AccessChecker::judge(const Event& event, const hw::AccessDone& done, arch::MmId mm) {
  StaleEntry stale = stale_access(ledger_, event.actor, done, mm);
  if (stale.from_unlinked_table && ledger_.private_to_another(done.pa, mm)) {
    report(event, done, stale, ViolationKind::kIsolation, "in a frame that belongs to another");
  }
  if (stale.store == nullptr) {
    // Memory never said what the access used: hardware made it up, or did not look at permissions.
    report(event, done, stale,
           done.access == arch::Access::kWrite ? ViolationKind::kWriteAfterProtect
                                               : ViolationKind::kStaleAccess,
           "although no entry ever permitted it");
    return;
  }
  judge_stale(event, done, stale);
}

void AccessChecker::judge_stale(const Event& event, const hw::AccessDone& done, StaleEntry stale) {
  const Stamp freed = ledger_.frames().last_freed(done.pa);
  if (freed && freed.sequence > stale.store->at.sequence) {
    stale.freed = freed;
    report(event, done, stale, ViolationKind::kUseAfterFree,
           "in a frame freed at " + microseconds(freed.time_ps));
    if (ledger_.belongs_to_another(done.pa, stale.mm)) {
      report(event, done, stale, ViolationKind::kIsolation,
             "in a frame that belongs to another by now");
    }
    return;
  }
  // Losing write permission on the same frame is a matter of protection, all else of mapping.
  const PageTables::Leaf now = ledger_.tables().leaf(stale.mm, done.va);
  const bool same_frame =
      arch::vmsa64::is_leaf(now.entry, now.level) && now.output(done.va) == done.pa;
  const bool protection = same_frame && done.access == arch::Access::kWrite;
  for (const ProtectionRecord& removal : stale.store->removals) {
    if (!covers(removal.start, removal.limit, stale)) continue;
    report(event, done, stale,
           protection ? ViolationKind::kWriteAfterProtect : ViolationKind::kStaleAccess,
           fmt::format("after {} returned at {}", removal.operation,
                       microseconds(removal.at.time_ps)));
    return;
  }
  for (const FlushInStay& one : stale.store->flushes) {
    const FlushRecord& flush = *one.flush;
    if (!flush.end || !covers(flush.start, flush.limit, stale)) continue;
    if (!flush.secondary && stale.where != StaleEntry::Where::kCpu) continue;
    stale.due = &flush;
    report(event, done, stale, ViolationKind::kStaleAccess,
           "through a translation that was flushed at " + microseconds(flush.end.time_ps));
    return;
  }
}

void AccessChecker::report(const Event& event, const hw::AccessDone& done, const StaleEntry& stale,
                           ViolationKind kind, const std::string& why) {
  const ActorId requester = ledger_.requester(event.actor, done.requester);
  if (findings_.repeats(kind, requester, done.va)) return;
  MissingHop missing{.hop = Hop::kHardware,
                     .text = "the translation does not come from the tables",
                     .items = chain()};
  if (stale.store != nullptr) missing = find_missing_hop(ledger_, stale);
  Chain story = build_chain(ledger_, stale, missing);
  story.add(ChainRole::kUse, stamp_of(event), requester,
            fmt::format("{} {} through the old translation: {}", verb(done.access), hex(done.va),
                        hex(done.pa)));
  findings_.report({.kind = kind,
                    .missing_hop = missing.hop,
                    .sequence = event.sequence,
                    .time_ps = event.time_ps,
                    .actor = requester,
                    .actor_name = name(requester),
                    .address = done.va,
                    .headline = fmt::format("{} {} {} at {}, {}", name(requester),
                                            verb(done.access), hex(done.va), hex(done.pa), why),
                    .hop_text = missing.text,
                    .chain = std::move(story.items()),
                    .count = 1});
}

void AccessChecker::on_free(const Event& event, const sw::PageFreed& freed) {
  const std::uint64_t bytes = arch::kPageSize << freed.order;
  for (const auto& [tlb, entry] : ledger_.cached().live_into(freed.page, bytes)) {
    const auto mm = ledger_.spaces().mm_of(tlb, entry->fill.requester.asid);
    if (!mm || !ledger_.cached().reachable(tlb, *entry)) continue;
    if (findings_.repeats(ViolationKind::kUseAfterFree, tlb, entry->fill.page)) continue;
    StaleEntry stale = stale_entry(ledger_, tlb, *entry, *mm);
    stale.freed = stamp_of(event);
    const MissingHop missing = find_missing_hop(ledger_, stale);
    Chain story = build_chain(ledger_, stale, missing);
    story.add(ChainRole::kFree, stamp_of(event),
              fmt::format("frame {} freed ({} page)", hex(freed.page), name_of(freed.use)));
    findings_.report(
        {.kind = ViolationKind::kUseAfterFree,
         .missing_hop = missing.hop,
         .sequence = event.sequence,
         .time_ps = event.time_ps,
         .actor = tlb,
         .actor_name = name(tlb),
         .address = entry->fill.page,
         .headline = fmt::format("frame {} is freed while {} still translates {} to it",
                                 hex(freed.page), name(tlb), hex(entry->fill.page)),
         .hop_text = missing.text,
         .chain = std::move(story.items()),
         .count = 1});
  }
}

}  // namespace shootdown::cosim
