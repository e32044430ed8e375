// Which architecture the kernel runs on, and how it gathers.
#ifndef SHOOTDOWN_COSIM_CONFIG_ARCHITECTURE_CONFIG_H
#define SHOOTDOWN_COSIM_CONFIG_ARCHITECTURE_CONFIG_H

#include <cstdint>
#include <optional>
#include <string>

#include "sw/mm/gather_config.h"

namespace shootdown::cosim {

struct ArchitectureConfig {
  enum class Kind : std::uint8_t { kArm64, kX86, kGeneric };
  Kind kind{Kind::kArm64};
  std::string shape{"arm64"};            ///< of struct mmu_gather: gather_shape_names()
  std::optional<sw::GatherKnobs> knobs;  ///< in the place of the shape's; generic only
  bool broadcast{true};                  ///< CPUs' TLBs are reached by broadcast; else by IPI

  std::string name() const {
    const char* kNames[] = {"arm64", "x86", "generic"};
    const std::string base = kNames[static_cast<unsigned>(kind)];
    const bool plain = shape == base || (kind == Kind::kX86 && shape == "x86_native");
    return plain ? base : base + "/" + shape;
  }
};

}  // namespace shootdown::cosim

#endif
