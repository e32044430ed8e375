#include "cosim/program/load_threads.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cosim/program/place.h"
#include "cosim/program/signals.h"
#include "cosim/program/step.h"

namespace shootdown::cosim {

namespace {

constexpr std::uint64_t kMaxDelayCycles = 1'000'000'000;

constexpr PlainStep kPlainSteps[]{{"read", "reads some bytes, once or several times"},
                                  {"write", "writes some bytes, once or several times"},
                                  {"delay_cycles", "lets time pass"},
                                  {"wait_for", "waits until a signal has been given"},
                                  {"signal", "gives a signal, once and for all"},
                                  {"repeat", "does its steps several times"}};

std::vector<std::string> plain_names() {
  std::vector<std::string> names;
  for (const PlainStep& step : kPlainSteps) names.emplace_back(step.name);
  return names;
}

/// The one key of a step, and its value.
struct NamedStep {
  YamlValue key;
  YamlValue value;
  std::string name;
};

NamedStep step_of(const YamlValue& step, const std::string& allowed) {
  if (!step.is_map() || step.node().size() != 1) step.fail("is not one step", allowed);
  YamlMap map(step);
  const auto [key, value] = map.entries().front();
  return {key, value, key.text()};
}

/// A step that both have; nothing if it is none. `Step`: CpuStep or hw::DmaStep.
template <class Step>
std::optional<Step> read_plain_step(const NamedStep& step, const ProcessConfig& process,
                                    Signals& signals) {
  if (step.name == "read") return read_access(step.value, arch::Access::kRead, process);
  if (step.name == "write") return read_access(step.value, arch::Access::kWrite, process);
  if (step.name == "delay_cycles") return Delay{step.value.integer(1, kMaxDelayCycles)};
  if (step.name == "wait_for") return WaitFor{signals.number(step.value, false)};
  if (step.name == "signal") return Signal{signals.number(step.value, true)};
  return std::nullopt;
}

CpuStep read_cpu_step(const YamlValue& value, const StepContext& context, Signals& signals) {
  std::vector<std::string> names = plain_names();
  for (const StepKind& kind : step_kinds()) names.emplace_back(kind.name);
  const std::string allowed = "one of " + join(names, ", ");
  const NamedStep step = step_of(value, allowed);
  if (auto plain = read_plain_step<CpuStep>(step, context.process_config(), signals)) {
    return std::move(*plain);
  }
  const StepKind* kind = find_step(step.name);
  if (kind == nullptr) step.key.fail("unknown step '" + step.name + "'", allowed);
  MemoryOperation operation = kind->read(step.value, context);
  operation.kind = kind;
  return operation;
}

hw::DmaStep read_dma_step(const YamlValue& value, const ProcessConfig& process, Signals& signals) {
  const std::string allowed = "one of " + join(plain_names(), ", ");
  const NamedStep step = step_of(value, allowed);
  if (auto plain = read_plain_step<hw::DmaStep>(step, process, signals)) return std::move(*plain);
  step.key.fail("unknown step '" + step.name + "'", allowed);
}

/// Steps, with `repeat: {times, steps}` as a loop. `times_so_far`: those of the loops around it.
template <class Step, class Loop, class Read>
std::vector<Step> read_steps(const YamlValue& steps, std::uint64_t times_so_far, const Read& read) {
  constexpr std::uint64_t kMaxTimes = 1'000'000'000;
  std::vector<Step> result;
  for (const YamlValue& step : steps.elements()) {
    if (!step.is_map() || step.node().size() != 1 || !step.node()["repeat"]) {
      result.push_back(read(step));
      continue;
    }
    YamlMap outer(step);
    YamlMap map(outer.require("repeat"));
    const YamlValue times_value = map.require("times");
    const std::uint64_t times = times_value.integer(1, kMaxTimes);
    if (times > kMaxTimes / times_so_far) {
      times_value.fail(fmt::format("makes {} times {} repetitions", times_so_far, times),
                       fmt::format("at most {} in all", kMaxTimes));
    }
    const YamlValue inner = map.require("steps");
    map.finish();
    result.push_back(
        Loop{.times = times, .steps = read_steps<Step, Loop>(inner, times * times_so_far, read)});
  }
  return result;
}

struct ThreadPlace {
  YamlValue value;
  std::size_t number{};  ///< of a CPU; behind those, of a device
};

/// Where a thread runs: `on`, or `cpu` or `device`, which readers of YAML 1.1 do not take for a
/// truth value.
ThreadPlace read_thread_place(YamlMap& map, const Config& config) {
  std::vector<std::string> cpus;
  for (unsigned cpu = 0; cpu < config.hardware.cpus; ++cpu) {
    cpus.push_back(fmt::format("cpu{}", cpu));
  }
  std::vector<std::string> devices;
  for (const DeviceConfig& device : config.devices) devices.push_back(device.name);
  const auto cpu = map.find("cpu");
  const auto device = map.find("device");
  if ((cpu || device) && (map.find("on") || (cpu && device))) {
    (cpu ? *cpu : *device).fail("says a second time where it runs", "one of on, cpu, device");
  }
  if (cpu) return {*cpu, cpu->word(cpus)};
  if (device) return {*device, cpus.size() + device->word(devices)};
  const YamlValue on = map.require("on");
  cpus.insert(cpus.end(), devices.begin(), devices.end());
  return {on, on.word(cpus)};
}

void read_thread(const YamlValue& name, const YamlValue& value, Config& config, Signals& signals) {
  YamlMap map(value);
  const auto [on, place] = read_thread_place(map, config);
  const YamlValue steps = map.require("steps");
  if (place < config.hardware.cpus) {
    std::vector<std::string> processes;
    for (const ProcessConfig& process : config.processes) processes.push_back(process.name);
    CpuThread thread{.name = name.identifier(), .cpu = static_cast<unsigned>(place), .steps = {}};
    thread.process = map.require("process").word(processes);
    thread.steps = read_steps<CpuStep, Repeat>(steps, 1, [&](const YamlValue& step) {
      return read_cpu_step(step, {.config = config, .process = thread.process}, signals);
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
    thread.steps = read_steps<hw::DmaStep, hw::DmaRepeat>(
        steps, 1, [&](const YamlValue& step) { return read_dma_step(step, process, signals); });
    config.device_threads.push_back(std::move(thread));
  }
  if (steps.node().size() == 0) steps.fail("holds no step", "at least one step");
  map.finish();
}

/// How often each process is born and dies in a program.
struct Lives {
  std::map<std::size_t, std::uint64_t> births;
  std::map<std::size_t, std::uint64_t> deaths;
  void count(const std::vector<CpuStep>& steps, std::size_t process, std::uint64_t times) {
    for (const CpuStep& step : steps) {
      if (const auto* loop = std::get_if<Repeat>(&step)) {
        count(loop->steps, process, times * loop->times);
      } else if (const auto* operation = std::get_if<MemoryOperation>(&step)) {
        if (operation->kind->life == Life::kBirth) births[operation->process] += times;
        if (operation->kind->life == Life::kDeath) deaths[process] += times;
      }
    }
  }
};

/// A process is born once and dies once.
void check_lives(const YamlValue& value, const Config& config) {
  Lives lives;
  for (const CpuThread& thread : config.cpu_threads) lives.count(thread.steps, thread.process, 1);
  const auto once = [&](const auto& counts, const char* step) {
    for (const auto& [process, count] : counts) {
      if (count == 1) continue;
      value.fail(fmt::format("{} steps '{}' for process '{}'", count, step,
                             config.processes[process].name),
                 "one");
    }
  };
  once(lives.births, "fork");
  once(lives.deaths, "exit");
}

}  // namespace

std::span<const PlainStep> plain_steps() { return kPlainSteps; }

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
