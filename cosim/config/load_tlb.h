// The keys that TLBs have in common.
#ifndef SHOOTDOWN_COSIM_CONFIG_LOAD_TLB_H
#define SHOOTDOWN_COSIM_CONFIG_LOAD_TLB_H

#include "cosim/config/config.h"
#include "cosim/config/rtl_support.h"
#include "cosim/config/strict_yaml.h"

namespace shootdown::cosim {

inline constexpr unsigned kMaxLatencyCycles = 1'000'000;
inline constexpr unsigned kMaxCacheEntries = 4096;

void read_geometry(YamlMap& map, hw::TlbGeometry& geometry);
void read_tlb(YamlMap& map, TlbModel& model, hw::MmuConfig& mmu, const RtlGeometries& rtl);
/// A cache of `entries`, with an optional `ways` that divides them.
void read_cache(YamlMap& map, const char* entries_key, unsigned& entries, const char* ways_key,
                unsigned& ways);

}  // namespace shootdown::cosim

#endif
