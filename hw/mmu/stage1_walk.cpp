#include "hw/mmu/stage1_walk.h"

namespace shootdown::hw {

arch::PhysAddr Stage1Walk::top_table(const Stage1Half& half, int level, arch::VirtAddr va,
                                     unsigned output_bits) {
  namespace vmsa64 = arch::vmsa64;
  const unsigned top_bits = 64 - half.tsz - vmsa64::level_shift(level, half.granule);
  if (top_bits >= vmsa64::index_bits(half.granule)) {
    return {arch::align_down(half.ttb.value, vmsa64::granule_shift(half.granule))};
  }
  // A top table shorter than a page is indexed by fewer bits; those above are all equal, so that
  // the index of a TTB1 address has to lose them.
  const std::uint64_t base =
      arch::align_down(half.ttb.value, vmsa64::start_table_alignment(top_bits, output_bits));
  const std::uint64_t keep = (std::uint64_t{1} << (64 - half.tsz)) - 1;
  const auto full = vmsa64::table_index(va.value, level, half.granule);
  const auto used = vmsa64::table_index(va.value & keep, level, half.granule);
  return {base - std::uint64_t{full - used} * 8};
}

std::uint64_t Stage1Walk::marked(std::uint64_t leaf, const Stage1Context& context,
                                 arch::vmsa64::TableRestrictions above, AccessRequest request) {
  namespace desc = arch::vmsa64::desc;
  const std::uint64_t used = leaf | desc::Af::kMask;
  if (!context.update_dirty || request.access != arch::Access::kWrite ||
      !writable_clean(leaf, above)) {
    return used;
  }
  const std::uint64_t dirty = used & ~desc::ApReadOnly::kMask;
  const auto permissions = arch::vmsa64::leaf_permissions(dirty, above, context.rules);
  // A write that is refused all the same leaves the entry clean.
  return permissions.permits(arch::Access::kWrite, request.privileged) ? dirty : used;
}

}  // namespace shootdown::hw
