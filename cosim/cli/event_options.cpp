#include "cosim/cli/event_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "cosim/config/strict_yaml.h"

namespace shootdown::cosim {

namespace {

[[noreturn]] void fail(const char* option, const std::string& problem, const std::string& allowed) {
  throw ConfigError(fmt::format("{}:1:1: {}: {} ({})", option, option + 2, problem, allowed));
}

EventKinds kinds_named(const std::vector<std::string>& names) {
  constexpr auto kNames = Payload::names();
  EventKinds kinds;
  for (const std::string& name : names) {
    const auto found = std::find(kNames.begin(), kNames.end(), name);
    if (found == kNames.end()) {
      fail("--event-kinds", "unknown kind '" + name + "'", "shootdown list events names them");
    }
    kinds.set(static_cast<std::size_t>(found - kNames.begin()));
  }
  return kinds;
}

std::set<ActorId> actors_named(const std::vector<std::string>& names, const EventLog& log) {
  std::set<ActorId> actors;
  for (const std::string& name : names) {
    std::vector<std::string> known;
    const std::size_t before = actors.size();
    for (std::size_t i = 0; i < log.actors().size(); ++i) {
      known.push_back(log.actors()[i].name);
      if (known.back() == name) actors.insert(static_cast<ActorId>(i));
    }
    if (actors.size() == before) {
      const bool twice = std::find(known.begin(), known.end(), name) != known.end();
      fail("--event-actors", (twice ? "names twice '" : "unknown actor '") + name + "'",
           fmt::format("{}", fmt::join(known, ", ")));
    }
  }
  return actors;
}

/// A whole number, decimal or 0x; `_` may stand between digits.
std::optional<std::uint64_t> number(std::string text) {
  std::erase(text, '_');
  const bool hex = text.starts_with("0x");
  if (hex) text.erase(0, 2);
  std::uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, hex ? 16 : 10);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::pair<std::uint64_t, std::uint64_t> range_named(const std::string& text) {
  const auto colon = text.find(':');
  const auto first = number(text.substr(0, colon));
  const auto last = colon == std::string::npos ? first : number(text.substr(colon + 1));
  if (!first || !last) {
    fail("--event-addresses", "is '" + text + "'", "numbers FIRST:LAST, both included, or one");
  }
  if (*first > *last) {
    fail("--event-addresses", "is '" + text + "', which ends before it begins", "FIRST <= LAST");
  }
  return {*first, *last};
}

}  // namespace

EventFilter event_filter(const Options& options, const EventLog& log) {
  EventFilter filter;
  const bool any = !options.event_kinds.empty() || !options.event_actors.empty() ||
                   options.event_addresses || options.event_window;
  if (any && !options.events) {
    fail("--event-kinds", "given without a file for events", "with --events F");
  }
  if (!options.event_kinds.empty()) filter.kinds = kinds_named(options.event_kinds);
  filter.actors = actors_named(options.event_actors, log);
  if (options.event_addresses) filter.addresses = range_named(*options.event_addresses);
  if (options.event_window) filter.around_violation = *options.event_window;
  return filter;
}

}  // namespace shootdown::cosim
