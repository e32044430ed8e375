#include "cosim/program/step_draw.h"

#include <fmt/format.h>

#include <algorithm>

namespace shootdown::cosim {

namespace {

/// Behind all regions, in steps of a whole page table's reach.
constexpr std::uint64_t kFreeAddresses = 0x6000'0000'0000;
constexpr std::uint64_t kFreeStep = std::uint64_t{1} << 30;
constexpr std::uint64_t kFreePlaces = 1 << 10;
constexpr std::uint64_t kPagesInATable = 512;

}  // namespace

std::pair<std::string, std::uint64_t> StepDraw::place(const RegionConfig& region) {
  const std::uint64_t pages = region.bytes >> region.page_shift;
  std::uint64_t first = draw_.one_in(2) ? 0 : draw_.below(pages);
  // Steps on blocks want whole ones.
  if (pages >= kPagesInATable && draw_.one_in(2)) first -= first % kPagesInATable;
  if (first == 0) return {region.name, pages};
  return {fmt::format("{} + {:#x}", region.name, first << region.page_shift), pages - first};
}

std::string StepDraw::page_of(const RegionConfig& region) { return place(region).first; }

std::string StepDraw::pages_of(const RegionConfig& region) {
  const auto [at, left] = place(region);
  std::uint64_t count = draw_.one_in(2) ? left : draw_.between(1, std::min<std::uint64_t>(left, 8));
  if (left >= kPagesInATable && draw_.one_in(2)) count = left - left % kPagesInATable;
  return fmt::format("at: {}, pages: {}", at, count);
}

std::string StepDraw::free_address() {
  return fmt::format("{:#x}", kFreeAddresses + draw_.below(kFreePlaces) * kFreeStep);
}

}  // namespace shootdown::cosim
