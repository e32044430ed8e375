#include "cosim/fuzz/draft.h"

#include <fmt/format.h>

namespace shootdown::cosim {

namespace {

/// "{cpus: 2, smmu: {tlb: {entries: 4}}}" of the dotted keys below `prefix`.
std::string nested(const std::map<std::string, std::string>& settings, const std::string& prefix) {
  std::string text;
  std::string group;  // the last that was written
  for (const auto& [key, value] : settings) {
    if (!key.starts_with(prefix)) continue;
    const std::string rest = key.substr(prefix.size());
    const auto dot = rest.find('.');
    const std::string name = rest.substr(0, dot);
    if (dot != std::string::npos && name == group) continue;
    if (!text.empty()) text += ", ";
    text += name + ": ";
    if (dot == std::string::npos) {
      text += value;
    } else {
      group = name;
      text += nested(settings, prefix + name + ".");
    }
  }
  return "{" + text + "}";
}

void add_steps(std::string& text, const std::vector<Draft::Step>& steps,
               const std::string& indent) {
  for (const Draft::Step& step : steps) {
    if (step.steps.empty()) {
      text += indent + "- " + step.text + "\n";
      continue;
    }
    text += fmt::format("{0}- repeat:\n{0}    times: {1}\n{0}    steps:\n", indent, step.times);
    add_steps(text, step.steps, indent + "      ");
  }
}

}  // namespace

std::string Draft::yaml() const {
  std::string text = "schema_version: 1\n";
  text += "description: " + description + "\n";
  text += "kernel: " + kernel + "\n";
  if (!architecture.empty()) text += "architecture: " + architecture + "\n";
  text += "hardware: " + nested(hardware, "") + "\n";
  text += "processes:\n";
  for (const Process& process : processes) {
    if (!process.fork_of.empty()) {
      text += fmt::format("  {}: {{fork_of: {}}}\n", process.name, process.fork_of);
      continue;
    }
    text += fmt::format("  {}:\n    regions:\n", process.name);
    for (const Region& region : process.regions) {
      text += fmt::format("      {}: {}\n", region.name, region.text);
    }
  }
  if (!devices.empty()) text += "devices:\n";
  for (const Device& device : devices) {
    text += fmt::format("  {}: {}\n", device.name, nested(device.settings, ""));
  }
  text += "threads:\n";
  for (const Thread& thread : threads) {
    text += fmt::format("  {}:\n    on: {}\n", thread.name, thread.on);
    if (!thread.process.empty()) text += "    process: " + thread.process + "\n";
    text += "    steps:\n";
    add_steps(text, thread.steps, "      ");
  }
  if (!inject.empty()) text += "inject: " + inject + "\n";
  text += "limits: {simulated_us: 1000000, wall_seconds: 20}\n";
  text += "expect:\n  - {kernel: any, violation: none}\n";
  return text;
}

}  // namespace shootdown::cosim
