// Writes the event log as JSON lines: one object an event, fields by name.
#ifndef SHOOTDOWN_COSIM_OBSERVE_EVENT_WRITER_H
#define SHOOTDOWN_COSIM_OBSERVE_EVENT_WRITER_H

#include <deque>
#include <optional>
#include <ostream>
#include <set>
#include <string>

#include "cosim/observe/event_log.h"

namespace shootdown::cosim {

/// {"time_ps":..,"seq":..,"actor":"smmu0","kind":"tlb_fill",...}; addresses as "0x..." strings.
std::string to_json_line(const EventLog& log, const Event& event);

/// Which events are written. By default all.
struct EventFilter {
  EventKinds kinds{kAllEvents};
  std::set<ActorId> actors;  ///< hardware or threads; empty: all
  /// Only events that name an address in [first, last]: of an access, a page, a range or an entry.
  std::optional<std::pair<std::uint64_t, std::uint64_t>> addresses;
  /// Only so many events before the first violation, and as many after it.
  std::optional<std::size_t> around_violation;
};

class EventWriter : public EventSubscriber {
 public:
  EventWriter(const EventLog& log, std::ostream& out, EventFilter filter = {})
      : log_(log), out_(out), filter_(std::move(filter)) {}
  EventKinds interests() const override { return filter_.kinds; }
  void on_event(const Event& event) override;
  /// A violation has been found: with a window, this is its middle.
  void violation_found();

 private:
  bool wanted(const Event& event) const;

  const EventLog& log_;
  std::ostream& out_;
  EventFilter filter_;
  std::deque<std::string> before_;  // the last lines, while no violation has been found
  bool found_{};
  std::size_t after_{};  // lines still to be written
};

}  // namespace shootdown::cosim

#endif
