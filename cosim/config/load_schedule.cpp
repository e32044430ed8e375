#include "cosim/config/load_schedule.h"

#include <fmt/format.h>

#include <algorithm>

#include "cosim/config/spelling.h"
#include "sw/kernel/functions.h"

namespace shootdown::cosim {

std::string to_string(const SchedulePoint& point) {
  const std::string nth = point.nth == 1 ? "" : fmt::format(" (time {})", point.nth);
  switch (point.kind) {
    case SchedulePoint::Kind::kEnter:
      return point.actor + ": enter " + point.name + nth;
    case SchedulePoint::Kind::kExit:
      return point.actor + ": exit " + point.name + nth;
    case SchedulePoint::Kind::kEvent:
      return point.actor + ": " + point.name + nth;
    case SchedulePoint::Kind::kSignal:
      return "signal " + point.name;
  }
  return {};
}

namespace {

/// Whoever can be named: threads of the configuration and of the kernel, and hardware.
std::vector<std::string> actors_of(const Config& config) {
  std::vector<std::string> actors;
  for (const CpuThread& thread : config.cpu_threads) actors.push_back(thread.name);
  for (const DeviceThread& thread : config.device_threads) {
    const DeviceConfig& device = config.devices[thread.device];
    actors.push_back(device.name);
    if (device.dma.atc) actors.push_back(device.name + ".atc");
  }
  for (unsigned cpu = 0; cpu < config.hardware.cpus; ++cpu) {
    actors.push_back(fmt::format("cpu{}", cpu));
  }
  for (const char* kernel : {"smmu0", "iopf", "evtq"}) actors.emplace_back(kernel);
  return actors;
}

void read_actor(const YamlValue& value, const Config& config, SchedulePoint& point) {
  const std::vector<std::string> actors = actors_of(config);
  point.actor = actors[value.word(actors)];
}

/// A function that nobody traces would never be entered, and the order never tried.
void check_function(const YamlValue& value, const std::string& name) {
  const auto known = sw::traced_functions();
  if (std::find(known.begin(), known.end(), name) != known.end()) return;
  value.fail("unknown function '" + name + "'",
             "nearest: " + join(nearest_words(name, known, 3), ", ") +
                 "; shootdown list functions has all");
}

/// `enter FUNCTION`, `exit FUNCTION`, or the name of an event.
void read_point(const YamlValue& value, const std::vector<std::string>& event_kinds,
                SchedulePoint& point) {
  const std::string text = value.text();
  const auto space = text.find(' ');
  const std::string first = text.substr(0, space);
  if (space != std::string::npos && (first == "enter" || first == "exit")) {
    point.kind = first == "enter" ? SchedulePoint::Kind::kEnter : SchedulePoint::Kind::kExit;
    point.name = text.substr(space + 1);
    if (!point.name.empty()) {
      check_function(value, point.name);
      return;
    }
  } else {
    point.kind = SchedulePoint::Kind::kEvent;
    point.name = text;
    const bool known = event_kinds.empty() ||
                       std::find(event_kinds.begin(), event_kinds.end(), text) != event_kinds.end();
    if (known) return;
  }
  value.fail("is '" + text + "'",
             "'enter FUNCTION', 'exit FUNCTION', or an event: " + join(event_kinds, ", "));
}

SchedulePoint read_until(const YamlValue& value, const std::vector<std::string>& event_kinds,
                         const Config& config) {
  YamlMap map(value);
  SchedulePoint point;
  map.read("nth", point.nth, 1, 1'000'000);
  bool found = false;
  for (const auto& [key, what] : map.entries()) {
    if (key.text() == "nth") continue;
    if (found) key.fail("a second point", "one point: {ACTOR: POINT} or {signal: NAME}");
    found = true;
    if (key.text() == "signal") {
      point.kind = SchedulePoint::Kind::kSignal;
      point.name = config.signals.empty() ? what.text() : config.signals[what.word(config.signals)];
      if (config.signals.empty()) what.fail("nobody raises it", "some thread has to raise it");
    } else {
      read_actor(key, config, point);
      read_point(what, event_kinds, point);
    }
  }
  if (!found) value.fail("names no point", "{ACTOR: POINT} or {signal: NAME}");
  return point;
}

}  // namespace

void read_schedule(const YamlValue& value, const std::vector<std::string>& event_kinds,
                   Config& config) {
  for (const YamlValue& element : value.elements()) {
    YamlMap map(element);
    Hold hold;
    read_actor(map.require("hold"), config, hold.at);
    read_point(map.require("at"), event_kinds, hold.at);
    map.read("nth", hold.at.nth, 1, 1'000'000);
    const YamlValue until = map.require("until");
    hold.until = read_until(until, event_kinds, config);
    const bool thread = std::any_of(config.cpu_threads.begin(), config.cpu_threads.end(),
                                    [&](const CpuThread& t) { return t.name == hold.at.actor; });
    if (thread && hold.until.actor == hold.at.actor) {
      until.fail("is a point of the thread that is held", "a point of another one");
    }
    map.read("at_most_cycles", hold.at_most_cycles, 1, 1'000'000'000);
    map.finish();
    config.schedule.push_back(std::move(hold));
  }
  if (!config.schedule.empty() && config.hardware.quantum_cycles != 0) {
    value.fail("given with hardware.quantum_cycles, with which the order of things is not exact",
               "quantum_cycles: 0");
  }
}

}  // namespace shootdown::cosim
