// Parameters of TLBs, walkers and MMUs. Plain data; validated by whoever fills it in.
#ifndef SHOOTDOWN_HW_MMU_MMU_CONFIG_H
#define SHOOTDOWN_HW_MMU_MMU_CONFIG_H

#include <cstdint>

#include "hw/arch/x86_64.h"

namespace shootdown::hw {

enum class Replacement : std::uint8_t { kPlru, kLru, kRandom };

struct TlbGeometry {
  unsigned entries{64};
  unsigned ways{4};  ///< divides entries; entries / ways is a power of two. PLRU: a power of two
  Replacement replacement{Replacement::kPlru};
  std::uint64_t seed{1};  ///< of Replacement::kRandom
};

struct TranslatorConfig {
  TlbGeometry tlb;
  unsigned walk_cache_entries{16};
  unsigned walk_cache_ways{};  ///< divides the entries; 0: fully associative
  /// What the granule and level of a TLBI allow to stay does stay: a wrong hint leaves a stale
  /// entry. False: hints are not looked at, which is as legal.
  bool honour_level_hints{};
};

/// What a hit with too little permission does. The architecture permits the first two.
enum class HitWithoutPermission : std::uint8_t {
  kFault,   ///< a permission fault, without looking at memory
  kRewalk,  ///< a fresh walk decides; hides a missing flush after an upgrade
  kIgnore,  ///< a hardware bug: the hit path does not look at permissions
};

struct MmuConfig {
  TranslatorConfig translator;
  unsigned hit_latency_cycles{1};
  unsigned invalidate_latency_cycles{4};
  unsigned walkers{1};           ///< walks at the same time
  unsigned walk_step_cycles{0};  ///< of the walker itself, for each descriptor, beside memory's
  HitWithoutPermission hit_without_permission{HitWithoutPermission::kFault};
  bool cache_stage2{true};     ///< translations from IPA to PA get TLB entries of their own
  bool splinter_blocks{};      ///< a block is cached in pieces of one page
  bool merge_contiguous{};     ///< a Contiguous group is cached as one entry
  arch::TableFormat format{};  ///< of the tables; x86-64 walkers set accessed and dirty flags
  // Hardware defects to plant.
  bool ignore_invalidations{};     ///< acknowledges an invalidation and keeps the entries
  bool complete_without_drain{};   ///< completes while earlier walks and accesses are on their way
  bool install_overtaken_fills{};  ///< takes the epoch of a walk at its end, not at its start
};

}  // namespace shootdown::hw

#endif
