#include "cosim/config/load_smmu.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "cosim/config/load_tlb.h"

namespace shootdown::cosim {

namespace {

void read_queue(YamlMap& map, const char* key, unsigned& log2, std::uint64_t min,
                std::uint64_t max) {
  const auto found = map.find(key);
  if (!found) return;
  const auto entries = found->integer(min, max);
  if (!std::has_single_bit(entries)) found->fail("is no power of two", "a power of two");
  log2 = static_cast<unsigned>(std::countr_zero(entries));
}

void read_caches(YamlMap& map, hw::SmmuConfig& smmu) {
  hw::TranslatorConfig& translator = smmu.mmu.translator;
  read_cache(map, "walk_cache_entries", translator.walk_cache_entries, "walk_cache_ways",
             translator.walk_cache_ways);
  hw::ConfigCacheConfig& caches = smmu.config_cache;
  if (const auto both = map.find("config_cache_entries")) {
    caches.ste.entries = caches.cd.entries =
        static_cast<unsigned>(both->integer(0, kMaxCacheEntries));
  }
  read_cache(map, "ste_cache_entries", caches.ste.entries, "ste_cache_ways", caches.ste.ways);
  read_cache(map, "cd_cache_entries", caches.cd.entries, "cd_cache_ways", caches.cd.ways);
  map.read("l1_descriptor_cache_entries", caches.l1.entries, 0, kMaxCacheEntries);
  map.read("cache_illegal_structures", caches.cache_illegal);
  map.read("cache_stage2", smmu.mmu.cache_stage2);
  map.read("splinter_blocks", smmu.mmu.splinter_blocks);
  map.read("merge_contiguous", smmu.mmu.merge_contiguous);
  std::size_t hints = translator.honour_level_hints ? 1 : 0;
  map.read_word("level_hints", hints, {"ignore", "honour"});
  translator.honour_level_hints = hints == 1;
}

void read_granules(YamlMap& map, hw::SmmuFeatures& features) {
  const auto list = map.find("granules");
  if (!list) return;
  features.granule4k = features.granule16k = features.granule64k = false;
  for (const YamlValue& granule : list->elements()) {
    bool* const flags[] = {&features.granule4k, &features.granule16k, &features.granule64k};
    bool& flag = *flags[granule.word({"4k", "16k", "64k"})];
    if (flag) granule.fail("is given twice", "each once");
    flag = true;
  }
  if (!features.granule4k) list->fail("lacks 4k", "the CPUs' page size, 4k, among them");
}

void read_output_bits(YamlMap& map, hw::SmmuFeatures& features) {
  const auto value = map.find("output_bits");
  if (!value) return;
  const std::vector<std::string> sizes{"36", "40", "42", "44", "48", "52"};
  features.output_bits = static_cast<unsigned>(std::stoul(sizes[value->word(sizes)]));
}

void read_features(YamlMap& map, hw::SmmuFeatures& features) {
  map.read_word("faults", features.stall_model, {"stall", "terminate", "stall_forced"});
  map.read("broadcast_tlb_maintenance", features.broadcast);
  map.read("range_invalidation", features.range_invalidation);
  map.read("stage2", features.stage2);
  map.read("el2", features.hyp);
  map.read_word("hardware_update", features.hardware_update,
                {"none", "access_flag", "access_flag_and_dirty"});
  map.read("ats", features.ats);
  map.read("pri", features.pri);
  map.read("msi", features.msi);
  map.read("sev", features.sev);
  map.read("abort_only", features.abort_only);
  map.read("two_level_stream_table", features.two_level_stream_table);
  map.read("two_level_cd_table", features.two_level_cd);
  map.read("asid16", features.asid16);
  map.read("vmid16", features.vmid16);
  map.read("vmid_wildcard", features.vmid_wildcard);
  map.read("hierarchy_disable", features.hierarchy_disable);
  map.read("execute_never_by_privilege", features.execute_never_by_privilege);
  map.read("permission_overrides", features.permission_overrides);
  map.read("stream_id_bits", features.sid_bits, 1, 32);
  map.read("substream_id_bits", features.ssid_bits, 1, 20);
  read_output_bits(map, features);
  read_granules(map, features);
  map.read("bbm_level", features.bbm_level, 0, 2);
  map.read("minor_version", features.minor_version, 0, 3);
  if (const auto iidr = map.find("iidr")) {
    features.iidr = static_cast<std::uint32_t>(iidr->integer(0, 0xffffffff));
  }
  // The driver puts up to 64 commands and a CMD_SYNC into the queue at once; and its allocator
  // gives it at most 4 MiB in one piece.
  read_queue(map, "command_queue_entries", features.command_queue_log2, 128, 1 << 18);
  read_queue(map, "event_queue_entries", features.event_queue_log2, 1, 1 << 17);
  read_queue(map, "pri_queue_entries", features.pri_queue_log2, 1, 1 << 18);
  map.read("stall_max", features.stall_max, 1, 1024);
}

/// What no SMMU has (IHI 0070, 6.3.1). What came with a later minor version is let through: QEMU's
/// SMMU calls itself v3.1 and has range invalidation.
void check_combinations(YamlMap& map, const hw::SmmuFeatures& features) {
  const auto needs = [&](bool wrong, const char* key, const char* problem, const char* allowed) {
    if (!wrong) return;
    const auto given = map.find(key);
    (given ? *given : map.value().child(map.value().key() + "." + key, map.value().node()))
        .fail(problem, allowed);
  };
  needs(features.pri && !features.ats, "pri", "is true without ats",
        "false, or ats: true: PRI is part of ATS");
  needs(features.vmid16 && !features.stage2, "vmid16", "is true without stage2",
        "false, or stage2: true: VMIDs are of stage 2");
  needs(features.vmid_wildcard && !features.stage2, "vmid_wildcard", "is true without stage2",
        "false, or stage2: true: VMIDs are of stage 2");
  // The driver's allocator gives it at most 4 MiB in one piece.
  constexpr unsigned kLinearBits = 16;
  needs(!features.two_level_stream_table && features.sid_bits > kLinearBits,
        "two_level_stream_table", "is false, with more than 16 stream_id_bits",
        "true, or at most 16 stream_id_bits: a linear table is one piece of memory");
}

void check_rtl_features(YamlMap& map, const HardwareConfig& hardware) {
  if (hardware.smmu_tlb_model == TlbModel::kSystemc) return;
  const auto obstacle = rtl_obstacle(hardware.smmu);
  if (!obstacle) return;
  const auto given = map.find(obstacle->key);
  (given ? *given : map.value()).fail(obstacle->problem, obstacle->allowed);
}

}  // namespace

void read_smmu(const YamlValue& value, const RtlGeometries& rtl, HardwareConfig& hardware) {
  YamlMap map(value);
  hw::SmmuConfig& smmu = hardware.smmu;
  if (const auto tlb = map.find("tlb")) {
    YamlMap tlb_map(*tlb);
    read_tlb(tlb_map, hardware.smmu_tlb_model, smmu.mmu, rtl);
    tlb_map.finish();
  }
  read_caches(map, smmu);
  map.read("walkers", smmu.mmu.walkers, 1, 64);
  map.read("walk_step_cycles", smmu.mmu.walk_step_cycles, 0, kMaxLatencyCycles);
  read_features(map, smmu.features);
  map.read("merge_events", smmu.faults.merge_events);
  map.read("suppress_duplicate_stalls", smmu.faults.suppress_duplicates);
  map.read("early_retry_cycles", smmu.faults.early_retry_cycles, 0, kMaxLatencyCycles);
  map.read("command_latency_cycles", smmu.commands.command_latency_cycles, 1, kMaxLatencyCycles);
  map.read("atc_timeout_cycles", smmu.commands.atc_timeout_cycles, 1, 1'000'000'000);
  map.read("register_latency_cycles", smmu.register_latency_cycles, 1, kMaxLatencyCycles);
  map.read("register_update_cycles", smmu.register_update_cycles, 0, kMaxLatencyCycles);
  check_combinations(map, smmu.features);
  check_rtl_features(map, hardware);
  map.finish();
}

}  // namespace shootdown::cosim
