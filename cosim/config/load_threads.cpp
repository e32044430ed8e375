#include "cosim/config/load_threads.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>

namespace shootdown::cosim {

namespace {

/// An address in a region, with the bytes that are left in the region from there on.
struct Place {
  arch::VirtAddr at{};
  const RegionConfig* region{};
  std::uint64_t left() const { return region->end().value - at.value; }
};

/// `region`, `region + offset`, or an address inside a region of the process.
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

/// read: and write: of a CPU or a device.
CpuAccess read_access(const YamlValue& value, arch::Access access, const ProcessConfig& process) {
  CpuAccess result{.access = access};
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

struct PageRange {
  std::size_t region{};  ///< of the process
  arch::VirtAddr start{};
  arch::VirtAddr end{};
};

/// `at` with `pages`; all the rest of the region without.
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

using Kind = MemoryOperation::Kind;

/// Steps that take a range alone.
const std::vector<std::pair<std::string, Kind>>& range_steps() {
  static const std::vector<std::pair<std::string, Kind>> kSteps{
      {"page_out", Kind::kPageOut},
      {"writeback", Kind::kWriteback},
      {"migrate", Kind::kMigrate},
      {"collapse", Kind::kCollapse},
      {"split", Kind::kSplit},
      {"unpin", Kind::kUnpin},
      {"revoke", Kind::kRevoke},
      {"unmap_mapping_range", Kind::kUnmapMappingRange},
      {"numa_hint", Kind::kNumaHint},
      {"uffd_protect", Kind::kUffdProtect},
      {"uffd_resolve", Kind::kUffdResolve},
      {"age", Kind::kAge},
      {"punch_hole", Kind::kPunchHole}};
  return kSteps;
}

const std::vector<std::string>& cpu_steps() {
  static const std::vector<std::string> kSteps = [] {
    std::vector<std::string> steps{
        "read",     "write",  "mmap",  "munmap", "mprotect",         "madvise",
        "mremap",   "fork",   "exit",  "pin",    "clear_soft_dirty", "delay_cycles",
        "wait_for", "signal", "repeat"};
    for (const auto& [name, kind] : range_steps()) steps.push_back(name);
    return steps;
  }();
  return kSteps;
}

MemoryOperation operation_on(Kind kind, const PageRange& range) {
  return {.kind = kind, .region = range.region, .start = range.start, .end = range.end};
}

/// Pages of hugetlbfs are neither reclaimed, migrated nor split, and only they have holes punched.
void check_hugetlb(const YamlValue& value, Kind kind, const RegionConfig& region) {
  constexpr std::array kOfHugetlb{
      Kind::kMmap,   Kind::kMunmap, Kind::kMprotect, Kind::kMadviseDontneed,
      Kind::kMremap, Kind::kPin,    Kind::kUnpin,    Kind::kPunchHole};
  const bool hugetlb = region.kind == RegionKind::kHugetlb;
  if (kind == Kind::kPunchHole && !hugetlb) {
    value.fail("is no file of hugetlbfs", "a region of kind hugetlb");
  }
  if (hugetlb && std::find(kOfHugetlb.begin(), kOfHugetlb.end(), kind) == kOfHugetlb.end()) {
    value.fail("is not for a region of kind hugetlb",
               "mmap, munmap, mprotect, madvise dontneed, mremap, pin, unpin or punch_hole");
  }
}

/// What only some regions can be asked for.
void check_region(const YamlValue& value, const MemoryOperation& operation,
                  const ProcessConfig& process) {
  const RegionConfig& region = process.regions[operation.region];
  const bool file =
      region.kind == RegionKind::kSharedFile || region.kind == RegionKind::kPrivateFile;
  check_hugetlb(value, operation.kind, region);
  switch (operation.kind) {
    case Kind::kRevoke:
      if (region.kind != RegionKind::kPfnmap) value.fail("is no driver's region", "kind: pfnmap");
      break;
    case Kind::kWriteback:
      if (!file) value.fail("is no file", "a region of kind shared_file or private_file");
      break;
    case Kind::kUnmapMappingRange:
      if (region.kind == RegionKind::kAnonymous) value.fail("is no file", "a region with a file");
      break;
    case Kind::kCollapse:
    case Kind::kSplit:
      if (operation.start.value % (2 << 20) != 0 || operation.end.value % (2 << 20) != 0) {
        value.fail("is not made of whole 2 MiB", "at and pages in steps of 512 pages");
      }
      break;
    default:
      break;
  }
}

MemoryOperation read_mprotect(const YamlValue& value, const ProcessConfig& process) {
  YamlMap map(value);
  MemoryOperation result =
      operation_on(Kind::kMprotect, read_range(map.require("at"), map.find("pages"), process));
  result.write = map.require("protection").word({"read_only", "read_write"}) == 1;
  map.finish();
  return result;
}

MemoryOperation read_madvise(const YamlValue& value, const ProcessConfig& process) {
  YamlMap map(value);
  MemoryOperation result = operation_on(Kind::kMadviseDontneed,
                                        read_range(map.require("at"), map.find("pages"), process));
  const YamlValue advice = map.require("advice");
  if (advice.word({"dontneed", "free"}) == 1) result.kind = Kind::kMadviseFree;
  check_hugetlb(advice, result.kind, process.regions[result.region]);
  map.finish();
  return result;
}

MemoryOperation read_mremap(const YamlValue& value, const ProcessConfig& process) {
  YamlMap map(value);
  const YamlValue at = map.require("at");
  MemoryOperation result = operation_on(Kind::kMremap, read_range(at, map.find("pages"), process));
  const YamlValue to = map.require("to");
  const RegionConfig& region = process.regions[result.region];
  const std::uint64_t bytes = result.end.value - result.start.value;
  result.to = {to.integer(arch::kPageSize, (std::uint64_t{1} << 48) - bytes)};
  if (arch::page_of(result.to, region.page_shift) != result.to) {
    to.fail(fmt::format("is {:#x}", result.to.value), "the start of a page");
  }
  for (const RegionConfig& other : process.regions) {
    // A region that a step maps may stand for the new place, to be accessed by name.
    const bool free = other.mapped_by_step && other.start == result.to;
    if (!free && result.to < other.end() && other.start < result.to + bytes) {
      to.fail("lies in region '" + other.name + "'",
              "free addresses, or a region with mapped: by_step");
    }
  }
  map.finish();
  return result;
}

/// `munmap` alone can go through several regions, as one call: `through` names the last.
MemoryOperation read_munmap(const YamlValue& value, const ProcessConfig& process) {
  if (value.is_scalar()) {
    return operation_on(Kind::kMunmap, read_range(value, std::nullopt, process));
  }
  YamlMap map(value);
  const YamlValue at = map.require("at");
  const auto through = map.find("through");
  MemoryOperation result = operation_on(
      Kind::kMunmap, read_range(at, through ? std::nullopt : map.find("pages"), process));
  if (through) {
    const PageRange last = read_range(*through, std::nullopt, process);
    if (last.end <= result.start) through->fail("lies before `at`", "a region behind it");
    result.end = last.end;
  }
  map.finish();
  return result;
}

MemoryOperation read_pin(const YamlValue& value, const ProcessConfig& process) {
  if (value.is_scalar()) return operation_on(Kind::kPin, read_range(value, std::nullopt, process));
  YamlMap map(value);
  MemoryOperation result =
      operation_on(Kind::kPin, read_range(map.require("at"), map.find("pages"), process));
  map.read("write", result.write);
  map.finish();
  return result;
}

MemoryOperation read_mmap(const YamlValue& value, const ProcessConfig& process) {
  const PageRange range = read_range(value, std::nullopt, process);
  const RegionConfig& region = process.regions[range.region];
  if (!region.mapped_by_step || range.start != region.start) {
    value.fail("is mapped from the start", "a whole region with mapped: by_step");
  }
  return operation_on(Kind::kMmap, range);
}

/// Numbers of signals, and who raises them: a signal nobody raises is a mistake.
class Signals {
 public:
  explicit Signals(std::vector<std::string>& names) : names_(names) {}
  unsigned number(const YamlValue& value, bool raises) {
    const std::string name = value.identifier();
    auto found = std::find(names_.begin(), names_.end(), name);
    if (found == names_.end()) {
      names_.push_back(name);
      found = names_.end() - 1;
    }
    const auto number = static_cast<unsigned>(found - names_.begin());
    if (raises) {
      raised_[number] = true;
    } else {
      waits_.emplace_back(number, value);
    }
    return number;
  }
  void check() const {
    for (const auto& [number, value] : waits_) {
      if (raised_.count(number) != 0) continue;
      std::vector<std::string> raised;
      for (const auto& [n, _] : raised_) raised.push_back(names_[n]);
      value.fail("nobody raises signal '" + names_[number] + "'",
                 raised.empty() ? "some thread has to raise it" : "raised: " + join(raised, ", "));
    }
  }

 private:
  std::vector<std::string>& names_;
  std::map<unsigned, bool> raised_;
  std::vector<std::pair<unsigned, YamlValue>> waits_;
};

/// The one key of a step, and its value.
std::pair<std::string, YamlValue> step_of(const YamlValue& step,
                                          const std::vector<std::string>& kinds) {
  const std::string allowed = "one of " + join(kinds, ", ");
  if (!step.is_map() || step.node().size() != 1) step.fail("is not one step", allowed);
  YamlMap map(step);
  const auto [key, value] = map.entries().front();
  const std::string name = key.text();
  if (std::find(kinds.begin(), kinds.end(), name) == kinds.end()) {
    key.fail("unknown step '" + name + "'", allowed);
  }
  return {name, value};
}

MemoryOperation read_fork(const YamlValue& value, std::size_t parent, const Config& config) {
  std::vector<std::string> children;
  std::vector<std::size_t> numbers;
  for (std::size_t i = 0; i < config.processes.size(); ++i) {
    if (config.processes[i].fork_of != parent) continue;
    children.push_back(config.processes[i].name);
    numbers.push_back(i);
  }
  if (children.empty()) value.fail("no process is a fork of this one", "one with fork_of");
  MemoryOperation result{.kind = Kind::kFork};
  result.process = numbers[value.word(children)];
  return result;
}

CpuStep read_cpu_step(const YamlValue& step, std::size_t process_number, const Config& config,
                      Signals& signals) {
  const ProcessConfig& process = config.processes[process_number];
  const auto [kind, value] = step_of(step, cpu_steps());
  if (kind == "read") return read_access(value, arch::Access::kRead, process);
  if (kind == "write") return read_access(value, arch::Access::kWrite, process);
  if (kind == "mmap") return read_mmap(value, process);
  if (kind == "munmap") return read_munmap(value, process);
  if (kind == "mprotect") return read_mprotect(value, process);
  if (kind == "madvise") return read_madvise(value, process);
  if (kind == "mremap") return read_mremap(value, process);
  if (kind == "pin") return read_pin(value, process);
  if (kind == "fork") return read_fork(value, process_number, config);
  if (kind == "delay_cycles") return Delay{value.integer(1, 1'000'000'000)};
  if (kind == "wait_for") return WaitFor{signals.number(value, false)};
  if (kind == "signal") return Signal{signals.number(value, true)};
  if (kind == "exit" || kind == "clear_soft_dirty") {
    std::vector<std::string> names{"process"};
    value.word(names);
    return MemoryOperation{.kind = kind == "exit" ? Kind::kExit : Kind::kClearSoftDirty};
  }
  for (const auto& [name, operation_kind] : range_steps()) {
    if (name != kind) continue;
    const MemoryOperation result = operation_on(operation_kind, read_range_step(value, process));
    check_region(value, result, process);
    return result;
  }
  value.fail("unknown step", join(cpu_steps(), ", "));
}

hw::DmaStep read_dma_step(const YamlValue& step, const ProcessConfig& process, Signals& signals) {
  const auto [kind, value] =
      step_of(step, {"repeat", "read", "write", "delay_cycles", "wait_for", "signal"});
  if (kind == "read" || kind == "write") {
    const CpuAccess access =
        read_access(value, kind == "read" ? arch::Access::kRead : arch::Access::kWrite, process);
    return hw::DmaAccess{.access = access.access,
                         .va = access.va,
                         .bytes = access.bytes,
                         .value = access.value,
                         .count = access.count,
                         .stride_bytes = access.stride_bytes};
  }
  if (kind == "delay_cycles") return hw::DmaDelay{value.integer(1, 1'000'000'000)};
  if (kind == "wait_for") return hw::DmaWaitFor{signals.number(value, false)};
  return hw::DmaSignal{signals.number(value, true)};
}

/// Calls `action` for each step, with those of `repeat: {times, steps}` as often as it says.
void for_each_step(const YamlValue& steps, std::uint64_t times_so_far,
                   const std::function<void(const YamlValue&)>& action) {
  constexpr std::uint64_t kMaxTimes = 10'000;
  for (const YamlValue& step : steps.elements()) {
    if (!step.is_map() || step.node().size() != 1 || !step.node()["repeat"]) {
      action(step);
      continue;
    }
    YamlMap outer(step);
    YamlMap map(outer.require("repeat"));
    const YamlValue times_value = map.require("times");
    const std::uint64_t times = times_value.integer(1, kMaxTimes);
    if (times * times_so_far > kMaxTimes) {
      times_value.fail(fmt::format("makes {} repetitions", times * times_so_far),
                       fmt::format("at most {} in all", kMaxTimes));
    }
    const YamlValue inner = map.require("steps");
    map.finish();
    for (std::uint64_t i = 0; i < times; ++i) for_each_step(inner, times * times_so_far, action);
  }
}

void read_thread(const YamlValue& name, const YamlValue& value, Config& config, Signals& signals) {
  YamlMap map(value);
  std::vector<std::string> places;
  for (unsigned cpu = 0; cpu < config.hardware.cpus; ++cpu) {
    places.push_back(fmt::format("cpu{}", cpu));
  }
  for (const DeviceConfig& device : config.devices) places.push_back(device.name);
  const YamlValue on = map.require("on");
  const std::size_t place = on.word(places);
  const YamlValue steps = map.require("steps");
  if (place < config.hardware.cpus) {
    std::vector<std::string> processes;
    for (const ProcessConfig& process : config.processes) processes.push_back(process.name);
    CpuThread thread{.name = name.identifier(), .cpu = static_cast<unsigned>(place), .steps = {}};
    thread.process = map.require("process").word(processes);
    for_each_step(steps, 1, [&](const YamlValue& step) {
      thread.steps.push_back(read_cpu_step(step, thread.process, config, signals));
    });
    config.cpu_threads.push_back(std::move(thread));
  } else {
    DeviceThread thread{
        .name = name.identifier(), .device = place - config.hardware.cpus, .steps = {}};
    for (const DeviceThread& other : config.device_threads) {
      if (other.device == thread.device) {
        on.fail("thread '" + other.name + "' already runs there", "one thread per device");
      }
    }
    const ProcessConfig& process = config.processes[config.devices[thread.device].process];
    for_each_step(steps, 1, [&](const YamlValue& step) {
      thread.steps.push_back(read_dma_step(step, process, signals));
    });
    config.device_threads.push_back(std::move(thread));
  }
  if (steps.node().size() == 0) steps.fail("holds no step", "at least one step");
  map.finish();
}

/// A process is born once and dies once.
void check_lives(const YamlValue& value, const Config& config) {
  std::map<std::size_t, unsigned> births;
  std::map<std::size_t, unsigned> deaths;
  for (const CpuThread& thread : config.cpu_threads) {
    for (const CpuStep& step : thread.steps) {
      const auto* operation = std::get_if<MemoryOperation>(&step);
      if (operation == nullptr) continue;
      if (operation->kind == Kind::kFork) ++births[operation->process];
      if (operation->kind == Kind::kExit) ++deaths[thread.process];
    }
  }
  const auto once = [&](const auto& counts, const char* step) {
    for (const auto& [process, count] : counts) {
      if (count == 1) continue;
      value.fail(fmt::format("{} steps '{}' for process '{}'", count, step,
                             config.processes[process].name),
                 "one");
    }
  };
  once(births, "fork");
  once(deaths, "exit");
}

}  // namespace

void read_threads(const YamlValue& value, Config& config) {
  YamlMap map(value);
  Signals signals(config.signals);
  for (const auto& [name, thread] : map.entries()) read_thread(name, thread, config, signals);
  check_lives(value, config);
  if (config.cpu_threads.empty() && config.device_threads.empty()) {
    value.fail("holds no thread", "at least one thread");
  }
  signals.check();
}

}  // namespace shootdown::cosim
