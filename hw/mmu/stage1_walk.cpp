#include "hw/mmu/stage1_walk.h"

namespace shootdown::hw {

void Stage1Walk::begin_at_top(const Stage1Half& half) {
  namespace vmsa64 = arch::vmsa64;
  const unsigned top_bits = 64 - half.tsz - vmsa64::level_shift(level_, granule_);
  if (top_bits >= vmsa64::index_bits(granule_)) {
    table_ = {arch::align_down(half.ttb.value, vmsa64::granule_shift(granule_))};
    return;
  }
  // A top table shorter than a page is indexed by fewer bits; those above are all equal, so that
  // the index of a TTB1 address has to lose them.
  const std::uint64_t base = arch::align_down(
      half.ttb.value, arch::vmsa64::start_table_alignment(top_bits, context_->output_bits));
  const std::uint64_t keep = (std::uint64_t{1} << (64 - half.tsz)) - 1;
  const auto full = vmsa64::table_index(request_.va.value, level_, granule_);
  const auto used = vmsa64::table_index(request_.va.value & keep, level_, granule_);
  table_ = {base - std::uint64_t{full - used} * 8};
}

void Stage1Walk::decide_update() {
  namespace desc = arch::vmsa64::desc;
  updated_leaf_ = leaf_ | desc::Af::kMask;
  if (context_->update_dirty && request_.access == arch::Access::kWrite && entry().writable_clean) {
    const std::uint64_t dirty = updated_leaf_ & ~desc::ApReadOnly::kMask;
    const auto permissions =
        arch::vmsa64::leaf_permissions(dirty, restrictions_after(tables_), context_->rules);
    // A write that is refused all the same leaves the entry clean.
    if (permissions.permits(arch::Access::kWrite, request_.privileged)) updated_leaf_ = dirty;
  }
  if (updated_leaf_ == leaf_) return finish(Fault::kNone);
  state_ = State::kUpdate;
}

}  // namespace shootdown::hw
