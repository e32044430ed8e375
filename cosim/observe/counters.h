// How much of everything happened in a run.
#ifndef SHOOTDOWN_COSIM_OBSERVE_COUNTERS_H
#define SHOOTDOWN_COSIM_OBSERVE_COUNTERS_H

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cosim/observe/event_log.h"
#include "cosim/observe/vocabulary.h"

namespace shootdown::cosim {

enum class CounterKind : std::uint8_t {
  kTlbHits,
  kTlbMisses,
  kTlbHitsWithoutPermission,
  kAccesses,
  kWalks,
  kFills,
  kFillsDropped,
  kInvalidations,
  kEntriesInvalidated,
  kFaults,
  kEventsRecorded,
  kTlbi,
  kDsb,
  kPageFaults,
  kNotifierCalls,
  kFlushes,
  kIpis,
  kPteStores,
  kCommands,
};
inline constexpr std::size_t kCounterKinds = 19;
/// By name, in alphabetical order.
using CounterValues = std::map<std::string, std::uint64_t>;
/// Totals over all actors, by CounterKind.
using Totals = std::array<std::uint64_t, kCounterKinds>;

class Counters : public EventSubscriber {
 public:
  explicit Counters(const EventLog& log) : log_(log) {}
  void on_event(const Event& event) override;
  /// "cpu0.tlb_hits" and the like; commands by their own names.
  CounterValues values() const;
  Totals totals() const;
  void reset();

 private:
  struct OfActor {
    Totals counts{};
    std::vector<std::pair<std::string_view, std::uint64_t>> commands;  // by name
  };
  const EventLog& log_;
  std::vector<OfActor> actors_;
};

/// What of the totals is a cost.
Cost cost_of(const Totals& totals);
/// "3 flushes, 4 TLBIs, ..."
std::string to_string(const Cost& cost);

}  // namespace shootdown::cosim

#endif
