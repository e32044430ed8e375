#include "cosim/observe/event_writer.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

namespace shootdown::cosim {

namespace {

template <class T>
concept HasFields = requires(const T& value) {
  value.fields([](std::string_view, const auto&) {});
};
template <class T>
concept HasName = requires(const T& value) {
  { name_of(value) } -> std::convertible_to<std::string_view>;
};
template <class T>
concept IsStrong = requires(const T& value) {
  typename T::rep;
  value.value;
};
template <class T>
inline constexpr bool kIsOptional = false;
template <class T>
inline constexpr bool kIsOptional<std::optional<T>> = true;
template <class T>
inline constexpr bool kIsAddress =
    std::is_same_v<T, arch::VirtAddr> || std::is_same_v<T, arch::PhysAddr> ||
    std::is_same_v<T, arch::RawWord>;

std::string hex_text(std::uint64_t value) { return fmt::format("{:#x}", value); }

/// Takes the fields of an event and puts them into an object. Structs with fields of their own are
/// laid out flat; what is not there (a hint not given) is left out.
struct JsonFields {
  nlohmann::ordered_json& object;
  bool hex_numbers{};  ///< 64-bit numbers are addresses

  template <class T>
  void operator()(std::string_view name, const T& value) const {
    const std::string key(name);
    if constexpr (kIsOptional<T>) {
      if (value) (*this)(name, *value);
    } else if constexpr (std::is_same_v<T, arch::Invalidation>) {
      value.fields(JsonFields{.object = object, .hex_numbers = true});
    } else if constexpr (HasFields<T>) {
      value.fields(*this);
    } else if constexpr (std::is_same_v<T, arch::vmsa64::Permissions>) {
      object["user_read"] = value.user_read();
      object["user_write"] = value.user_write();
      object["user_execute"] = value.user_execute();
      object["privileged_read"] = value.privileged_read();
      object["privileged_write"] = value.privileged_write();
      object["privileged_execute"] = value.privileged_execute();
    } else if constexpr (std::is_same_v<T, arch::vmsa64::Granule>) {
      object[key] = arch::page_bytes(arch::vmsa64::granule_shift(value));
    } else if constexpr (kIsAddress<T>) {
      object[key] = hex_text(value.value);
    } else if constexpr (IsStrong<T>) {
      object[key] = value.value;
    } else if constexpr (HasName<T>) {
      object[key] = name_of(value);
    } else if constexpr (std::is_same_v<T, const char*>) {
      object[key] = std::string_view(value);
    } else if constexpr (std::is_same_v<T, std::uint64_t>) {
      if (hex_numbers) {
        object[key] = hex_text(value);
      } else {
        object[key] = value;
      }
    } else {
      object[key] = value;
    }
  }
};

/// Whether an event names an address in a range; what it names is as large as `bytes` says.
struct AddressFinder {
  std::uint64_t first{};
  std::uint64_t last{};
  std::uint64_t bytes{1};
  bool& found;

  template <class T>
  void operator()(std::string_view name, const T& value) const {
    if constexpr (kIsOptional<T>) {
      if (value) (*this)(name, *value);
    } else if constexpr (std::is_same_v<T, arch::Invalidation>) {
      using Scope = arch::Invalidation::Scope;
      const bool all = value.scope == Scope::kAll || value.scope == Scope::kAsid;
      found |= all || (value.start <= last && first <= value.last);
    } else if constexpr (HasFields<T>) {
      value.fields(*this);
    } else if constexpr (std::is_same_v<T, arch::VirtAddr> || std::is_same_v<T, arch::PhysAddr>) {
      const std::uint64_t start = value.value & ~(bytes - 1);
      found |= start <= last && first <= start + (bytes - 1);
    }
  }
};

/// How much an address in the event stands for: a page, a block, or the byte itself.
template <class E>
std::uint64_t bytes_named(const E& e) {
  if constexpr (requires { e.page_shift; }) {
    return arch::page_bytes(e.page_shift);
  } else if constexpr (requires { e.order; }) {
    return arch::kPageSize << e.order;
  } else if constexpr (requires { e.va, e.level; }) {
    return arch::page_bytes(arch::vmsa64::level_shift(e.level));
  } else {
    return 1;
  }
}

/// Ranges and blocks touch what lies between their first and last address.
template <class E>
bool touches(const E& e, std::uint64_t first, std::uint64_t last) {
  if constexpr (requires { e.start, e.end; }) {
    // `end` is exclusive; ~0, and an empty range, are everything to whoever is told.
    constexpr std::uint64_t kAll = ~std::uint64_t{0};
    const bool everything = e.end.value == kAll || e.end.value == e.start.value;
    return everything || (e.start.value <= last && first < e.end.value);
  } else {
    bool found = false;
    e.fields(AddressFinder{.first = first, .last = last, .bytes = bytes_named(e), .found = found});
    return found;
  }
}

}  // namespace

std::string to_json_line(const EventLog& log, const Event& event) {
  nlohmann::ordered_json object;
  object["time_ps"] = event.time_ps;
  object["seq"] = event.sequence;
  object["actor"] = log.name(event.actor);
  if (event.thread != kNoThread) object["thread"] = log.name(event.thread);
  object["kind"] = kind_name(event.payload);
  event.payload.visit([&](const auto& payload) { payload.fields(JsonFields{.object = object}); });
  return object.dump();
}

bool EventWriter::wanted(const Event& event) const {
  if (!filter_.actors.empty() && !filter_.actors.contains(event.actor) &&
      !filter_.actors.contains(event.thread)) {
    return false;
  }
  if (!filter_.addresses) return true;
  bool touched = false;
  event.payload.visit([&](const auto& payload) {
    touched = touches(payload, filter_.addresses->first, filter_.addresses->second);
  });
  return touched;
}

void EventWriter::on_event(const Event& event) {
  if (!wanted(event)) return;
  if (!filter_.around_violation) {
    out_ << to_json_line(log_, event) << '\n';
  } else if (!found_) {
    before_.push_back(to_json_line(log_, event));
    if (before_.size() > *filter_.around_violation) before_.pop_front();
  } else if (after_ != 0) {
    --after_;
    out_ << to_json_line(log_, event) << '\n';
  }
}

void EventWriter::violation_found() {
  if (found_ || !filter_.around_violation) return;
  found_ = true;
  after_ = *filter_.around_violation;
  for (const std::string& line : before_) out_ << line << '\n';
  before_.clear();
}

}  // namespace shootdown::cosim
