// The SMMU's translation without time: configuration, TLB, walk, permission, from the same parts
// that Smmu puts into simulated time. For benchmarks.
#ifndef SHOOTDOWN_HW_SMMU_UNTIMED_SMMU_H
#define SHOOTDOWN_HW_SMMU_UNTIMED_SMMU_H

#include <optional>

#include "hw/arch/smmuv3_events.h"
#include "hw/arch/types.h"
#include "hw/interconnect/physical_memory.h"
#include "hw/mmu/translator.h"
#include "hw/mmu/two_stage_walk.h"
#include "hw/smmu/config_cache.h"
#include "hw/smmu/config_walk.h"

namespace shootdown::hw {

class UntimedSmmu {
 public:
  struct Request {
    arch::StreamId stream_id{};
    std::optional<arch::SubstreamId> substream_id;
    arch::VirtAddr va{};
    arch::Access access{};
  };
  struct Result {
    arch::smmuv3::EventType fault{};  ///< kNone: `pa` is the output
    arch::PhysAddr pa{};
  };

  /// `memory` outlives this object.
  UntimedSmmu(const SmmuFeatures& features, const TranslatorConfig& config,
              const StreamTable& table, PhysicalMemory& memory)
      : features_(features),
        table_(table),
        memory_(memory),
        configs_({}),
        translator_(config, nullptr) {}

  Result translate(const Request& request) {
    const StreamConfig* config = configs_.lookup(request.stream_id, request.substream_id);
    if (config == nullptr) [[unlikely]]
      return fetch_and_translate(request);
    return translate(request, *config);
  }
  void invalidate(const arch::Invalidation& what) { translator_.invalidate(what); }

 private:
  class Source;

  Result translate(const Request& request, const StreamConfig& config) {
    if (config.kind == StreamConfig::Kind::kBypass) return {.fault = {}, .pa = {request.va.value}};
    arch::VirtAddr va = request.va;
    if (config.context.ignores_tags) [[unlikely]]
      va = without_tag(config.context.stage1, va);
    const TlbEntry* hit = translator_.lookup(va, config.context.space);
    if (hit == nullptr) [[unlikely]]
      return walk_and_translate({.va = va, .access = request.access}, config);
    if (!(hit->permissions & hit->stage2).permits(request.access, /*privileged=*/false))
        [[unlikely]]
      return {.fault = arch::smmuv3::EventType::kFPermission, .pa = {}};
    return {.fault = arch::smmuv3::EventType::kNone, .pa = hit->translate(va)};
  }
  /// Out of line: it would only be in the way of the hits.
  [[gnu::noinline]] Result walk_and_translate(AccessRequest request, const StreamConfig& config) {
    if (config.context.has_stage2 || config.context.stage1.update_access_flag) [[unlikely]]
      return walk_both_and_translate(request, config);
    Stage1Walk walk = translator_.begin_walk(config.context.stage1, request);
    using arch::vmsa64::Granule;
    if (walk.granule() == Granule::k4k) [[likely]] {
      // Unrolled: shifts and masks by constants.
      switch (walk.done() ? 4 : walk.level()) {
        case 0:
          if (step(walk, 0, Granule::k4k)) break;
          [[fallthrough]];
        case 1:
          if (step(walk, 1, Granule::k4k)) break;
          [[fallthrough]];
        case 2:
          if (step(walk, 2, Granule::k4k)) break;
          [[fallthrough]];
        case 3:
          step(walk, 3, Granule::k4k);
      }
    } else {
      while (!walk.done()) step(walk, walk.level(), walk.granule());
    }
    translator_.install_tables(walk, walk.invalidations);
    if (walk.fault() != arch::smmuv3::EventType::kNone) [[unlikely]]
      return {.fault = walk.fault(), .pa = {}};
    const TlbEntry entry = walk.entry();
    translator_.install(entry, walk.epoch);
    if (refusal_of(entry, request) != Refusal::kNone) [[unlikely]]
      return {.fault = arch::smmuv3::EventType::kFPermission, .pa = {}};
    return {.fault = arch::smmuv3::EventType::kNone, .pa = entry.translate(request.va)};
  }
  Result walk_both_and_translate(AccessRequest request, const StreamConfig& config);
  void run(TwoStageWalk& walk);
  /// Reads and decodes one level. Returns whether the walk has ended.
  [[gnu::always_inline]] bool step(Stage1Walk& walk, int level,
                                   arch::vmsa64::Granule granule) const {
    const arch::PhysAddr address = walk.descriptor_address(level, granule);
    if (!memory_.contains(address, 8)) [[unlikely]] {
      walk.feed_abort();
    } else {
      walk.feed(memory_.read64(address), level, granule);
    }
    return walk.done();
  }
  Result fetch_and_translate(const Request& request);

  SmmuFeatures features_;
  StreamTable table_;
  PhysicalMemory& memory_;
  ConfigCache configs_;
  Translator translator_;
};

}  // namespace shootdown::hw

#endif
