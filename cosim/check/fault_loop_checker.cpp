#include "cosim/check/fault_loop_checker.h"

#include <fmt/format.h>

#include "cosim/observe/format.h"

namespace shootdown::cosim {

namespace {
const char* verb(arch::Access access) { return access == arch::Access::kWrite ? "write" : "read"; }
std::string fault_text(const hw::TranslationFault& fault) {
  const bool cached = fault.source != hw::TranslationSource::kWalk;
  std::string text = fmt::format("{} of {}{}: {}", verb(fault.access), hex(fault.va),
                                 cached ? " meets the cached entry" : "", name_of(fault.type));
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
    const auto found =
        loops_.find({actor_name(event.actor), arch::page_of(retry.va).value, access});
    if (found == loops_.end() || found->second.faults < 2 || found->second.faults >= threshold_) {
      continue;
    }
    const Loop loop = found->second;
    Event last = event;
    last.actor = loop.actor;
    if (const auto mm = mm_of(loop.actor, loop.first)) report(last, loop.first, loop, *mm);
  }
}

void FaultLoopChecker::on_done(const Event& event, const hw::AccessDone& done) {
  if (loops_.empty() || done.bytes == 0) return;
  loops_.erase(
      {requester_name(event.actor, done.requester), arch::page_of(done.va).value, done.access});
}

std::optional<unsigned> FaultLoopChecker::mm_of(ActorId actor,
                                                const hw::TranslationFault& fault) const {
  const Binding* binding = history_.binding(fault.requester.stream_id);
  if (binding != nullptr && !history_.is_cpu(actor)) return binding->mm;
  return history_.mm_of(actor, fault.requester.asid);
}

void FaultLoopChecker::on_fault(const Event& event, const hw::TranslationFault& fault) {
  const std::optional<unsigned> mm = mm_of(event.actor, fault);
  if (!mm) return;
  const Key key{requester_name(event.actor, fault.requester), arch::page_of(fault.va).value,
                fault.access};
  if (!history_.tables().leaf(*mm, fault.va).permits(fault.access)) {
    loops_.erase(key);
    refused_[key] = {.time_ps = event.time_ps,
                     .happened = true,
                     .actor = actor_name(event.actor),
                     .text = fault_text(fault),
                     .note = ""};
    return;
  }
  // While the flush is under way, or owed by an open gather, the old translation may still be used.
  if (history_.flush_in_progress(*mm, fault.va) || history_.flush_pending(*mm)) return;
  Loop& loop = loops_[key];
  if (loop.faults++ == 0) {
    loop.first_ps = event.time_ps;
    loop.actor = event.actor;
    loop.first = fault;
  }
  loop.last_ps = event.time_ps;
  if (loop.faults == threshold_) report(event, fault, loop, *mm);
}

StaleEntry FaultLoopChecker::stale_entry(ActorId actor, const hw::Requester& requester,
                                         arch::VirtAddr va, unsigned mm) const {
  StaleEntry stale{.where = where_of(history_, actor),
                   .tlb = actor,
                   .requester = requester,
                   .mm = mm,
                   .va = va,
                   .entry = nullptr,
                   .store = nullptr,
                   .freed = {}};
  if (const Binding* binding = history_.binding(requester.stream_id);
      binding != nullptr && stale.where != StaleEntry::Where::kCpu) {
    stale.requester.asid = binding->asid;
  }
  stale.entry = history_.cached(actor, va, stale.requester.asid);
  for (const StoreRecord* store : history_.tables().stores(mm, va)) {
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

const StoreRecord* FaultLoopChecker::permitted_since(const StaleEntry& stale,
                                                     arch::Access access) const {
  const StoreRecord* since = nullptr;
  for (const StoreRecord* store : history_.tables().stores(stale.mm, stale.va)) {
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
                              const Loop& loop, unsigned mm) {
  const std::string requester = requester_name(event.actor, fault.requester);
  StaleEntry stale = stale_entry(event.actor, fault.requester, fault.va, mm);
  if (const StoreRecord* unlinked = fault.source != hw::TranslationSource::kWalk
                                        ? nullptr
                                        : history_.unlinked_table(event.actor, fault.access_id)) {
    // It walks, by a walk cache, where nothing is to be found any more.
    stale.entry = nullptr;
    stale.store = unlinked;
    stale.from_unlinked_table = true;
  }
  const MissingHop missing = find_missing_hop(history_, stale);
  Violation violation{.kind = "fault-loop",
                      .time_ps = loop.first_ps,
                      .actor = requester,
                      .address = fault.va,
                      .headline = "",
                      .missing_hop = missing.hop,
                      .hop_text = missing.text,
                      .chain = build_chain(history_, stale, missing),
                      .count = loop.faults};
  violation.headline =
      fmt::format("{} {}s {}: {} faults in {}", requester, verb(fault.access), hex(fault.va),
                  loop.faults, microseconds(loop.last_ps - loop.first_ps));
  if (const StoreRecord* since = permitted_since(stale, fault.access)) {
    violation.headline += fmt::format(", although the entry permits the {} since {}",
                                      verb(fault.access), microseconds(since->at.time_ps));
  }
  const Key key{requester, arch::page_of(fault.va).value, fault.access};
  if (const auto refused = refused_.find(key); refused != refused_.end() &&
                                               stale.store != nullptr &&
                                               refused->second.time_ps <= stale.store->at.time_ps) {
    const std::ptrdiff_t after_fill = stale.entry != nullptr ? 1 : 0;
    violation.chain.insert(violation.chain.begin() + after_fill, refused->second);
  }
  const auto fault_line = [&](std::uint64_t at, const std::string& text) {
    violation.chain.push_back({.time_ps = at,
                               .happened = true,
                               .actor = actor_name(event.actor),
                               .text = text,
                               .note = ""});
  };
  fault_line(loop.first_ps, fault_text(loop.first));
  if (loop.faults > 1) {
    fault_line(loop.last_ps,
               fmt::format("... {} more rounds, one each {}", loop.faults - 1,
                           microseconds((loop.last_ps - loop.first_ps) / (loop.faults - 1))));
  }
  findings_.report(std::move(violation));
  findings_.stop_run();
}

void FaultLoopChecker::on_policy(const Event& event, const hw::PermissionPolicy& policy) {
  if (!policy.rewalk) return;
  // An x86 CPU may be relied on to walk again: there the kernel owes no flush of an upgrade.
  if (history_.is_cpu(event.actor) && history_.tables().format() == arch::TableFormat::kX86_64)
    return;
  const auto mm = history_.mm_of(event.actor, policy.requester.asid);
  if (!mm || !history_.tables().leaf(*mm, policy.va).permits(policy.access)) return;
  const StaleEntry stale = stale_entry(event.actor, policy.requester, policy.va, *mm);
  if (stale.store == nullptr) return;
  const MissingHop missing = find_missing_hop(history_, stale);
  findings_.note(
      {.kind = "hidden-fault-loop",
       .text = fmt::format(
           "{} met an entry that has been stale since {} and walked again (hit_without_permission: "
           "rewalk); with `fault` it would fault for ever. Missing hop: {} ({})",
           requester_name(event.actor, policy.requester), microseconds(stale.store->at.time_ps),
           missing.hop, missing.text)});
}

}  // namespace shootdown::cosim
