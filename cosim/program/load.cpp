#include "cosim/program/load.h"

#include <fmt/format.h>

#include <filesystem>

#include "cosim/config/injections.h"
#include "cosim/config/load_architecture.h"
#include "cosim/config/load_devices.h"
#include "cosim/config/load_expect.h"
#include "cosim/config/load_hardware.h"
#include "cosim/config/load_kernel.h"
#include "cosim/config/load_processes.h"
#include "cosim/config/load_schedule.h"
#include "cosim/program/load_threads.h"

namespace shootdown::cosim {

namespace {

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
    if (injection->obstacle != nullptr) {
      if (const char* why = injection->obstacle(config)) {
        element.fail("'" + element.text() + "' can do nothing", std::string(why));
      }
    }
    injection->plant(config);
    config.injections.emplace_back(injection->name);
  }
}

Config read_config(YAML::Node root, const std::string& path, const LoadOptions& options) {
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

  config.processes = read_processes(map.require("processes"));
  if (const auto devices = map.find("devices")) read_devices(*devices, config);
  read_threads(map.require("threads"), config);
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
  if (const auto expect = map.find("expect")) config.expect = read_expectations(*expect);
  return config;
}

}  // namespace

Config load_config(const std::string& path, const LoadOptions& options) {
  return read_config(load_yaml(path), path, options);
}

Config load_config_text(const std::string& text, const std::string& name,
                        const LoadOptions& options) {
  return read_config(parse_yaml(text, name), name, options);
}

}  // namespace shootdown::cosim
