#include "cosim/program/place.h"

#include <fmt/format.h>

#include <algorithm>

#include "cosim/program/step.h"

namespace shootdown::cosim {

Place read_place(const YamlValue& value, const ProcessConfig& process) {
  std::vector<std::string> names;
  for (const RegionConfig& region : process.regions) names.push_back(region.name);
  const std::string allowed = "a region of process '" + process.name + "' (" + join(names, ", ") +
                              "), region + offset, or an address inside one";
  std::string text = value.text();
  std::erase(text, ' ');
  const auto inside = [&](const RegionConfig& region, arch::VirtAddr at) {
    return at >= region.start && at < region.end();
  };
  if (!text.empty() && text[0] >= '0' && text[0] <= '9') {
    const arch::VirtAddr at{
        value.child(value.key(), YAML::Node(text)).integer(0, ~std::uint64_t{0})};
    for (const RegionConfig& region : process.regions) {
      if (inside(region, at)) return {at, &region};
    }
    value.fail(fmt::format("{:#x} lies in no region", at.value), allowed);
  }
  const auto plus = text.find('+');
  const std::string name = text.substr(0, plus);
  for (const RegionConfig& region : process.regions) {
    if (region.name != name) continue;
    if (plus == std::string::npos) return {region.start, &region};
    YAML::Node offset_node(text.substr(plus + 1));
    std::uint64_t offset = 0;
    try {
      offset = value.child(value.key(), offset_node).integer(0, region.bytes - 1);
    } catch (const ConfigError&) {
      value.fail("offset '" + text.substr(plus + 1) + "'",
                 fmt::format("0 to {:#x} in region '{}'", region.bytes - 1, name));
    }
    return {region.start + offset, &region};
  }
  value.fail("is '" + value.text() + "'", allowed);
}

Access read_access(const YamlValue& value, arch::Access access, const ProcessConfig& process) {
  Access result{.access = access};
  if (value.is_scalar()) {
    const Place place = read_place(value, process);
    result.va = place.at;
    if (place.left() < result.bytes) value.fail("crosses the end of the region", "8 bytes inside");
    return result;
  }
  YamlMap map(value);
  const YamlValue at = map.require("at");
  const Place place = read_place(at, process);
  result.va = place.at;
  map.read("bytes", result.bytes, 1, 8);
  if (access == arch::Access::kWrite) map.read("value", result.value, 0, ~std::uint64_t{0});
  map.read("count", result.count, 1, 1'000'000'000);
  result.stride_bytes = result.bytes;
  map.read("stride_bytes", result.stride_bytes, 0, std::uint64_t{1} << 40);
  const std::uint64_t page = arch::kPageSize;
  const auto crosses = [&](arch::VirtAddr va) { return va.value % page + result.bytes > page; };
  // Offsets within a page repeat with the stride; at most 4096 of them differ.
  for (std::uint64_t i = 0; i < std::min<std::uint64_t>(result.count, page); ++i) {
    if (crosses(result.va + i * result.stride_bytes)) {
      at.fail(fmt::format("{} bytes at {:#x} cross a page", result.bytes,
                          result.va.value + i * result.stride_bytes),
              "accesses within one page");
    }
  }
  const std::uint64_t room = place.left() - std::min<std::uint64_t>(place.left(), result.bytes);
  const bool fits = place.left() >= result.bytes &&
                    (result.stride_bytes == 0 || result.count - 1 <= room / result.stride_bytes);
  if (!fits) {
    at.fail("the accesses run past the end of region '" + place.region->name + "'",
            fmt::format("{:#x} bytes from there on", place.left()));
  }
  map.finish();
  return result;
}

PageRange read_range(const YamlValue& at, const std::optional<YamlValue>& pages,
                     const ProcessConfig& process) {
  const Place place = read_place(at, process);
  const unsigned shift = place.region->page_shift;
  if (arch::page_of(place.at, shift) != place.at) {
    at.fail(fmt::format("is {:#x}", place.at.value), "the start of a page");
  }
  const auto region = static_cast<std::size_t>(place.region - process.regions.data());
  if (!pages) return {region, place.at, place.region->end()};
  const std::uint64_t count = pages->integer(1, place.left() >> shift);
  return {region, place.at, place.at + (count << shift)};
}

PageRange read_range_step(const YamlValue& value, const ProcessConfig& process) {
  if (value.is_scalar()) return read_range(value, std::nullopt, process);
  YamlMap map(value);
  const PageRange range = read_range(map.require("at"), map.find("pages"), process);
  map.finish();
  return range;
}

void not_for_hugetlb(const YamlValue& value, const RegionConfig& region) {
  if (region.kind != RegionKind::kHugetlb) return;
  std::vector<std::string> names;
  for (const StepKind& kind : step_kinds()) {
    if (!kind.for_hugetlb.empty()) names.emplace_back(kind.for_hugetlb);
  }
  value.fail("is not for a region of kind hugetlb", "one of " + join(names, ", "));
}

MemoryOperation on_range(const PageRange& range) {
  return {.kind = nullptr, .region = range.region, .start = range.start, .end = range.end};
}

}  // namespace shootdown::cosim
