// Writes the event log as JSON lines: one object an event, fields by name.
#ifndef SHOOTDOWN_COSIM_OBSERVE_EVENT_WRITER_H
#define SHOOTDOWN_COSIM_OBSERVE_EVENT_WRITER_H

#include <ostream>
#include <string>

#include "cosim/observe/event_log.h"

namespace shootdown::cosim {

/// {"time_ps":..,"seq":..,"actor":"smmu0","kind":"tlb_fill",...}; addresses as "0x..." strings.
std::string to_json_line(const EventLog& log, const Event& event);

class EventWriter : public EventSubscriber {
 public:
  EventWriter(const EventLog& log, std::ostream& out) : log_(log), out_(out) {}
  void on_event(const Event& event) override { out_ << to_json_line(log_, event) << '\n'; }

 private:
  const EventLog& log_;
  std::ostream& out_;
};

}  // namespace shootdown::cosim

#endif
