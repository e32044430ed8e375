#include "cosim/config/load_processes.h"

#include <fmt/format.h>

#include <string>
#include <utility>

namespace shootdown::cosim {

namespace {

RegionConfig read_region(const YamlValue& name, const YamlValue& value) {
  YamlMap map(value);
  RegionConfig region;
  region.name = value.child(name.key(), name.node()).identifier();
  map.read_word("kind", region.kind,
                {"anonymous", "shared_file", "private_file", "pfnmap", "hugetlb"});
  std::size_t protection = 0;
  map.read_word("protection", protection, {"read_write", "read_only"});
  region.writable = protection == 0;
  std::size_t size = region.kind == RegionKind::kHugetlb ? 1 : 0;
  map.read_word("page_size", size, {"4KiB", "2MiB"});
  region.page_shift = size == 0 ? 12 : 21;
  if (const auto file = map.find("file")) {
    if (region.kind == RegionKind::kAnonymous) file->fail("given for anonymous memory", "a file");
    region.file = file->identifier();
  }
  if (const auto mapped = map.find("mapped")) {
    region.mapped_by_step = mapped->word({"at_start", "by_step"}) == 1;
  }
  if (region.kind == RegionKind::kPfnmap && region.page_shift != arch::kPageShift) {
    map.require("page_size").fail("2MiB for the frames of a driver", "4KiB");
  }
  if (region.kind == RegionKind::kHugetlb && region.page_shift == arch::kPageShift) {
    map.require("page_size").fail("4KiB for hugetlb", "2MiB");
  }
  const YamlValue at = map.require("at");
  region.start = {at.integer(arch::kPageSize, (std::uint64_t{1} << 48) - 1)};
  if (arch::page_of(region.start, region.page_shift) != region.start) {
    at.fail(fmt::format("is {:#x}", region.start.value), "a multiple of the page size");
  }
  const YamlValue pages = map.require("pages");
  region.bytes = pages.integer(1, 1 << 20) << region.page_shift;
  if (region.end().value > std::uint64_t{1} << 48) {
    pages.fail("the region ends beyond the 48-bit address space", "an end of at most 2^48");
  }
  map.finish();
  return region;
}

/// What the pages of a file are: of the page cache, of a driver or of hugetlbfs.
enum class FileKind { kPageCache, kDriver, kHugetlbfs };

FileKind file_kind(const RegionConfig& region) {
  if (region.kind == RegionKind::kPfnmap) return FileKind::kDriver;
  return region.kind == RegionKind::kHugetlb ? FileKind::kHugetlbfs : FileKind::kPageCache;
}

void check_file_kind(const YamlValue& value, const RegionConfig& region,
                     const std::vector<RegionConfig>& others) {
  for (const RegionConfig& other : others) {
    if (region.file.empty() || region.file != other.file) continue;
    if (file_kind(region) == file_kind(other)) continue;
    value.fail(fmt::format("maps file '{}', of which region '{}' makes another kind of file",
                           region.file, other.name),
               "a file is mapped by regions of kind shared_file and private_file, or of pfnmap, or "
               "of hugetlb");
  }
}

ProcessConfig read_process(const YamlValue& name, const YamlValue& value,
                           const std::vector<ProcessConfig>& others) {
  YamlMap map(value);
  ProcessConfig process;
  process.name = name.identifier();
  if (const auto parent = map.find("fork_of")) {
    // The same areas at the same places, from the fork on.
    std::vector<std::string> names;
    for (const ProcessConfig& other : others) names.push_back(other.name);
    if (names.empty()) parent->fail("no process stands before it", "the parent, declared before");
    process.fork_of = parent->word(names);
    process.regions = others[*process.fork_of].regions;
    map.finish();
    return process;
  }
  const YamlValue regions = map.require("regions");
  YamlMap region_map(regions);
  for (const auto& [region_name, region_value] : region_map.entries()) {
    RegionConfig region = read_region(region_name, region_value);
    for (const RegionConfig& other : process.regions) {
      // What is mapped by a step finds its place free, or is refused by the kernel then.
      if (region.mapped_by_step || other.mapped_by_step) continue;
      if (region.start < other.end() && other.start < region.end()) {
        region_value.fail(
            fmt::format("overlaps region '{}' at {:#x} to {:#x}", other.name, other.start.value,
                        other.end().value),
            "regions of a process do not overlap, but for those with mapped: by_step");
      }
    }
    check_file_kind(region_value, region, process.regions);
    for (const ProcessConfig& other : others) {
      check_file_kind(region_value, region, other.regions);
    }
    process.regions.push_back(std::move(region));
  }
  if (process.regions.empty()) regions.fail("holds no region", "at least one region");
  map.finish();
  return process;
}

}  // namespace

std::vector<ProcessConfig> read_processes(const YamlValue& value) {
  std::vector<ProcessConfig> processes;
  YamlMap map(value);
  for (const auto& [name, process] : map.entries()) {
    processes.push_back(read_process(name, process, processes));
  }
  if (processes.empty()) value.fail("holds no process", "at least one process");
  if (processes.size() > 200) value.fail("holds too many", "at most 200 processes");
  return processes;
}

}  // namespace shootdown::cosim
