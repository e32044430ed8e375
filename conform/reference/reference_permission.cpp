#include "conform/reference/reference_permission.h"

#include "conform/reference/reference_bits.h"

namespace shootdown::conform::reference {

namespace {

struct Permissions {
  bool read{}, write{}, execute{};

  bool allow(const Access& access) const {
    if (access.instruction) return execute;
    return access.write ? write : read;
  }
};

bool dirty_bit_modifier(std::uint64_t leaf) { return (leaf & kDirtyBitModifier) != 0; }

}  // namespace

void Hierarchy::add(std::uint64_t table_descriptor) {
  pxn = pxn || bit(table_descriptor, 59);
  xn = xn || bit(table_descriptor, 60);
  no_unprivileged = no_unprivileged || bit(table_descriptor, 61);
  no_write = no_write || bit(table_descriptor, 62);
}

bool stage1_permits(std::uint64_t leaf, const Hierarchy& hierarchy, const Access& access,
                    const ContextDescriptor& cd, Fetch::World world, bool dirty_managed) {
  const bool read_only =
      (leaf & kStage1ReadOnly) != 0 && !(dirty_managed && dirty_bit_modifier(leaf));
  const bool writable = !read_only && !hierarchy.no_write;
  const bool xn = bit(leaf, 54) || hierarchy.xn;

  Permissions permissions;
  if (world == Fetch::World::kEl2) {
    // One privilege level: AP[1], APTable[0], PXN, PXNTable and PAN mean nothing.
    permissions = {.read = true, .write = writable, .execute = !xn};
  } else {
    const bool user_access = bit(leaf, 6) && !hierarchy.no_unprivileged;  // AP[1]
    const bool user_write = user_access && writable;
    if (access.privileged) {
      const bool pxn = bit(leaf, 53) || hierarchy.pxn;
      const bool never = cd.pan && user_access;
      // What unprivileged code may write, privileged code may not execute; so UWXN says no more.
      permissions = {.read = !never,
                     .write = writable && !never,
                     .execute = !pxn && !user_write && !(cd.wxn && writable)};
      return permissions.allow(access);
    }
    permissions = {.read = user_access, .write = user_write, .execute = !xn};
  }
  if (cd.wxn && permissions.write) permissions.execute = false;
  return permissions.allow(access);
}

bool stage2_permits(std::uint64_t leaf, const Access& access, bool xnx, bool dirty_managed) {
  Permissions permissions;
  permissions.read = bit(leaf, 6);
  permissions.write = (leaf & kStage2Write) != 0 || (dirty_managed && dirty_bit_modifier(leaf));
  const bool xn = bit(leaf, 54);
  // XN[0] turns the meaning of XN[1] about for privileged accesses.
  const bool only_other_level = xnx && bit(leaf, 53);
  if (only_other_level) {
    permissions.execute = access.privileged ? xn : !xn;
  } else {
    permissions.execute = !xn;
  }
  return permissions.allow(access);
}

}  // namespace shootdown::conform::reference
