// How much of everything happened in a run.
#ifndef SHOOTDOWN_COSIM_OBSERVE_COUNTERS_H
#define SHOOTDOWN_COSIM_OBSERVE_COUNTERS_H

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cosim/observe/event_log.h"

namespace shootdown::cosim {

class Counters : public EventSubscriber {
 public:
  explicit Counters(const EventLog& log) : log_(log) {}
  void on_event(const Event& event) override;
  /// "cpu0.tlb_hits" and the like, in alphabetical order.
  std::map<std::string, std::uint64_t> values() const;
  void reset();

 private:
  enum Kind : std::uint8_t {
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
    kKinds
  };
  template <class E>
  static constexpr Kind kind_of();
  static const std::array<const char*, kKinds> kNames;
  struct Actor {
    std::array<std::uint64_t, kKinds> counts{};
    std::map<std::uint8_t, std::uint64_t> commands;  ///< by opcode
  };
  const EventLog& log_;
  std::vector<Actor> actors_;
};

}  // namespace shootdown::cosim

#endif
