#include "cosim/observe/counters.h"

#include <bit>

#include "hw/arch/smmuv3_commands.h"

namespace shootdown::cosim {

const std::array<const char*, Counters::kKinds> Counters::kNames{"tlb_hits",
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
                                                                 "pte_stores"};

/// The counter of an event that is simply counted; kKinds if it is not.
template <class E>
constexpr Counters::Kind Counters::kind_of() {
  if (std::is_same_v<E, hw::AccessDone>) return kAccesses;
  if (std::is_same_v<E, hw::WalkBegin>) return kWalks;
  if (std::is_same_v<E, hw::TranslationFault>) return kFaults;
  if (std::is_same_v<E, hw::EventRecorded>) return kEventsRecorded;
  if (std::is_same_v<E, hw::TlbiIssued>) return kTlbi;
  if (std::is_same_v<E, hw::DsbCompleted>) return kDsb;
  if (std::is_same_v<E, sw::FaultHandled>) return kPageFaults;
  if (std::is_same_v<E, sw::NotifierCalled>) return kNotifierCalls;
  if (std::is_same_v<E, sw::PteStore>) return kPteStores;
  return kKinds;
}

void Counters::on_event(const Event& event) {
  if (event.actor >= actors_.size()) actors_.resize(log_.actors().size());
  Actor& actor = actors_[event.actor];
  const auto add = [&](Kind kind, std::uint64_t amount = 1) { actor.counts[kind] += amount; };
  event.payload.visit([&](const auto& e) {
    using E = std::decay_t<decltype(e)>;
    if constexpr (std::is_same_v<E, hw::TlbLookup>) {
      add(e.outcome == hw::LookupOutcome::kHit    ? kTlbHits
          : e.outcome == hw::LookupOutcome::kMiss ? kTlbMisses
                                                  : kTlbHitsWithoutPermission);
    } else if constexpr (std::is_same_v<E, hw::TlbFill>) {
      add(e.dropped ? kFillsDropped : kFills);
    } else if constexpr (std::is_same_v<E, hw::TlbInvalidate>) {
      add(kInvalidations);
      add(kEntriesInvalidated, e.removed);
    } else if constexpr (std::is_same_v<E, sw::FlushEnd>) {
      add(kFlushes, e.done ? 1 : 0);
    } else if constexpr (std::is_same_v<E, sw::IpiSent>) {
      add(kIpis, static_cast<std::uint64_t>(std::popcount(e.mask)));
    } else if constexpr (std::is_same_v<E, hw::CommandFetched>) {
      ++actor.commands[static_cast<std::uint8_t>(arch::smmuv3::opcode_of(e.command))];
    } else if constexpr (kind_of<E>() != kKinds) {
      add(kind_of<E>());
    }
  });
}

std::map<std::string, std::uint64_t> Counters::values() const {
  std::map<std::string, std::uint64_t> result;
  for (std::size_t i = 0; i < actors_.size(); ++i) {
    const std::string prefix = log_.actor_name(static_cast<ActorId>(i)) + ".";
    for (std::size_t kind = 0; kind < kKinds; ++kind) {
      if (actors_[i].counts[kind] != 0) result[prefix + kNames[kind]] = actors_[i].counts[kind];
    }
    for (const auto& [opcode, count] : actors_[i].commands) {
      const auto name = name_of(static_cast<arch::smmuv3::Opcode>(opcode));
      result[prefix + std::string(name)] += count;
    }
  }
  return result;
}

void Counters::reset() { actors_.clear(); }

}  // namespace shootdown::cosim
