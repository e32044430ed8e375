#include "cosim/config/load_hardware.h"

#include "cosim/config/load_smmu.h"
#include "cosim/config/load_tlb.h"
#include "cosim/config/presets.h"

namespace shootdown::cosim {

namespace {

void read_memory(const YamlValue& value, MemoryConfig& memory) {
  YamlMap map(value);
  if (const auto base = map.find("base")) {
    memory.base = {base->integer(0x80000000, std::uint64_t{1} << 46)};
    if (memory.base.value % (1 << 21) != 0) base->fail("is not aligned", "a multiple of 2 MiB");
  }
  if (const auto size = map.find("size_bytes")) {
    memory.size_bytes = size->integer(4 << 20, std::uint64_t{1} << 36);
    if (memory.size_bytes % arch::kPageSize != 0) {
      size->fail("is not whole pages", "a multiple of 4096");
    }
  }
  map.read("latency_cycles", memory.latency_cycles, 1, kMaxLatencyCycles);
  map.finish();
}

}  // namespace

void read_hardware(const YamlValue& value, const RtlGeometries& rtl, HardwareConfig& hardware) {
  YamlMap map(value);
  // What the preset says comes first, and every other key changes something of it.
  if (const auto preset = map.find("preset")) {
    const std::size_t which = preset->word(preset_names());
    const YamlValue root(YamlSource{"preset " + preset_names()[which], {}}, "hardware",
                         YAML::Load(preset_texts()[which]));
    YamlMap description(root);
    description.require("description");
    const YamlValue of_preset = description.require("hardware");
    description.finish();
    read_hardware(of_preset, rtl, hardware);
    hardware.preset = preset_names()[which];
  }
  map.read("clock_period_ps", hardware.clock_period_ps, 1, 1'000'000);
  map.read("quantum_cycles", hardware.quantum_cycles, 0, 1'000'000);
  map.read("cpus", hardware.cpus, 1, 64);
  if (const auto memory = map.find("memory")) read_memory(*memory, hardware.memory);
  map.read("interconnect_latency_cycles", hardware.interconnect_latency_cycles, 0,
           kMaxLatencyCycles);
  map.read("dvm_latency_cycles", hardware.dvm_latency_cycles, 0, kMaxLatencyCycles);
  map.read("ipi_latency_cycles", hardware.ipi_latency_cycles, 0, kMaxLatencyCycles);
  map.read("context_switch_cycles", hardware.context_switch_cycles, 0, kMaxLatencyCycles);
  map.read("relax_cycles", hardware.relax_cycles, 1, kMaxLatencyCycles);
  if (const auto tlb = map.find("cpu_tlb")) {
    YamlMap tlb_map(*tlb);
    read_tlb(tlb_map, hardware.cpu_tlb_model, hardware.cpu, rtl);
    tlb_map.read("walk_cache_entries", hardware.cpu.translator.walk_cache_entries, 0, 4096);
    tlb_map.read("walk_step_cycles", hardware.cpu.walk_step_cycles, 0, kMaxLatencyCycles);
    tlb_map.finish();
  }
  map.read("range_tlbi", hardware.range_tlbi);
  if (const auto smmu = map.find("smmu")) read_smmu(*smmu, rtl, hardware);
  map.finish();
}

void read_atc(const YamlValue& value, hw::DmaDeviceConfig& device) {
  if (value.is_scalar()) {
    if (value.boolean()) device.atc.emplace();
    return;
  }
  YamlMap map(value);
  hw::AtcConfig& atc = device.atc.emplace();
  read_geometry(map, atc.geometry);
  static const std::vector<std::string> policies{"fault", "rewalk"};
  map.read_word("hit_without_permission", atc.hit_without_permission, policies);
  map.read("hit_latency_cycles", atc.hit_latency_cycles, 1, kMaxLatencyCycles);
  map.read("invalidate_latency_cycles", atc.invalidate_latency_cycles, 1, kMaxLatencyCycles);
  map.read("page_requests", atc.page_requests);
  map.finish();
}

}  // namespace shootdown::cosim
