// Where a step of a program works: an address or a range of pages in a region of its process.
#ifndef SHOOTDOWN_COSIM_PROGRAM_PLACE_H
#define SHOOTDOWN_COSIM_PROGRAM_PLACE_H

#include <cstdint>
#include <optional>

#include "cosim/config/config.h"
#include "cosim/config/strict_yaml.h"

namespace shootdown::cosim {

/// An address in a region, with the bytes that are left in the region from there on.
struct Place {
  arch::VirtAddr at{};
  const RegionConfig* region{};
  std::uint64_t left() const { return region->end().value - at.value; }
};

/// `region`, `region + offset`, or an address inside a region of the process. Throws ConfigError.
Place read_place(const YamlValue& value, const ProcessConfig& process);

/// read: and write: of a CPU or a device.
Access read_access(const YamlValue& value, arch::Access access, const ProcessConfig& process);

struct PageRange {
  std::size_t region{};  ///< of the process
  arch::VirtAddr start{};
  arch::VirtAddr end{};
};

/// `at` with `pages`; all the rest of the region without.
PageRange read_range(const YamlValue& at, const std::optional<YamlValue>& pages,
                     const ProcessConfig& process);
/// Pages of hugetlbfs are neither reclaimed, migrated nor split. Throws ConfigError.
void not_for_hugetlb(const YamlValue& value, const RegionConfig& region);
/// A step on a range, to be completed.
MemoryOperation on_range(const PageRange& range);
/// A place, or a map of `at` and `pages`.
PageRange read_range_step(const YamlValue& value, const ProcessConfig& process);

}  // namespace shootdown::cosim

#endif
