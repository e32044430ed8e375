// Where the implementation that the SMMUv3 sequences were recorded from is believed to differ from
// the architecture, and what the architecture asks for there.
#ifndef SHOOTDOWN_CONFORM_SMMUV3_DEVIATIONS_H
#define SHOOTDOWN_CONFORM_SMMUV3_DEVIATIONS_H

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string_view>

#include "conform/smmuv3_outcome.h"

namespace shootdown::conform {

/// The rule of the architecture by which `model` is right although `recorded` differs: a deviation
/// that the vector or the step names, and for which `model` is what the rule asks for. Nothing if
/// there is none.
std::optional<std::string_view> rule_against_recording(const nlohmann::json& vector,
                                                       const nlohmann::json& step,
                                                       const DmaOutcome& recorded,
                                                       const DmaOutcome& model);

}  // namespace shootdown::conform

#endif
