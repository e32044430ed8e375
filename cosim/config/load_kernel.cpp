#include "cosim/config/load_kernel.h"

#include <fmt/format.h>

#include <set>
#include <utility>
#include <vector>

namespace shootdown::cosim {

namespace {

std::string known_releases() {
  std::vector<std::string> names;
  for (const sw::Release& release : sw::kernel_releases()) names.push_back(to_string(release));
  return join(names, ", ");
}

std::string known_changes() {
  std::vector<std::string> names;
  for (const sw::KernelChange& change : sw::kernel_changes()) names.emplace_back(change.hash);
  return join(names, ", ");
}

const sw::KernelChange* read_change(const YamlValue& value, const std::string& text) {
  const sw::KernelChange* change = sw::find_change(text);
  if (change == nullptr) value.fail("unknown change '" + text + "'", known_changes());
  return change;
}

/// Only what the release has can be reverted, only what it has not can be applied, and once.
void check_switched(const YamlValue& value, const sw::KernelVersion& kernel) {
  std::set<const sw::KernelChange*> seen;
  const auto check = [&](const sw::KernelChange* change, bool revert) {
    if (!seen.insert(change).second) {
      value.fail(fmt::format("names change {} twice", change->hash), "each once");
    }
    const bool has = kernel.base >= change->first_release;
    if (has != revert) {
      value.fail(fmt::format("{} change {}, which {} {} {}", revert ? "reverts" : "applies",
                             change->hash, to_string(kernel.base), has ? "has" : "does not have",
                             has ? "already" : "yet"),
                 fmt::format("it came with {}", to_string(change->first_release)));
    }
  };
  for (const sw::KernelChange* change : kernel.revert) check(change, true);
  for (const sw::KernelChange* change : kernel.apply) check(change, false);
}

}  // namespace

sw::Release read_release(const YamlValue& value, const std::string& text) {
  const auto release = sw::parse_release(text);
  if (!release) {
    value.fail("unknown kernel '" + text + "'",
               known_releases() + "; later changes by {base: ..., apply: [...]}");
  }
  return *release;
}

sw::KernelVersion read_kernel(const YamlValue& value) {
  sw::KernelVersion kernel;
  if (!value.is_map()) {
    kernel.base = read_release(value, value.text());
    return kernel;
  }
  YamlMap map(value);
  const YamlValue base = map.require("base");
  kernel.base = read_release(base, base.text());
  const auto changes = [&](const char* key, std::vector<const sw::KernelChange*>& list) {
    const auto found = map.find(key);
    if (!found) return;
    for (const YamlValue& element : found->elements()) {
      list.push_back(read_change(element, element.text()));
    }
  };
  changes("revert", kernel.revert);
  changes("apply", kernel.apply);
  map.finish();
  check_switched(value, kernel);
  for (const sw::KernelChange& change : sw::kernel_changes()) {
    if (change.needs.empty() || !kernel.has(change)) continue;
    if (kernel.has(*sw::find_change(change.needs))) continue;
    value.fail(fmt::format("has change {} without {}, which it needs", change.hash, change.needs),
               fmt::format("apply {} too, or neither", change.needs));
  }
  return kernel;
}

KernelCondition read_condition(const YamlValue& value) {
  using Kind = KernelCondition::Kind;
  const std::string text = value.text();
  // Longest first: "<=" before "<".
  static const std::vector<std::pair<std::string, Kind>> kForms{
      {"<=", Kind::kLessEqual}, {">=", Kind::kGreaterEqual}, {"==", Kind::kEqual},
      {"<", Kind::kLess},       {">", Kind::kGreater},       {"without ", Kind::kWithout},
      {"with ", Kind::kWith}};
  KernelCondition condition{.kind = Kind::kEqual, .release = {}, .change = nullptr};
  if (text == "any") {
    condition.kind = Kind::kAny;
    return condition;
  }
  std::string rest = text;
  for (const auto& [prefix, kind] : kForms) {
    if (!text.starts_with(prefix)) continue;
    condition.kind = kind;
    rest = text.substr(prefix.size());
    break;
  }
  rest.erase(0, rest.find_first_not_of(' '));
  if (condition.kind == Kind::kWith || condition.kind == Kind::kWithout) {
    condition.change = read_change(value, rest);
  } else {
    const auto release = sw::parse_release(rest);
    if (!release) {
      value.fail("is '" + text + "'",
                 "a release, one of < <= == >= > and a release, 'with HASH', 'without HASH' or "
                 "any; releases: " +
                     known_releases());
    }
    condition.release = *release;
  }
  return condition;
}

}  // namespace shootdown::cosim
