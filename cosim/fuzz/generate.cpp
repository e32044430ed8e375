#include "cosim/fuzz/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "cosim/config/strict_yaml.h"
#include "cosim/program/step.h"
#include "cosim/program/step_draw.h"
#include "sw/kernel/version.h"

namespace shootdown::cosim {

namespace {

constexpr std::uint64_t kFirstRegion = 0x7f80'0000'0000;
constexpr std::uint64_t kRegionStep = std::uint64_t{1} << 30;
constexpr unsigned kTries = 20;  // for a value that a step takes

class Generator {
 public:
  Generator(std::uint64_t seed, const GenerateOptions& options) : draw_(seed) {
    draft_.description = fmt::format("experiment {}", seed);
    draft_.kernel = options.kernel;
    draft_.inject = options.inject;
  }
  Draft make() {
    make_machine();
    make_processes();
    // Room for blocks, and for what is never freed again.
    set("memory.size_bytes", whole_gib_ ? "0x200000000" : "0x20000000");
    make_devices();
    make_threads();
    return std::move(draft_);
  }

 private:
  void set(const std::string& key, const std::string& value) { draft_.hardware[key] = value; }
  void set(const std::string& key, std::uint64_t value) { set(key, std::to_string(value)); }
  /// Sometimes.
  void maybe(const std::string& key, const std::vector<std::string>& values) {
    if (draw_.one_in(3)) set(key, draw_.one_of(values));
  }
  void make_machine();
  void make_smmu();
  void make_processes();
  RegionConfig make_region(std::size_t number);
  void make_devices();
  void make_threads();
  std::vector<Draft::Step> make_steps(const ProcessConfig& process, unsigned count, bool device,
                                      bool in_loop);
  void add_step(std::vector<Draft::Step>& steps, const ProcessConfig& process, bool device,
                bool in_loop);
  Draft::Step access(const ProcessConfig& process);
  std::optional<std::string> value_of(const StepKind& kind, const ProcessConfig& process);
  void add_forks();

  Draw draw_;
  Draft draft_;
  Config config_;  // only processes: what the readers of steps look at
  unsigned cpus_{};
  bool arm64_{};
  bool x86_{};
  bool whole_gib_{};  // some region has 1 GiB
  /// Files have huge pages, as tmpfs has, or are written back, as others are. Linux has no file of
  /// both kinds; the race of 5df397dec7c4 is open there for entries of the PMD level.
  bool huge_files_{};
  bool dense_{};  // many threads with long programs on little memory
};

void Generator::make_machine() {
  dense_ = draw_.one_in(5);
  huge_files_ = draw_.one_in(2);
  const std::uint64_t kind = draw_.below(10);
  arm64_ = kind < 5;
  x86_ = kind >= 5 && kind < 8;
  if (kind >= 8) {
    draft_.architecture =
        fmt::format("{{base: generic, shape: {}}}",
                    draw_.one_of(std::vector<std::string>{"generic", "generic_merge", "no_range",
                                                          "powerpc", "s390", "riscv", "sparc64"}));
  } else if (x86_) {
    draft_.architecture =
        fmt::format("{{base: x86, shape: {}}}",
                    draw_.one_of(std::vector<std::string>{"x86_native", "x86_pv", "x86_nfc"}));
  } else if (draw_.one_in(2)) {
    draft_.architecture = "arm64";
  }
  cpus_ = static_cast<unsigned>(draw_.between(dense_ ? 3 : 1, dense_ || draw_.one_in(3) ? 8 : 3));
  set("cpus", cpus_);
  maybe("memory.latency_cycles", {"1", "10", "200"});
  maybe("dvm_latency_cycles", {"1", "100", "3000"});
  maybe("ipi_latency_cycles", {"1", "1000"});
  maybe("cpu_tlb.entries", {"2", "4", "16"});
  maybe("cpu_tlb.ways", {"1", "2"});
  if (!x86_) maybe("cpu_tlb.hit_without_permission", {"fault", "rewalk"});
  maybe("range_tlbi", {"false", "true"});
  make_smmu();
}

void Generator::make_smmu() {
  maybe("smmu.tlb.entries", {"2", "4", "64"});
  maybe("smmu.tlb.ways", {"1", "2"});
  maybe("smmu.tlb.invalidate_latency_cycles", {"1", "500"});
  if (!x86_) maybe("smmu.tlb.hit_without_permission", {"fault", "rewalk"});
  maybe("smmu.walkers", {"1", "4"});
  maybe("smmu.walk_step_cycles", {"5", "300"});
  maybe("smmu.config_cache_entries", {"1", "4"});
  maybe("smmu.faults", {"stall", "stall", "terminate"});
  maybe("smmu.stall_max", {"1", "2", "8"});
  maybe("smmu.event_queue_entries", {"1", "2", "16"});
  maybe("smmu.early_retry_cycles", {"500", "5000"});
  maybe("smmu.suppress_duplicate_stalls", {"true"});
  maybe("smmu.msi", {"true"});
  maybe("smmu.pri", {"true"});
  maybe("smmu.range_invalidation", {"false"});
  maybe("smmu.hardware_update", {"access_flag", "access_flag_and_dirty"});
  maybe("smmu.command_latency_cycles", {"1", "300"});
  maybe("smmu.two_level_stream_table", {"false"});
  // Where CPUs send IPIs there is nothing to follow.
  if (arm64_ && draw_.one_in(4)) set("smmu.broadcast_tlb_maintenance", "true");
}

RegionConfig Generator::make_region(std::size_t number) {
  static const std::vector<std::pair<RegionKind, const char*>> kKinds{
      {RegionKind::kAnonymous, "anonymous"},      {RegionKind::kAnonymous, "anonymous"},
      {RegionKind::kAnonymous, "anonymous"},      {RegionKind::kSharedFile, "shared_file"},
      {RegionKind::kSharedFile, "shared_file"},   {RegionKind::kPrivateFile, "private_file"},
      {RegionKind::kPrivateFile, "private_file"}, {RegionKind::kPfnmap, "pfnmap"},
      {RegionKind::kHugetlb, "hugetlb"}};
  const auto& [kind, word] = draw_.one_of(kKinds);
  RegionConfig region;
  region.name = fmt::format("r{}", number);
  region.kind = kind;
  region.start = {kFirstRegion + number * kRegionStep};
  const bool may_be_huge =
      kind != RegionKind::kPfnmap && (kind == RegionKind::kAnonymous || huge_files_);
  const bool blocks = kind == RegionKind::kHugetlb || (may_be_huge && draw_.one_in(6));
  region.page_shift = blocks ? sw::kPmdShift : arch::kPageShift;
  std::uint64_t pages = draw_.between(1, blocks ? 2 : 8);
  if (!blocks && draw_.one_in(6)) pages = 512 * draw_.between(1, 2);
  if (!blocks && pages < 512) region.start = region.start + draw_.below(500) * arch::kPageSize;
  // Only a whole GiB is shared by table.
  if (kind == RegionKind::kHugetlb && draw_.one_in(2)) {
    pages = 512;
    whole_gib_ = true;
  }
  region.bytes = pages << region.page_shift;
  region.writable = !draw_.one_in(8);
  region.mapped_by_step = draw_.one_in(10);
  std::string text =
      fmt::format("{{at: {:#x}, pages: {}, kind: {}", region.start.value, pages, word);
  if (blocks) text += ", page_size: 2MiB";
  if (!region.writable) text += ", protection: read_only";
  if (region.mapped_by_step) text += ", mapped: by_step";
  if (kind != RegionKind::kAnonymous && draw_.one_in(2)) {
    // A name for each kind of file: those of the page cache can be shared by both.
    const char* const file = kind == RegionKind::kPfnmap    ? "frames"
                             : kind == RegionKind::kHugetlb ? "huge"
                                                            : "file";
    region.file = fmt::format("{}{}", file, draw_.below(2));
    text += ", file: " + region.file;
  }
  draft_.processes.back().regions.push_back({.name = region.name, .text = text + "}"});
  return region;
}

void Generator::make_processes() {
  const std::uint64_t roots = draw_.one_in(3) ? 2 : 1;
  for (std::uint64_t i = 0; i < roots; ++i) {
    draft_.processes.push_back({.name = fmt::format("p{}", i), .fork_of = {}, .regions = {}});
    ProcessConfig process;
    process.name = draft_.processes.back().name;
    const std::uint64_t regions = dense_ ? 1 : draw_.between(1, 3);
    for (std::size_t r = 0; r < regions; ++r) process.regions.push_back(make_region(r));
    config_.processes.push_back(std::move(process));
  }
  for (std::size_t parent = 0; parent < config_.processes.size() && config_.processes.size() < 4;
       ++parent) {
    if (!draw_.one_in(3)) continue;
    ProcessConfig child = config_.processes[parent];
    child.name = fmt::format("p{}", config_.processes.size());
    child.fork_of = parent;
    draft_.processes.push_back(
        {.name = child.name, .fork_of = config_.processes[parent].name, .regions = {}});
    config_.processes.push_back(std::move(child));
  }
}

void Generator::make_devices() {
  std::vector<std::string> roots;
  for (const ProcessConfig& process : config_.processes) {
    if (!process.fork_of) roots.push_back(process.name);
  }
  const std::uint64_t devices = draw_.below(dense_ || draw_.one_in(3) ? 5 : 3);
  for (std::uint64_t i = 0; i < devices; ++i) {
    Draft::Device device{.name = fmt::format("d{}", i), .settings = {}};
    device.settings["stream_id"] = fmt::format("{:#x}", 0x40 + i * draw_.between(1, 16));
    device.settings["process"] = draw_.one_of(roots);
    if (draw_.one_in(3)) device.settings["atc"] = "true";
    if (draw_.one_in(3)) {
      device.settings["retry.attempts"] = std::to_string(draw_.between(1, 64));
      device.settings["retry.delay_cycles"] = std::to_string(draw_.between(1, 2000));
    }
    draft_.devices.push_back(std::move(device));
  }
  for (std::size_t i = 1; i < draft_.devices.size(); ++i) {
    draft_.devices[i].settings["stream_id"] = fmt::format("{:#x}", 0x40 + 0x11 * i);
  }
}

Draft::Step Generator::access(const ProcessConfig& process) {
  StepDraw draw(draw_, process);
  const RegionConfig& region = draw.region();
  const std::string at = draw.page_of(region);
  // From the start of the region, so that all fit.
  const std::uint64_t pages = region.bytes >> arch::kPageShift;
  std::string text = draw_.one_in(2) ? "read: " : "write: ";
  switch (draw_.below(4)) {
    case 0:
      text += fmt::format("{{at: {}, count: {}, stride_bytes: {}}}", region.name,
                          draw_.between(1, std::min<std::uint64_t>(pages, 16)), arch::kPageSize);
      break;
    case 1:
      text += fmt::format("{{at: {}, count: {}, stride_bytes: 0}}", at, draw_.between(2, 40));
      break;
    case 2:
      text += fmt::format("{{at: {}, count: {}, bytes: 1}}", at, draw_.between(1, 8));
      break;
    default:
      text += at;
  }
  return {.text = std::move(text), .times = 0, .steps = {}};
}

std::optional<std::string> Generator::value_of(const StepKind& kind, const ProcessConfig& process) {
  StepDraw draw(draw_, process);
  for (unsigned i = 0; i < kTries; ++i) {
    std::string text = kind.draw(draw);
    try {
      const YamlValue value({.file = "draft", .assigned = {}}, std::string(kind.name),
                            YAML::Load(text));
      const auto number = static_cast<std::size_t>(&process - config_.processes.data());
      const MemoryOperation step = kind.read(value, {.config = config_, .process = number});
      const RegionKind region = process.regions[step.region].kind;
      const bool cached = region == RegionKind::kSharedFile || region == RegionKind::kPrivateFile;
      const bool makes_huge = kind.name == "collapse";
      const bool writes_back = kind.name == "writeback" || kind.name == "page_out";
      if (cached && (huge_files_ ? writes_back : makes_huge)) continue;
      return text;
    } catch (const ConfigError&) {
      // Not of this region.
    }
  }
  return std::nullopt;
}

void Generator::add_step(std::vector<Draft::Step>& steps, const ProcessConfig& process, bool device,
                         bool in_loop) {
  const auto add = [&](std::string text) {
    steps.push_back({.text = std::move(text), .times = 0, .steps = {}});
  };
  const std::uint64_t what = draw_.below(10);
  if (!in_loop && what == 0) {
    steps.push_back(
        {.text = {},
         .times = static_cast<unsigned>(draw_.between(2, 12)),
         .steps = make_steps(process, static_cast<unsigned>(draw_.between(1, 3)), device, true)});
  } else if (what == 1) {
    add(fmt::format("delay_cycles: {}", 1 + draw_.below(std::uint64_t{1} << draw_.between(4, 15))));
  } else if (device || what <= 5) {
    steps.push_back(access(process));
  } else {
    const auto kinds = step_kinds();
    const StepKind& kind = kinds[draw_.below(kinds.size())];
    if (kind.life != Life::kNone) return;
    const auto value = value_of(kind, process);
    if (!value) return;
    add(fmt::format("{}: {}", kind.name, *value));
    if (kind.undone_by.empty()) return;
    if (draw_.one_in(2)) add(fmt::format("delay_cycles: {}", draw_.between(1, 20'000)));
    add(fmt::format("{}: {}", kind.undone_by, *value));
  }
}

std::vector<Draft::Step> Generator::make_steps(const ProcessConfig& process, unsigned count,
                                               bool device, bool in_loop) {
  std::vector<Draft::Step> steps;
  while (steps.size() < count) add_step(steps, process, device, in_loop);
  return steps;
}

/// Each child is born once: by a thread of its parent, before anything can end that thread.
void Generator::add_forks() {
  for (const ProcessConfig& process : config_.processes) {
    if (!process.fork_of) continue;
    std::vector<Draft::Thread*> parents;
    for (Draft::Thread& thread : draft_.threads) {
      if (thread.process == config_.processes[*process.fork_of].name) parents.push_back(&thread);
    }
    Draft::Thread& parent = *draw_.one_of(parents);
    const auto may_end_it = [](const Draft::Step& step) {
      return !step.steps.empty() || step.text.starts_with("read") ||
             step.text.starts_with("write") || step.text.starts_with("exit");
    };
    const auto first = std::find_if(parent.steps.begin(), parent.steps.end(), may_end_it);
    const auto at = draw_.below(static_cast<std::uint64_t>(first - parent.steps.begin()) + 1);
    parent.steps.insert(parent.steps.begin() + static_cast<std::ptrdiff_t>(at),
                        {.text = "fork: " + process.name, .times = 0, .steps = {}});
  }
}

void Generator::make_threads() {
  for (const ProcessConfig& process : config_.processes) {
    const std::uint64_t threads = dense_ ? draw_.between(3, 6) : draw_.between(1, 3);
    const std::uint64_t most_steps = dense_ ? 40 : 12;
    for (std::uint64_t i = 0; i < threads; ++i) {
      draft_.threads.push_back(
          {.name = fmt::format("{}_t{}", process.name, i),
           .on = fmt::format("cpu{}", draw_.below(cpus_)),
           .process = process.name,
           .steps = make_steps(process, static_cast<unsigned>(draw_.between(2, most_steps)), false,
                               false)});
    }
    if (draw_.one_in(6)) {
      draft_.threads.back().steps.push_back({.text = "exit: process", .times = 0, .steps = {}});
    }
  }
  add_forks();
  for (const Draft::Device& device : draft_.devices) {
    const auto& process = *std::find_if(
        config_.processes.begin(), config_.processes.end(),
        [&](const ProcessConfig& one) { return one.name == device.settings.at("process"); });
    std::vector<Draft::Step> steps{
        {.text = fmt::format("delay_cycles: {}", draw_.between(1, 30'000)),
         .times = 0,
         .steps = {}}};
    const auto rest = make_steps(process, static_cast<unsigned>(draw_.between(1, 8)), true, false);
    steps.insert(steps.end(), rest.begin(), rest.end());
    draft_.threads.push_back({.name = device.name + "_dma",
                              .on = device.name,
                              .process = {},
                              .steps = std::move(steps)});
  }
}

}  // namespace

Draft generate(std::uint64_t seed, const GenerateOptions& options) {
  return Generator(seed, options).make();
}

std::string newest_kernel() {
  const sw::Release base = sw::kernel_releases().back();
  std::string later;
  for (const sw::KernelChange& change : sw::kernel_changes()) {
    if (base >= change.first_release) continue;
    later += (later.empty() ? "" : ", ") + std::string(change.hash);
  }
  return fmt::format("{{base: {}, apply: [{}]}}", to_string(base), later);
}

}  // namespace shootdown::cosim
