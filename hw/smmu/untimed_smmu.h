// The SMMU's translation without time: configuration, TLB, walk, permission, from the same parts
// that Smmu puts into simulated time. For benchmarks, and for replaying what other
// implementations did.
#ifndef SHOOTDOWN_HW_SMMU_UNTIMED_SMMU_H
#define SHOOTDOWN_HW_SMMU_UNTIMED_SMMU_H

#include <optional>

#include "hw/arch/smmuv3_events.h"
#include "hw/arch/types.h"
#include "hw/interconnect/physical_memory.h"
#include "hw/mmu/translator.h"
#include "hw/smmu/config_cache.h"
#include "hw/smmu/config_decode.h"

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
              const StreamTable& table, const PhysicalMemory& memory)
      : features_(features),
        table_(table),
        memory_(memory),
        configs_(16),
        translator_(config, nullptr) {}

  Result translate(const Request& request) {
    const StreamConfig* config = configs_.lookup(request.stream_id, request.substream_id);
    if (config == nullptr) [[unlikely]]
      return fetch_and_translate(request);
    return translate(request, *config);
  }
  void invalidate(const arch::Invalidation& what) { translator_.invalidate(what); }

 private:
  Result translate(const Request& request, const StreamConfig& config) {
    if (config.kind == StreamConfig::Kind::kBypass) return {.fault = {}, .pa = {request.va.value}};
    if (const TlbEntry* hit = translator_.lookup(request.va, config.context.asid)) [[likely]] {
      return finish(request, *hit);
    }
    return walk_and_translate(request, config);
  }
  /// Out of line: it would only be in the way of the hits.
  [[gnu::noinline]] Result walk_and_translate(const Request& request, const StreamConfig& config) {
    Stage1Walk walk = translator_.begin_walk(config.context, request.va);
    if (!walk.done()) {
      switch (walk.level()) {
        case 0:
          if (step(walk, 0)) break;
          [[fallthrough]];
        case 1:
          if (step(walk, 1)) break;
          [[fallthrough]];
        case 2:
          if (step(walk, 2)) break;
          [[fallthrough]];
        default:
          step(walk, 3);
      }
    }
    translator_.install(walk);
    if (walk.fault() != arch::smmuv3::EventType::kNone) [[unlikely]]
      return {.fault = walk.fault(), .pa = {}};
    return finish(request, walk.entry());
  }
  /// Reads and decodes one level. Returns whether the walk has ended.
  [[gnu::always_inline]] bool step(Stage1Walk& walk, int level) const {
    const arch::PhysAddr address = walk.descriptor_address(level);
    if (!memory_.contains(address, 8)) [[unlikely]] {
      walk.feed_abort();
    } else {
      walk.feed(memory_.read64(address), level);
    }
    return walk.done();
  }
  static Result finish(const Request& request, const TlbEntry& entry) {
    if (!entry.permissions.permits(request.access, /*privileged=*/false)) [[unlikely]] {
      return {.fault = arch::smmuv3::EventType::kFPermission, .pa = {}};
    }
    return {.fault = arch::smmuv3::EventType::kNone, .pa = entry.translate(request.va)};
  }
  Result fetch_and_translate(const Request& request);

  SmmuFeatures features_;
  StreamTable table_;
  const PhysicalMemory& memory_;
  ConfigCache configs_;
  Translator translator_;
};

}  // namespace shootdown::hw

#endif
