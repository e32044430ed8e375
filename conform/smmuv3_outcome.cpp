#include "conform/smmuv3_outcome.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "conform/gzip_json.h"
#include "hw/arch/smmuv3_events.h"

namespace shootdown::conform {

namespace smmuv3 = arch::smmuv3;
using Event = std::array<std::uint64_t, 4>;

namespace {

/// The bits of an event that are compared.
Event significant(const Event& event) {
  using namespace smmuv3;  // event fields
  const auto type = static_cast<EventType>(event0::Type::get(event[0]));
  Event result{};
  result[0] = event[0] & (event0::Type::kMask | event0::Ssv::kMask | event0::Sid::kMask);
  if (event0::Ssv::get(event[0]) != 0) result[0] |= event[0] & event0::Ssid::kMask;
  const bool translation = can_stall(type) || type == EventType::kFWalkEabt;
  if (translation) {
    result[1] = event[1] & (event1::Rnw::kMask | event1::S2::kMask | event1::Class::kMask |
                            event1::Stall::kMask);
    result[2] = event[2];
  }
  if (type == EventType::kFWalkEabt || type == EventType::kFSteFetch ||
      type == EventType::kFCdFetch) {
    result[3] = event3::FetchAddr::get(event[3]);
  } else if (event1::S2::get(event[1]) != 0) {
    result[3] = event3::Ipa::get(event[3]);
  }
  return result;
}

/// Whether `event` reports four bytes of a transaction that `first` has reported.
bool is_later_beat(const Event& event, const Event& first) {
  const Event a = significant(event);
  const Event b = significant(first);
  return a[0] == b[0] && a[1] == b[1] && a[2] > b[2] && a[2] >> 12 == b[2] >> 12;
}

std::vector<Event> without_beats(const std::vector<Event>& events) {
  std::vector<Event> result;
  for (const Event& event : events) {
    if (!result.empty() && is_later_beat(event, result.back())) continue;
    result.push_back(event);
  }
  return result;
}

}  // namespace

DmaOutcome read_outcome(const nlohmann::json& observed, const nlohmann::json& step) {
  DmaOutcome outcome;
  outcome.result = observed.at("r").get<std::string>();
  if (outcome.result != "ok" && outcome.result != "abort" && outcome.result != "mixed") {
    throw std::runtime_error("r '" + outcome.result + "' is none of ok, abort, mixed");
  }
  outcome.bypass = observed.value("bypass", 0) == 1;
  if (observed.contains("xl")) {
    for (const auto& pair : observed.at("xl")) {
      outcome.translations.emplace_back(hex_number(pair[0]), hex_number(pair[1]));
    }
  } else if (observed.contains("pa")) {
    outcome.translations.emplace_back(hex_number(step.at("a")), hex_number(observed.at("pa")));
  }
  if (observed.contains("ev")) {
    for (const auto& words : observed.at("ev")) {
      outcome.events.push_back(
          {hex_number(words[0]), hex_number(words[1]), hex_number(words[2]), hex_number(words[3])});
    }
  }
  return outcome;
}

bool same_way(const DmaOutcome& a, const DmaOutcome& b) {
  return a.result == b.result && a.bypass == b.bypass && a.translations == b.translations;
}

bool agrees(const DmaOutcome& model, const DmaOutcome& recorded) {
  if (!same_way(model, recorded)) return false;
  const std::vector<Event> expected = without_beats(recorded.events);
  if (model.events.size() != expected.size()) return false;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (significant(model.events[i]) != significant(expected[i])) return false;
  }
  return true;
}

std::string describe(const DmaOutcome& outcome) {
  std::string text = outcome.result;
  if (outcome.bypass) text += " bypass";
  for (const auto& [input, output] : outcome.translations) {
    text += fmt::format(" {:#x}->{:#x}", input, output);
  }
  for (const Event& event : outcome.events) {
    const auto type = static_cast<smmuv3::EventType>(smmuv3::event0::Type::get(event[0]));
    text += fmt::format(" {} [{:#x} {:#x} {:#x} {:#x}]", name_of(type), event[0], event[1],
                        event[2], event[3]);
  }
  return text;
}

}  // namespace shootdown::conform
