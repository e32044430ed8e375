#include "cosim/config/load_hardware.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace shootdown::cosim {

namespace {

const std::vector<std::string> kReplacements{"plru", "lru", "random"};
const std::vector<std::string> kPermissionPolicies{"fault", "rewalk", "ignore"};
constexpr unsigned kMaxLatencyCycles = 1'000'000;

void read_geometry(YamlMap& map, hw::TlbGeometry& geometry) {
  map.read("entries", geometry.entries, 1, 4096);
  // A small one without a word about its ways is fully associative.
  geometry.ways = std::min(geometry.ways, geometry.entries);
  map.read("ways", geometry.ways, 1, 4096);
  map.read_word("replacement", geometry.replacement, kReplacements);
  const auto complain = [&](const char* key, const std::string& problem, const std::string& ok) {
    // Names the key that was given, or the map if the default is at fault.
    const auto given = map.find(key);
    (given ? *given : map.value()).fail(problem, ok);
  };
  if (geometry.ways > geometry.entries || geometry.entries % geometry.ways != 0) {
    complain("ways", fmt::format("has {} ways for {} entries", geometry.ways, geometry.entries),
             "must divide entries");
  }
  const unsigned sets = geometry.entries / geometry.ways;
  if (!std::has_single_bit(sets)) {
    complain("entries", fmt::format("gives {} sets of {} ways", sets, geometry.ways),
             "entries / ways must be a power of two");
  }
  if (geometry.replacement == hw::Replacement::kPlru &&
      (!std::has_single_bit(geometry.ways) || geometry.ways > 64)) {
    complain("ways", fmt::format("is {} with plru", geometry.ways),
             "a power of two up to 64; or replacement: lru");
  }
}

void check_rtl(YamlMap& map, TlbModel model, const hw::TlbGeometry& geometry,
               const RtlGeometries& rtl) {
  if (model == TlbModel::kSystemc) return;
  const YamlValue value = map.require("model");
  if (geometry.replacement != hw::Replacement::kPlru) {
    value.fail("the RTL replaces by plru only", "replacement: plru, or model: systemc");
  }
  std::vector<std::string> built;
  for (const auto& [entries, ways] : rtl) {
    if (entries == geometry.entries && ways == geometry.ways) return;
    built.push_back(fmt::format("{}/{}", entries, ways));
  }
  value.fail(fmt::format("the RTL is not built for {} entries in {} ways", geometry.entries,
                         geometry.ways),
             "entries/ways " + join(built, ", ") + "; or model: systemc");
}

void read_tlb(YamlMap& map, TlbModel& model, hw::MmuConfig& mmu, const RtlGeometries& rtl) {
  map.read_word("model", model, {"systemc", "rtl", "lockstep"});
  read_geometry(map, mmu.translator.tlb);
  check_rtl(map, model, mmu.translator.tlb, rtl);
  map.read_word("hit_without_permission", mmu.hit_without_permission, kPermissionPolicies);
  map.read("hit_latency_cycles", mmu.hit_latency_cycles, 1, kMaxLatencyCycles);
  map.read("invalidate_latency_cycles", mmu.invalidate_latency_cycles, 1, kMaxLatencyCycles);
}

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

void read_smmu(const YamlValue& value, const RtlGeometries& rtl, HardwareConfig& hardware) {
  YamlMap map(value);
  hw::SmmuConfig& smmu = hardware.smmu;
  if (const auto tlb = map.find("tlb")) {
    YamlMap tlb_map(*tlb);
    read_tlb(tlb_map, hardware.smmu_tlb_model, smmu.mmu, rtl);
    tlb_map.finish();
  }
  map.read("walk_cache_entries", smmu.mmu.translator.walk_cache_entries, 0, 4096);
  map.read("walkers", smmu.mmu.walkers, 1, 64);
  map.read("walk_step_cycles", smmu.mmu.walk_step_cycles, 0, kMaxLatencyCycles);
  map.read("config_cache_entries", smmu.config_cache_entries, 0, 4096);
  std::size_t faults = 0;
  map.read_word("faults", faults, {"stall", "terminate"});
  smmu.features.stall_model = faults == 0;
  map.read("broadcast_tlb_maintenance", smmu.features.broadcast);
  map.read("range_invalidation", smmu.features.range_invalidation);
  const auto read_queue = [&](const char* key, unsigned& log2, std::uint64_t min,
                              std::uint64_t max) {
    const auto found = map.find(key);
    if (!found) return;
    const auto entries = found->integer(min, max);
    if (!std::has_single_bit(entries)) found->fail("is no power of two", "a power of two");
    log2 = static_cast<unsigned>(std::countr_zero(entries));
  };
  // The driver puts up to 64 commands and a CMD_SYNC into the queue at once; and its allocator
  // gives it at most 4 MiB in one piece.
  read_queue("command_queue_entries", smmu.queues.command_log2, 128, 1 << 18);
  read_queue("event_queue_entries", smmu.queues.event_log2, 1, 1 << 17);
  map.read("stall_max", smmu.queues.stall_max, 1, 1024);
  map.read("command_latency_cycles", smmu.commands.command_latency_cycles, 1, kMaxLatencyCycles);
  map.read("register_latency_cycles", smmu.register_latency_cycles, 1, kMaxLatencyCycles);
  map.finish();
}

}  // namespace

void read_hardware(const YamlValue& value, const RtlGeometries& rtl, HardwareConfig& hardware) {
  YamlMap map(value);
  map.read("clock_period_ps", hardware.clock_period_ps, 1, 1'000'000);
  map.read("quantum_cycles", hardware.quantum_cycles, 0, 1'000'000);
  map.read("cpus", hardware.cpus, 1, 64);
  if (const auto memory = map.find("memory")) read_memory(*memory, hardware.memory);
  map.read("interconnect_latency_cycles", hardware.interconnect_latency_cycles, 0,
           kMaxLatencyCycles);
  map.read("dvm_latency_cycles", hardware.dvm_latency_cycles, 0, kMaxLatencyCycles);
  map.read("ipi_latency_cycles", hardware.ipi_latency_cycles, 0, kMaxLatencyCycles);
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
  const std::vector<std::string> policies{"fault", "rewalk"};
  map.read_word("hit_without_permission", atc.hit_without_permission, policies);
  map.read("hit_latency_cycles", atc.hit_latency_cycles, 1, kMaxLatencyCycles);
  map.read("invalidate_latency_cycles", atc.invalidate_latency_cycles, 1, kMaxLatencyCycles);
  map.finish();
}

}  // namespace shootdown::cosim
