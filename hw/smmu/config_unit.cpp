#include "hw/smmu/config_unit.h"

namespace shootdown::hw {

namespace smmuv3 = arch::smmuv3;
namespace reg = arch::smmuv3::reg;

/// One look-up's view of caches and memory. Remembers the epoch before anything is read.
class ConfigUnit::Source : public StructureSource {
 public:
  Source(ConfigUnit& unit, std::uint64_t access_id, const Requester& requester)
      : unit_(unit), access_id_(access_id), requester_(requester), epoch_(unit.cache_.epoch()) {}

  const smmuv3::Ste* cached_ste(arch::StreamId sid) override { return unit_.cache_.ste(sid); }
  const smmuv3::Cd* cached_cd(arch::StreamId sid, arch::SubstreamId ssid) override {
    return unit_.cache_.cd(sid, ssid);
  }
  const std::uint64_t* cached_l1std(arch::StreamId first) override {
    return unit_.cache_.l1std(first);
  }
  const std::uint64_t* cached_l1cd(arch::StreamId sid, arch::SubstreamId first) override {
    return unit_.cache_.l1cd(sid, first);
  }
  void fetched_ste(arch::StreamId sid, const smmuv3::Ste& ste) override {
    unit_.cache_.fill_ste(sid, ste, epoch_);
  }
  void fetched_cd(arch::StreamId sid, arch::SubstreamId ssid, const smmuv3::Cd& cd) override {
    unit_.cache_.fill_cd(sid, ssid, cd, epoch_);
  }
  void fetched_l1std(arch::StreamId first, std::uint64_t descriptor) override {
    unit_.cache_.fill_l1std(first, descriptor, epoch_);
  }
  void fetched_l1cd(arch::StreamId sid, arch::SubstreamId first,
                    std::uint64_t descriptor) override {
    unit_.cache_.fill_l1cd(sid, first, descriptor, epoch_);
  }
  bool read(arch::PhysAddr address, std::uint64_t* words, unsigned count) override {
    return unit_.bus_.read(address, words, count * 8);
  }
  Ipa translate(const Stage2Context& stage2, arch::IpaAddr ipa) override {
    const TranslationContext context = TranslationContext::of(stage2);
    const AccessRequest request{.va = {ipa.value}, .access = arch::Access::kRead};
    const Mmu::Outcome outcome = unit_.mmu_.translate(access_id_, requester_, context, request);
    if (outcome.problem.type != smmuv3::EventType::kNone) return outcome.problem;
    return outcome.entry.translate(request.va);
  }
  std::uint64_t epoch() const { return epoch_; }

 private:
  ConfigUnit& unit_;
  std::uint64_t access_id_;
  Requester requester_;
  std::uint64_t epoch_;
};

StructureRules ConfigUnit::rules() const {
  return {.features = features_,
          .e2h = smmuv3::cr2::E2h::get(registers_.get(reg::kCr2)) != 0,
          .atschk = registers_.enabled(smmuv3::cr0::Atschk::kMask)};
}

ConfigResult ConfigUnit::find(std::uint64_t access_id, arch::StreamId sid,
                              std::optional<arch::SubstreamId> ssid) {
  if (const StreamConfig* cached = cache_.lookup(sid, ssid)) return *cached;
  const StreamTable table = StreamTable::of(registers_.get64(reg::kStrtabBase),
                                            registers_.get(reg::kStrtabBaseCfg), features_);
  Source source(*this, access_id,
                {.asid = {}, .stream_id = sid, .substream_id = ssid.value_or(arch::SubstreamId{})});
  ConfigResult result = walk_configuration(rules(), table, sid, ssid, source);
  if (const auto* config = std::get_if<StreamConfig>(&result)) {
    if (source.epoch() == cache_.epoch()) cache_.remember(sid, ssid, *config);
  } else {
    cache_.faulted(sid, ssid);
  }
  return result;
}

}  // namespace shootdown::hw
