#include "cosim/config/load_expect.h"

#include <span>
#include <string>

#include "cosim/config/load_kernel.h"

namespace shootdown::cosim {

namespace {

template <class Kind>
std::vector<std::string> names_of(std::span<const Word<Kind>> words) {
  std::vector<std::string> names;
  for (const Word<Kind>& word : words) names.emplace_back(word.name);
  return names;
}

/// A number, "<= N" or ">= N".
CostExpectation read_cost(const YamlValue& name, const YamlValue& value) {
  using Kind = CostExpectation::Kind;
  CostExpectation result;
  result.cost = static_cast<CostKind>(name.word(names_of(cost_words())));
  std::string text = value.text();
  if (text.starts_with("<=") || text.starts_with(">=")) {
    result.kind = text[0] == '<' ? Kind::kAtMost : Kind::kAtLeast;
    text.erase(0, text.find_first_not_of(" ", 2));
  }
  result.value = value.child(value.key(), YAML::Node(text)).integer(0, ~std::uint64_t{0});
  return result;
}

Expectation read_expectation(const YamlValue& value) {
  YamlMap map(value);
  Expectation result;
  result.origin = value.origin();
  if (const auto kernel = map.find("kernel")) result.kernel = read_condition(*kernel);
  std::vector<std::string> allowed = names_of(violation_words());
  const std::size_t none = allowed.size();
  allowed.emplace_back("none");
  const YamlValue violation = map.require("violation");
  if (violation.is_list()) {
    for (const YamlValue& element : violation.elements()) {
      const std::size_t word = element.word(allowed);
      if (word == none) element.fail("'none' in a list", "names of violations");
      result.violations.push_back(static_cast<ViolationKind>(word));
    }
    if (result.violations.empty()) violation.fail("is an empty list", "none, or violations");
  } else if (const std::size_t word = violation.word(allowed); word != none) {
    result.violations.push_back(static_cast<ViolationKind>(word));
  }
  if (const auto hop = map.find("missing_hop")) {
    result.missing_hop = static_cast<Hop>(hop->word(names_of(hop_words())));
    if (result.violations.empty()) hop->fail("given without a violation", "only with a violation");
  }
  if (const auto cost = map.find("cost")) {
    YamlMap cost_map(*cost);
    for (const auto& [name, bound] : cost_map.entries()) {
      result.cost.push_back(read_cost(name, bound));
    }
  }
  map.finish();
  return result;
}

}  // namespace

std::vector<Expectation> read_expectations(const YamlValue& value) {
  std::vector<Expectation> result;
  for (const YamlValue& element : value.elements()) result.push_back(read_expectation(element));
  return result;
}

}  // namespace shootdown::cosim
