#include "cosim/config/load_devices.h"

#include <algorithm>
#include <string>
#include <vector>

#include "cosim/config/load_hardware.h"

namespace shootdown::cosim {

namespace {

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

}  // namespace

void read_devices(const YamlValue& value, Config& config) {
  YamlMap map(value);
  for (const auto& [name, device] : map.entries()) {
    config.devices.push_back(read_device(name, device, config));
  }
}

}  // namespace shootdown::cosim
