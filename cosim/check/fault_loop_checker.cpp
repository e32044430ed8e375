#include "cosim/check/fault_loop_checker.h"

#include <fmt/format.h>

#include "cosim/observe/format.h"

namespace shootdown::cosim {

namespace {

std::string fault_text(const hw::TranslationFault& fault) {
  const bool cached = fault.source != hw::TranslationSource::kWalk;
  std::string text = fmt::format("{} of {}{}: {}", name_of(fault.access), hex(fault.va),
                                 cached ? " meets the cached entry" : "", fault.text);
  if (fault.stalled) text += fmt::format(", stalled as STAG {}", fault.stag);
  return text;
}

}  // namespace

void FaultLoopChecker::on_event(const Event& event) {
  if (const auto* fault = event.payload.get<hw::TranslationFault>()) {
    on_fault(event, *fault);
  } else if (const auto* done = event.payload.get<hw::AccessDone>()) {
    on_done(event, *done);
  } else if (const auto* policy = event.payload.get<hw::PermissionPolicy>()) {
    on_policy(event, *policy);
  } else if (const auto* retry = event.payload.get<hw::DeviceRetry>()) {
    if (retry->gave_up) on_given_up(event, *retry);
  }
}

void FaultLoopChecker::on_given_up(const Event& event, const hw::DeviceRetry& retry) {
  // A device that has lost patience was in a loop all the same.
  for (const arch::Access access : {arch::Access::kRead, arch::Access::kWrite}) {
    const auto found = loops_.find({event.actor, arch::page_of(retry.va).value, access});
    if (found == loops_.end() || found->second.faults < 2 || found->second.faults >= threshold_) {
      continue;
    }
    const Loop loop = found->second;
    const ActorId actor = loop.began.actor;
    if (const auto mm = mm_of(actor, loop.first)) {
      report(event, loop.first, loop,
             cause_of(actor, loop.first, *mm, loop.entry ? &*loop.entry : nullptr));
    }
  }
}

void FaultLoopChecker::on_done(const Event& event, const hw::AccessDone& done) {
  if (loops_.empty() || done.bytes == 0) return;
  loops_.erase(
      {ledger_.requester(event.actor, done.requester), arch::page_of(done.va).value, done.access});
}

std::optional<arch::MmId> FaultLoopChecker::mm_of(ActorId actor,
                                                  const hw::TranslationFault& fault) const {
  const Binding* binding = ledger_.spaces().binding(actor, fault.requester.stream_id);
  return binding != nullptr ? binding->mm : ledger_.spaces().mm_of(actor, fault.requester.asid);
}

void FaultLoopChecker::on_fault(const Event& event, const hw::TranslationFault& fault) {
  const std::optional<arch::MmId> mm = mm_of(event.actor, fault);
  if (!mm) return;
  // A process that has let go of its devices refuses them on purpose.
  const bool device = where_of(ledger_, event.actor) != StaleEntry::Where::kCpu;
  if (device && ledger_.spaces().is_released(*mm)) return;
  const Key key{ledger_.requester(event.actor, fault.requester), arch::page_of(fault.va).value,
                fault.access};
  if (!ledger_.tables().leaf(*mm, fault.va).permits(fault.access)) {
    loops_.erase(key);
    refused_[key] = {.at = stamp_of(event), .text = fault_text(fault)};
    return;
  }
  // While the flush is under way, or owed by whoever made the entry stale, the old translation may
  // still be used. What others owe in the same address space is no excuse.
  if (ledger_.flush_in_progress(*mm, fault.va)) return;
  const StaleEntry stale = cause_of(event.actor, fault, *mm, nullptr);
  const Maintenance& maintenance = ledger_.maintenance();
  const bool owed = stale.store != nullptr ? maintenance.flush_owed(*mm, stale.store->at)
                                           : maintenance.flush_pending(*mm);
  if (owed) return;
  Loop& loop = loops_[key];
  if (loop.faults++ == 0) {
    loop.began = stamp_of(event);
    loop.first = fault;
  }
  loop.last = stamp_of(event);
  if (stale.entry != nullptr) loop.entry = *stale.entry;
  if (loop.faults == threshold_) report(event, fault, loop, stale);
}

StaleEntry FaultLoopChecker::cause_of(ActorId actor, const hw::TranslationFault& fault,
                                      arch::MmId mm, const CachedEntry* met) const {
  StaleEntry stale = lacking_entry(actor, fault.requester, fault.va, mm, met);
  if (fault.source != hw::TranslationSource::kWalk) return stale;
  if (const StoreRecord* unlinked = ledger_.cached().unlinked_table(actor, fault.access_id)) {
    // It walks, by a walk cache, where nothing is to be found any more.
    stale.entry = nullptr;
    stale.store = unlinked;
    stale.from_unlinked_table = true;
  }
  return stale;
}

StaleEntry FaultLoopChecker::lacking_entry(ActorId actor, const hw::Requester& requester,
                                           arch::VirtAddr va, arch::MmId mm,
                                           const CachedEntry* met) const {
  StaleEntry stale;
  stale.where = where_of(ledger_, actor);
  stale.tlb = actor;
  stale.requester = requester;
  stale.mm = mm;
  stale.va = va;
  if (const Binding* binding = ledger_.spaces().binding(actor, requester.stream_id)) {
    stale.requester.asid = binding->asid;
  }
  stale.entry = ledger_.cached().cached(actor, va, stale.requester.asid);
  if (stale.entry == nullptr) stale.entry = met;
  for (const StoreRecord* store : ledger_.tables().stores(mm, va)) {
    if (stale.entry != nullptr && store->at.sequence <= stale.entry->read.at.sequence) continue;
    // The first store that changes what hardware sees is the one whose flush was due.
    const PageTables::Leaf before{.entry = store->before, .level = store->level};
    const PageTables::Leaf after{.entry = store->after, .level = store->level};
    if (before.permits(arch::Access::kWrite) == after.permits(arch::Access::kWrite) &&
        before.permits(arch::Access::kRead) == after.permits(arch::Access::kRead) &&
        before.output(va) == after.output(va)) {
      continue;
    }
    stale.store = store;
    break;
  }
  return stale;
}

const StoreRecord* FaultLoopChecker::permitted_since(const StaleEntry& stale, arch::Access access,
                                                     std::uint64_t sequence) const {
  const StoreRecord* since = nullptr;
  for (const StoreRecord* store : ledger_.tables().stores(stale.mm, stale.va)) {
    if (store->at.sequence > sequence) break;
    const bool permits =
        PageTables::Leaf{.entry = store->after, .level = store->level}.permits(access);
    if (!permits) {
      since = nullptr;
    } else if (since == nullptr) {
      since = store;
    }
  }
  return since;
}

void FaultLoopChecker::report(const Event& event, const hw::TranslationFault& fault,
                              const Loop& loop, const StaleEntry& stale) {
  const ActorId requester = ledger_.requester(loop.began.actor, fault.requester);
  const MissingHop missing = find_missing_hop(ledger_, stale);
  const std::uint64_t lasted_ps = loop.last.time_ps - loop.began.time_ps;
  std::string headline =
      fmt::format("{} {}s {}: {} faults in {}", name(requester), name_of(fault.access),
                  hex(fault.va), loop.faults, microseconds(lasted_ps));
  const StoreRecord* since = permitted_since(stale, fault.access, loop.began.sequence);
  if (since != nullptr) {
    headline += fmt::format(", although the entry permits the {} since {}", name_of(fault.access),
                            microseconds(since->at.time_ps));
  }
  Chain story = build_chain(ledger_, stale, missing);
  const auto refused = refused_.find({requester, arch::page_of(fault.va).value, fault.access});
  if (refused != refused_.end() && stale.store != nullptr &&
      refused->second.at.sequence <= stale.store->at.sequence) {
    Chain first = chain();
    first.add(ChainRole::kFault, refused->second.at, refused->second.text);
    story.items().insert(story.items().begin() + (stale.entry != nullptr ? 1 : 0),
                         first.items().front());
  }
  if (since != nullptr && stale.store != nullptr && since->at.sequence > stale.store->at.sequence) {
    story.add(ChainRole::kStore, since->at, store_text(*since),
              fmt::format("permits the {} from here on", name_of(fault.access)));
    story.sort_by_time();
  }
  story.add(ChainRole::kFault, loop.began, fault_text(loop.first));
  if (loop.faults > 1) {
    story.add(ChainRole::kFault, loop.last,
              fmt::format("... {} more rounds, one each {}", loop.faults - 1,
                          microseconds(lasted_ps / (loop.faults - 1))));
  }
  findings_.report({.kind = ViolationKind::kFaultLoop,
                    .missing_hop = missing.hop,
                    .sequence = event.sequence,
                    .time_ps = event.time_ps,
                    .actor = requester,
                    .actor_name = name(requester),
                    .address = fault.va,
                    .headline = std::move(headline),
                    .hop_text = missing.text,
                    .chain = std::move(story.items()),
                    .count = loop.faults});
  findings_.stop_run();
}

void FaultLoopChecker::on_policy(const Event& event, const hw::PermissionPolicy& policy) {
  if (!policy.rewalk || findings_.noted(NoteKind::kHiddenFaultLoop)) return;
  // An x86 CPU may be relied on to walk again: there the kernel owes no flush of an upgrade.
  if (where_of(ledger_, event.actor) == StaleEntry::Where::kCpu &&
      ledger_.tables().format() == arch::TableFormat::kX86_64)
    return;
  const auto mm = ledger_.spaces().mm_of(event.actor, policy.requester.asid);
  if (!mm || !ledger_.tables().leaf(*mm, policy.va).permits(policy.access)) return;
  const StaleEntry stale = lacking_entry(event.actor, policy.requester, policy.va, *mm, nullptr);
  if (stale.store == nullptr) return;
  const MissingHop missing = find_missing_hop(ledger_, stale);
  findings_.note(
      {.kind = NoteKind::kHiddenFaultLoop,
       .text = fmt::format(
           "{} met an entry that has been stale since {} and walked again (hit_without_permission: "
           "rewalk); with `fault` it would fault until something else flushes. Missing hop: {} "
           "({})",
           name(ledger_.requester(event.actor, policy.requester)),
           microseconds(stale.store->at.time_ps), name_of(missing.hop), missing.text)});
}

}  // namespace shootdown::cosim
