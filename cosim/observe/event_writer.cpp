#include "cosim/observe/event_writer.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace shootdown::cosim {

namespace {

/// Takes the fields of an event and puts them into an object.
struct JsonFields {
  nlohmann::ordered_json& object;
  template <class T>
  void operator()(std::string_view name, const T& value) const {
    const std::string key(name);
    if constexpr (std::is_same_v<T, arch::VirtAddr> || std::is_same_v<T, arch::PhysAddr>) {
      object[key] = fmt::format("{:#x}", value.value);
    } else if constexpr (std::is_same_v<T, arch::Access>) {
      object[key] = value == arch::Access::kWrite ? "write" : "read";
    } else {
      object[key] = value;
    }
  }
};

}  // namespace

std::string to_json_line(const EventLog& log, const Event& event) {
  nlohmann::ordered_json object;
  object["time_ps"] = event.time_ps;
  object["seq"] = event.sequence;
  object["actor"] = log.actor_name(event.actor);
  if (event.thread != kNoThread) object["thread"] = log.thread_name(event.thread);
  object["kind"] = kind_name(event.payload);
  event.payload.visit([&](const auto& payload) { payload.fields(JsonFields{object}); });
  return object.dump();
}

}  // namespace shootdown::cosim
