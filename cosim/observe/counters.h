// How much of everything happened in a run.
#ifndef SHOOTDOWN_COSIM_OBSERVE_COUNTERS_H
#define SHOOTDOWN_COSIM_OBSERVE_COUNTERS_H

#include <cstdint>
#include <map>
#include <string>

#include "cosim/observe/event_log.h"

namespace shootdown::cosim {

class Counters : public EventSubscriber {
 public:
  explicit Counters(const EventLog& log) : log_(log) {}
  void on_event(const Event& event) override;
  /// "cpu0.tlb_hits" and the like, in alphabetical order.
  std::map<std::string, std::uint64_t> values() const;
  void reset() { counts_.clear(); }

 private:
  void count(ActorId actor, const char* what) { ++counts_[{actor, what}]; }
  const EventLog& log_;
  std::map<std::pair<ActorId, std::string_view>, std::uint64_t> counts_;
};

}  // namespace shootdown::cosim

#endif
