#include "cosim/config/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <filesystem>
#include <map>
#include <set>
#include <span>

#include "cosim/config/injections.h"
#include "cosim/config/load_architecture.h"
#include "cosim/config/load_hardware.h"
#include "cosim/config/load_schedule.h"

namespace shootdown::cosim {

namespace {

template <class Kind>
std::vector<std::string> names_of(std::span<const Word<Kind>> words) {
  std::vector<std::string> names;
  for (const Word<Kind>& word : words) names.emplace_back(word.name);
  return names;
}

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

sw::Release read_release(const YamlValue& value, const std::string& text) {
  const auto release = sw::parse_release(text);
  if (!release) {
    value.fail("unknown kernel '" + text + "'",
               known_releases() + "; later changes by {base: ..., apply: [...]}");
  }
  return *release;
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

DeviceConfig read_device(const YamlValue& name, const YamlValue& value, const Config& config) {
  YamlMap map(value);
  DeviceConfig device;
  device.name = name.identifier();
  static const std::vector<std::string> kTaken{"smmu", "memory", "interconnect", "cmdq", "thread"};
  const bool cpu = device.name.starts_with("cpu") &&
                   device.name.find_first_not_of("0123456789", 3) == std::string::npos;
  const auto taken = [&](const std::string& part) { return device.name.starts_with(part); };
  if (cpu || std::any_of(kTaken.begin(), kTaken.end(), taken)) {
    name.fail("is the name of a part of the machine",
              "a name that does not begin with " + join(kTaken, ", ") + ", nor cpu and a number");
  }
  const YamlValue stream = map.require("stream_id");
  device.dma.stream_id = arch::StreamId{static_cast<std::uint32_t>(
      stream.integer(0, (std::uint64_t{1} << config.hardware.smmu.features.sid_bits) - 1))};
  for (const DeviceConfig& other : config.devices) {
    if (other.dma.stream_id == device.dma.stream_id) {
      stream.fail("stream ID already used by '" + other.name + "'", "one device per stream ID");
    }
  }
  const YamlValue process = map.require("process");
  std::vector<std::string> names;
  for (const ProcessConfig& p : config.processes) names.push_back(p.name);
  device.process = process.word(names);
  if (config.processes[device.process].fork_of) {
    process.fail("does not exist at the start", "a process with regions of its own");
  }
  // Linux gives each address space one PASID, from 1 on.
  device.dma.substream_id = arch::SubstreamId{static_cast<std::uint32_t>(device.process + 1)};
  if (const auto atc = map.find("atc")) {
    read_atc(*atc, device.dma);
    if (device.dma.atc && !config.hardware.smmu.features.ats) {
      atc->fail("the SMMU has no ATS", "false, or hardware.smmu.ats: true");
    }
  }
  if (const auto retry = map.find("retry")) {
    YamlMap retry_map(*retry);
    retry_map.read("attempts", device.dma.retry_attempts, 0, 1'000'000);
    retry_map.read("delay_cycles", device.dma.retry_delay_cycles, 1, 100'000'000);
    retry_map.finish();
  }
  map.finish();
  return device;
}

void read_checkers(const YamlValue& value, CheckerConfig& checkers) {
  YamlMap map(value);
  map.read("fault_loop_faults", checkers.fault_loop_faults, 2, 100'000);
  map.finish();
}

void read_limits(const YamlValue& value, LimitConfig& limits) {
  YamlMap map(value);
  map.read("simulated_us", limits.simulated_us, 1, 1'000'000'000);
  map.read("wall_seconds", limits.wall_seconds, 1, 86'400);
  map.finish();
}

void read_injections(const YamlValue& value, Config& config) {
  for (const YamlValue& element : value.elements()) {
    const Injection* injection = find_injection(element.text());
    if (injection == nullptr) {
      std::vector<std::string> names;
      for (const Injection& known : injections()) names.emplace_back(known.name);
      element.fail("unknown injection '" + element.text() + "'", join(names, ", "));
    }
    injection->plant(config);
    config.injections.emplace_back(injection->name);
  }
}

}  // namespace

Config load_config(const std::string& path, const LoadOptions& options) {
  YAML::Node root = load_yaml(path);
  YamlSource source{.file = path, .assigned = {}};
  for (const std::string& assignment : options.set) {
    source.assigned.push_back(set_in_yaml(root, assignment));
  }
  YamlMap map(YamlValue(source, "", root));

  // A misspelt section would otherwise show as an error somewhere else.
  for (const char* key :
       {"schema_version", "description", "kernel", "architecture", "seed", "hardware", "processes",
        "devices", "threads", "schedule", "inject", "checkers", "limits", "expect"}) {
    map.find(key);
  }
  map.finish();

  Config config;
  config.path = path;
  config.name = std::filesystem::path(path).stem().string();
  map.require("schema_version").integer(1, 1);
  config.description = map.require("description").text();
  const YamlValue kernel = map.require("kernel");
  config.kernel = read_kernel(kernel);
  if (options.kernel) {
    for (const std::string& key : source.assigned) {
      if (key != "kernel" && !key.starts_with("kernel.")) continue;
      throw ConfigError("--kernel:1:1: kernel: given together with --set kernel (one of them)");
    }
    config.kernel = {};
    const YamlValue given({.file = "--kernel", .assigned = {}}, "kernel",
                          YAML::Node(*options.kernel));
    config.kernel.base = read_release(given, *options.kernel);
  }
  if (const auto architecture = map.find("architecture")) {
    config.architecture = read_architecture(*architecture);
  }
  map.read("seed", config.seed, 0, ~std::uint64_t{0});
  config.random_schedule = options.seed;
  if (config.architecture.kind == ArchitectureConfig::Kind::kX86) {
    // Walkers look again before they report a permission fault (SDM volume 3A, section 4.10.2.3),
    // and have to, before they may set the dirty flag.
    for (hw::MmuConfig* mmu : {&config.hardware.cpu, &config.hardware.smmu.mmu}) {
      mmu->hit_without_permission = hw::HitWithoutPermission::kRewalk;
      mmu->format = arch::TableFormat::kX86_64;
    }
  }
  if (const auto hardware = map.find("hardware")) {
    read_hardware(*hardware, options.rtl_geometries, config.hardware);
  }
  if (config.architecture.shape == "generic_up" && config.hardware.cpus != 1) {
    map.require("architecture")
        .fail(fmt::format("shape generic_up with {} CPUs", config.hardware.cpus),
              "hardware.cpus: 1, or another shape");
  }
  config.hardware.cpu.translator.tlb.seed = config.seed;
  config.hardware.smmu.mmu.translator.tlb.seed = config.seed + 1;

  const YamlValue processes = map.require("processes");
  YamlMap process_map(processes);
  for (const auto& [name, value] : process_map.entries()) {
    config.processes.push_back(read_process(name, value, config.processes));
  }
  if (config.processes.empty()) processes.fail("holds no process", "at least one process");
  if (config.processes.size() > 200) processes.fail("holds too many", "at most 200 processes");
  if (const auto devices = map.find("devices")) {
    YamlMap device_map(*devices);
    for (const auto& [name, value] : device_map.entries()) {
      config.devices.push_back(read_device(name, value, config));
    }
  }
  options.read_threads(map.require("threads"), config);
  if (const auto schedule = map.find("schedule")) {
    read_schedule(*schedule, options.event_kinds, config);
  }
  if (config.random_schedule && config.hardware.quantum_cycles != 0) {
    throw ConfigError(
        "--seed:1:1: seed: given with hardware.quantum_cycles, with which the order of "
        "things is not exact (quantum_cycles: 0)");
  }
  if (const auto inject = map.find("inject")) read_injections(*inject, config);
  if (const auto checkers = map.find("checkers")) read_checkers(*checkers, config.checkers);
  if (const auto limits = map.find("limits")) read_limits(*limits, config.limits);
  if (const auto expect = map.find("expect")) {
    for (const YamlValue& element : expect->elements()) {
      config.expect.push_back(read_expectation(element));
    }
  }
  return config;
}

}  // namespace shootdown::cosim
