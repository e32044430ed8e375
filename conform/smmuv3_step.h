// The fields of a step of a recorded SMMUv3 sequence, checked. All throw std::exception for what
// the format (tests/vectors/smmuv3/README.md) does not have.
#ifndef SHOOTDOWN_CONFORM_SMMUV3_STEP_H
#define SHOOTDOWN_CONFORM_SMMUV3_STEP_H

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <vector>

#include "hw/arch/smmuv3_commands.h"

namespace shootdown::conform {

/// `off`: of a register.
std::uint32_t register_offset(const nlohmann::json& step);
/// `size` of a register access: 4 or 8.
unsigned register_bytes(const nlohmann::json& step);
/// `dir`.
bool is_write(const nlohmann::json& step);
/// What a DMA access writes (`d`), or zeros for what it reads (`n`).
std::vector<std::uint8_t> dma_data(const nlohmann::json& step);

/// A command that an SMMU of the recorded identification has to refuse (CERROR_ILL), as something
/// that it carries out instead: without the reserved range, or a CMD_SYNC that signals nothing.
/// Nothing for the others.
std::optional<arch::smmuv3::Command> instead_of_illegal(const arch::smmuv3::Command& command);

}  // namespace shootdown::conform

#endif
