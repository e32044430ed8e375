// Why a translation failed, whoever asked for it: a CPU's data abort and an SMMU's event record are
// renderings of the same thing. Source: Arm ARM D8.10 (MMU faults); Arm IHI 0070, section 7.3.
#ifndef SHOOTDOWN_HW_ARCH_FAULT_KIND_H
#define SHOOTDOWN_HW_ARCH_FAULT_KIND_H

#include <cstdint>
#include <string_view>

namespace shootdown::arch {

enum class FaultKind : std::uint8_t {
  kNone,
  kTranslation,  ///< no entry maps the address
  kAddressSize,  ///< an address of more bits than there are
  kAccessFlag,   ///< the entry's access flag is clear
  kPermission,   ///< the entry does not permit this access
  kWalkAbort,    ///< a descriptor could not be read (external abort on a walk)
};

constexpr std::string_view name_of(FaultKind kind) {
  switch (kind) {
    case FaultKind::kNone:
      return "none";
    case FaultKind::kTranslation:
      return "translation fault";
    case FaultKind::kAddressSize:
      return "address size fault";
    case FaultKind::kAccessFlag:
      return "access flag fault";
    case FaultKind::kPermission:
      return "permission fault";
    case FaultKind::kWalkAbort:
      return "external abort on a walk";
  }
  return "?";
}

}  // namespace shootdown::arch

#endif
