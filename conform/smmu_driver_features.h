// What Linux's driver was recorded to make of the ID registers, against what this one does.
#ifndef SHOOTDOWN_CONFORM_SMMU_DRIVER_FEATURES_H
#define SHOOTDOWN_CONFORM_SMMU_DRIVER_FEATURES_H

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "sw/smmu/features.h"

namespace shootdown::conform {

/// The first difference; empty: none. `driver` is that of a session.
std::string compare_features(const sw::smmu::Features& features, const nlohmann::json& driver);

}  // namespace shootdown::conform

#endif
