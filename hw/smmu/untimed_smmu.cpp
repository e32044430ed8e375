#include "hw/smmu/untimed_smmu.h"

namespace shootdown::hw {

using arch::smmuv3::EventType;

class UntimedSmmu::Source : public CachedStructures {
 public:
  explicit Source(UntimedSmmu& smmu) : CachedStructures(smmu.configs_), smmu_(smmu) {}

  bool read(arch::PhysAddr address, std::uint64_t* words, unsigned count) override {
    if (!smmu_.memory_.contains(address, std::uint64_t{count} * 8)) return false;
    smmu_.memory_.read(address, words, std::uint64_t{count} * 8);
    return true;
  }
  Ipa translate(const Stage2Context& stage2, arch::IpaAddr ipa) override {
    const TranslationContext context = TranslationContext::of(stage2);
    const AccessRequest request{.va = {ipa.value}, .access = arch::Access::kRead};
    TwoStageWalk walk(context, request);
    smmu_.run(walk);
    if (walk.problem().type != EventType::kNone) return walk.problem();
    return walk.entry().translate(request.va);
  }

 private:
  UntimedSmmu& smmu_;
};

void UntimedSmmu::run(TwoStageWalk& walk) {
  while (walk.need() != TwoStageWalk::Need::kNothing) {
    if (walk.need() == TwoStageWalk::Need::kStage2) {
      walk.walk_stage2();
      continue;
    }
    const arch::PhysAddr address = walk.address();
    if (!memory_.contains(address, 8)) {
      walk.feed_abort();
    } else if (walk.need() == TwoStageWalk::Need::kDescriptor) {
      walk.feed(memory_.read64(address));
    } else {
      memory_.write64(address, walk.desired());
      walk.updated(true);
    }
  }
}

UntimedSmmu::Result UntimedSmmu::walk_both_and_translate(AccessRequest request,
                                                         const StreamConfig& config) {
  const TableReference* start = config.context.has_stage1
                                    ? translator_.cached_table(request.va, config.context.space)
                                    : nullptr;
  TwoStageWalk walk(config.context, request, start);
  translator_.set_age(walk);
  run(walk);
  if (walk.stage1()) translator_.install_tables(*walk.stage1(), walk.invalidations);
  if (walk.has_entry()) translator_.install(walk.entry(), walk.epoch);
  if (walk.problem().type != EventType::kNone) return {.fault = walk.problem().type, .pa = {}};
  return {.fault = EventType::kNone, .pa = walk.entry().translate(request.va)};
}

UntimedSmmu::Result UntimedSmmu::fetch_and_translate(const Request& request) {
  Source source(*this);
  const ConfigResult found = walk_configuration({.features = features_}, table_, request.stream_id,
                                                request.substream_id, source);
  if (const auto* bad = std::get_if<ConfigFault>(&found)) return {.fault = bad->type, .pa = {}};
  const auto& config = std::get<StreamConfig>(found);
  if (config.kind == StreamConfig::Kind::kAbort) {
    return {.fault = EventType::kFTranslation, .pa = {}};
  }
  configs_.remember(request.stream_id, request.substream_id, config);
  return translate(request, config);
}

}  // namespace shootdown::hw
