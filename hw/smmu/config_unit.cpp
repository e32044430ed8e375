#include "hw/smmu/config_unit.h"

namespace shootdown::hw {

namespace smmuv3 = arch::smmuv3;
namespace reg = arch::smmuv3::reg;

class ConfigUnit::Source : public CachedStructures {
 public:
  Source(ConfigUnit& unit, std::uint64_t access_id, const Requester& requester)
      : CachedStructures(unit.cache_), unit_(unit), access_id_(access_id), requester_(requester) {}

  bool read(arch::PhysAddr address, std::uint64_t* words, unsigned count) override {
    return unit_.bus_.read(address, words, count * 8);
  }
  Ipa translate(const Stage2Context& stage2, arch::IpaAddr ipa) override {
    const TranslationContext context = TranslationContext::of(stage2);
    const AccessRequest request{.va = {ipa.value}, .access = arch::Access::kRead};
    const Mmu::Outcome outcome = unit_.mmu_.translate(access_id_, requester_, context, request);
    if (outcome.problem.type != arch::FaultKind::kNone) return outcome.problem;
    return outcome.entry.translate(request.va);
  }

 private:
  ConfigUnit& unit_;
  std::uint64_t access_id_;
  Requester requester_;
};

StructureRules ConfigUnit::rules() const {
  return {.features = features_,
          .e2h = smmuv3::cr2::E2h::get(registers_.get(reg::kCr2)) != 0,
          .atschk = registers_.enabled(smmuv3::cr0::Atschk::kMask)};
}

ConfigResult ConfigUnit::find(std::uint64_t access_id, arch::StreamId sid,
                              std::optional<arch::SubstreamId> ssid) {
  if (const StreamConfig* cached = cache_.lookup(sid, ssid)) return *cached;
  Source source(*this, access_id,
                {.asid = {}, .stream_id = sid, .substream_id = ssid.value_or(arch::SubstreamId{})});
  ConfigResult result = walk_configuration(rules(), stream_table(), sid, ssid, source);
  if (const auto* config = std::get_if<StreamConfig>(&result)) {
    if (source.epoch() == cache_.epoch()) cache_.remember(sid, ssid, *config);
  } else {
    cache_.faulted(sid, ssid);
  }
  return result;
}

ConfigResult ConfigUnit::find_stream_entry(std::uint64_t access_id, arch::StreamId sid) {
  if (const StreamConfig* cached = cache_.lookup_stream_entry(sid)) return *cached;
  Source source(*this, access_id, {.asid = {}, .stream_id = sid, .substream_id = {}});
  ConfigResult result = walk_stream_entry(rules(), stream_table(), sid, source);
  if (const auto* config = std::get_if<StreamConfig>(&result)) {
    if (source.epoch() == cache_.epoch()) cache_.remember_stream_entry(sid, *config);
  } else {
    cache_.faulted(sid, std::nullopt);
  }
  return result;
}

}  // namespace shootdown::hw
