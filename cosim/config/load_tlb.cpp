#include "cosim/config/load_tlb.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace shootdown::cosim {

namespace {

const std::vector<std::string> kReplacements{"plru", "lru", "random"};
const std::vector<std::string> kPermissionPolicies{"fault", "rewalk", "ignore"};

}  // namespace

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

void read_tlb(YamlMap& map, TlbModel& model, hw::MmuConfig& mmu, const RtlGeometries& rtl) {
  map.read_word("model", model, {"systemc", "rtl", "lockstep"});
  read_geometry(map, mmu.translator.tlb);
  if (model != TlbModel::kSystemc) {
    if (const auto obstacle = rtl_obstacle(mmu.translator.tlb, rtl)) {
      map.require("model").fail(obstacle->problem, obstacle->allowed);
    }
  }
  map.read_word("hit_without_permission", mmu.hit_without_permission, kPermissionPolicies);
  map.read("hit_latency_cycles", mmu.hit_latency_cycles, 1, kMaxLatencyCycles);
  map.read("invalidate_latency_cycles", mmu.invalidate_latency_cycles, 1, kMaxLatencyCycles);
}

void read_cache(YamlMap& map, const char* entries_key, unsigned& entries, const char* ways_key,
                unsigned& ways) {
  map.read(entries_key, entries, 0, kMaxCacheEntries);
  map.read(ways_key, ways, 0, kMaxCacheEntries);
  if (ways == 0 || entries == 0) return;
  if (ways > entries || entries % ways != 0) {
    // One of them is given: what presets and defaults say fits together.
    if (const auto given = map.find(entries_key)) {
      given->fail(
          fmt::format("is {}, with {} = {}", entries, ways_key, ways),
          fmt::format("a multiple of {}, which is 0 where every way is looked at", ways_key));
    }
    map.require(ways_key).fail(
        fmt::format("is {}, with {} = {}", ways, entries_key, entries),
        fmt::format("a divisor of {}, or 0: every way is looked at", entries_key));
  }
}

}  // namespace shootdown::cosim
