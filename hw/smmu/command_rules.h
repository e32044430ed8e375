// Which commands an SMMU refuses (CERROR_ILL), and which are legal but a mistake.
// Source: Arm IHI 0070, chapter 4 and section 7.1.
#ifndef SHOOTDOWN_HW_SMMU_COMMAND_RULES_H
#define SHOOTDOWN_HW_SMMU_COMMAND_RULES_H

#include <optional>
#include <string_view>

#include "hw/arch/smmuv3_commands.h"
#include "hw/smmu/smmu_features.h"

namespace shootdown::hw {

/// Why the command is an error, if it is one. Static storage.
std::optional<std::string_view> why_illegal(const arch::smmuv3::Command& command,
                                            const SmmuFeatures& features);
/// What software should not have sent although it is carried out. Static storage.
std::optional<std::string_view> why_questionable(const arch::smmuv3::Command& command,
                                                 const SmmuFeatures& features);

}  // namespace shootdown::hw

#endif
