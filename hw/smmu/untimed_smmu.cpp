#include "hw/smmu/untimed_smmu.h"

namespace shootdown::hw {

UntimedSmmu::Result UntimedSmmu::fetch_and_translate(const Request& request) {
  const ConfigResult found =
      fetch_config(features_, table_, request.stream_id, request.substream_id,
                   [this](arch::PhysAddr address, std::uint64_t* words) {
                     if (!memory_.contains(address, arch::smmuv3::kSteBytes)) return false;
                     memory_.read(address, words, arch::smmuv3::kSteBytes);
                     return true;
                   });
  if (const auto* bad = std::get_if<ConfigFault>(&found)) return {.fault = bad->type, .pa = {}};
  const auto& config = std::get<StreamConfig>(found);
  if (config.kind == StreamConfig::Kind::kAbort) {
    return {.fault = arch::smmuv3::EventType::kFTranslation, .pa = {}};
  }
  configs_.fill(request.stream_id, request.substream_id, config, configs_.epoch());
  return translate(request, config);
}

}  // namespace shootdown::hw
