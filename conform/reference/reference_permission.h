// What a leaf descriptor lets an access do. Source: Arm ARM, section D8.4, direct permissions.
#ifndef SHOOTDOWN_CONFORM_REFERENCE_REFERENCE_PERMISSION_H
#define SHOOTDOWN_CONFORM_REFERENCE_REFERENCE_PERMISSION_H

#include <cstdint>

#include "conform/reference/reference_cd.h"
#include "conform/reference/reference_smmu.h"

namespace shootdown::conform::reference {

struct Access {
  bool write{};
  bool instruction{};  ///< never with write
  bool privileged{};
};

/// Bits of a leaf descriptor that hardware updates.
inline constexpr std::uint64_t kAccessFlag = std::uint64_t{1} << 10;
inline constexpr std::uint64_t kStage1ReadOnly = std::uint64_t{1} << 7;  // AP[2]
inline constexpr std::uint64_t kStage2Write = std::uint64_t{1} << 7;     // S2AP[1]
inline constexpr std::uint64_t kDirtyBitModifier = std::uint64_t{1} << 51;

/// What the table descriptors above a leaf take away, accumulated.
struct Hierarchy {
  bool no_unprivileged{};  ///< APTable[0]
  bool no_write{};         ///< APTable[1]
  bool xn{};               ///< XNTable, UXNTable
  bool pxn{};              ///< PXNTable

  void add(std::uint64_t table_descriptor);
};

/// `dirty_managed`: hardware may clear AP[2] where DBM is set, so it counts as clear.
bool stage1_permits(std::uint64_t leaf, const Hierarchy& hierarchy, const Access& access,
                    const ContextDescriptor& cd, Fetch::World world, bool dirty_managed);

/// `xnx`: IDR3.XNX, execution permissions by privilege.
bool stage2_permits(std::uint64_t leaf, const Access& access, bool xnx, bool dirty_managed);

}  // namespace shootdown::conform::reference

#endif
