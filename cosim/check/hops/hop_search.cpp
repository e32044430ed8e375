#include "cosim/check/hops/hop_search.h"

#include <fmt/format.h>

#include <algorithm>

namespace shootdown::cosim {

namespace {

/// The flush that owes the invalidation: the one that was to be over, else the first that its
/// thread began, else the first that has ended, else the first. A flush under way is not taken for
/// one that has returned.
FlushInStay choose_due(const HopSearch& search) {
  const StaleEntry& stale = search.stale;
  if (stale.store == nullptr) return {};
  FlushInStay own;
  FlushInStay ended;
  FlushInStay any;
  for (const FlushInStay& one : stale.store->flushes) {
    const FlushRecord& flush = *one.flush;
    if (flush.idle) continue;
    if (!search.covers(flush.start, flush.limit)) continue;
    if (stale.due == one.flush.get()) return one;
    const bool same_thread = flush.begin.thread == stale.store->at.thread;
    if (same_thread && !own.flush) own = one;
    if (flush.end && !ended.flush) ended = one;
    if (!any.flush) any = one;
  }
  if (own.flush) return own;
  return ended.flush ? ended : any;
}

}  // namespace

HopSearch::HopSearch(const Ledger& of, const StaleEntry& what)
    : ledger(of),
      stale(what),
      first(what.first()),
      last(what.last()),
      since(what.store != nullptr ? what.store->at.sequence : 0),
      result{.hop = Hop::kUnknown, .text = {}, .items = Chain(of.log())} {
  const FlushInStay chosen = choose_due(*this);
  due = chosen.flush.get();
  // The store keeps both, and lives as long as the event.
  if (chosen.stay) stays.push_back(chosen.stay.get());
  if (what.store != nullptr && what.store->stay && what.store->stay != chosen.stay) {
    stays.push_back(what.store->stay.get());
  }
  if (due == nullptr) return;
  for (const auto& flush : chosen.stay->flushes) {
    if (due->end && flush->begin.sequence > due->end.sequence) {
      next_flush = std::min(next_flush, flush->begin.sequence);
    }
  }
}

void HopSearch::kept_by_hardware(unsigned removed) {
  missing(Hop::kHardware, "every hop was made; the TLB kept the entry or took it back",
          ChainRole::kEffect, stale.tlb,
          fmt::format("effect in this TLB ({} entries removed)", removed));
}

void HopSearch::nobody_flushed() {
  const std::string_view until = stale.freed ? " before the frame was freed" : "";
  missing(Hop::kFlush, fmt::format("nobody flushed after the entry changed{}", until),
          ChainRole::kFlush, store_actor(),
          fmt::format("no flush function was called for {}{}", page(), until));
}

std::string HopSearch::flush_function() const {
  return due == nullptr ? std::string() : std::string(ledger.stacks().innermost(due->path));
}

const arch::MaintenanceWords& HopSearch::words() const {
  static constexpr arch::MaintenanceWords kOfNoMmu;
  const ActorId mmu = ledger.log().mmu_of(stale.tlb);
  return mmu == kNoActor ? kOfNoMmu : ledger.log().actor(mmu).words;
}

std::string range_text(arch::VirtAddr start, arch::VirtAddr limit) {
  return limit.value == ~std::uint64_t{0} ? hex(start) + " to the end"
                                          : hex(start) + " to " + hex(limit);
}

}  // namespace shootdown::cosim
