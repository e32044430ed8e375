#include "cosim/observe/counters.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace shootdown::cosim {

namespace {

constexpr std::array<std::string_view, kCounterKinds> kNames{"tlb_hits",
                                                             "tlb_misses",
                                                             "tlb_hits_without_permission",
                                                             "accesses",
                                                             "walks",
                                                             "fills",
                                                             "fills_dropped",
                                                             "invalidations",
                                                             "entries_invalidated",
                                                             "faults",
                                                             "events_recorded",
                                                             "tlbi",
                                                             "dsb",
                                                             "page_faults",
                                                             "notifier_calls",
                                                             "flushes",
                                                             "ipis",
                                                             "pte_stores",
                                                             "commands"};

using enum CounterKind;

/// Adds what an event counts, by overload: most events count nothing.
struct Adder {
  Totals& counts;
  void add(CounterKind kind, std::uint64_t amount = 1) const {
    counts[static_cast<std::size_t>(kind)] += amount;
  }
  void operator()(const hw::TlbLookup& e) const {
    add(e.outcome == hw::LookupOutcome::kHit    ? kTlbHits
        : e.outcome == hw::LookupOutcome::kMiss ? kTlbMisses
                                                : kTlbHitsWithoutPermission);
  }
  void operator()(const hw::TlbFill& e) const { add(e.dropped ? kFillsDropped : kFills); }
  void operator()(const hw::TlbInvalidate& e) const {
    add(kInvalidations);
    add(kEntriesInvalidated, e.removed);
  }
  void operator()(const hw::AccessDone&) const { add(kAccesses); }
  void operator()(const hw::WalkBegin&) const { add(kWalks); }
  void operator()(const hw::TranslationFault&) const { add(kFaults); }
  void operator()(const hw::EventRecorded&) const { add(kEventsRecorded); }
  void operator()(const hw::CommandFetched&) const { add(kCommands); }
  void operator()(const hw::TlbiIssued&) const { add(kTlbi); }
  void operator()(const hw::DsbCompleted&) const { add(kDsb); }
  void operator()(const sw::FaultHandled&) const { add(kPageFaults); }
  void operator()(const sw::NotifierCalled&) const { add(kNotifierCalls); }
  void operator()(const sw::PteStore&) const { add(kPteStores); }
  void operator()(const sw::FlushEnd& e) const { add(kFlushes, e.done ? 1 : 0); }
  void operator()(const sw::IpiSent& e) const {
    add(kIpis, static_cast<std::uint64_t>(std::popcount(e.mask.value)));
  }
  template <class Other>
  void operator()(const Other&) const {}
};

}  // namespace

void Counters::on_event(const Event& event) {
  if (event.actor >= actors_.size()) actors_.resize(log_.actors().size());
  OfActor& actor = actors_[event.actor];
  event.payload.visit(Adder{actor.counts});
  if (const auto* fetched = event.payload.get<hw::CommandFetched>()) {
    const std::string_view name = fetched->command.command;
    const auto known = std::find_if(actor.commands.begin(), actor.commands.end(),
                                    [&](const auto& one) { return one.first == name; });
    if (known != actor.commands.end()) {
      ++known->second;
    } else {
      actor.commands.emplace_back(name, 1);
    }
  }
}

CounterValues Counters::values() const {
  CounterValues result;
  for (std::size_t i = 0; i < actors_.size(); ++i) {
    const std::string prefix = log_.name(static_cast<ActorId>(i)) + ".";
    for (std::size_t kind = 0; kind < kCounterKinds; ++kind) {
      // Commands stand there by their own names.
      if (actors_[i].counts[kind] == 0 || kind == static_cast<std::size_t>(kCommands)) continue;
      result[prefix + std::string(kNames[kind])] = actors_[i].counts[kind];
    }
    for (const auto& [name, count] : actors_[i].commands) {
      result[prefix + std::string(name)] += count;
    }
  }
  return result;
}

Totals Counters::totals() const {
  Totals totals{};
  for (const OfActor& actor : actors_) {
    for (std::size_t kind = 0; kind < kCounterKinds; ++kind) totals[kind] += actor.counts[kind];
  }
  return totals;
}

void Counters::reset() { actors_.clear(); }

Cost cost_of(const Totals& totals) {
  const auto total = [&](CounterKind kind) { return totals[static_cast<std::size_t>(kind)]; };
  return {total(kFlushes), total(kTlbi), total(kIpis), total(kCommands),
          total(kEntriesInvalidated)};
}

std::string to_string(const Cost& cost) {
  return fmt::format("{} flushes, {} TLBIs, {} IPIs, {} IOMMU commands, {} translations dropped",
                     cost[0], cost[1], cost[2], cost[3], cost[4]);
}

}  // namespace shootdown::cosim
