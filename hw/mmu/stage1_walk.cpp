#include "hw/mmu/stage1_walk.h"

namespace shootdown::hw {

namespace vmsa64 = arch::vmsa64;

void Stage1Walk::begin_at_top(const Stage1Context& context) {
  const std::uint64_t above0 = va_.value >> (64 - context.t0sz);
  const std::uint64_t above1 = ~va_.value >> (64 - context.t1sz);
  unsigned txsz = 0;
  if (above0 == 0 && !context.walks0_disabled) {
    table_ = context.ttb0;
    txsz = context.t0sz;
  } else if (above1 == 0 && !context.walks1_disabled) {
    table_ = context.ttb1;
    txsz = context.t1sz;
  } else {
    finish(Fault::kFTranslation);
    return;
  }
  level_ = first_level_ = vmsa64::start_level(txsz);
  // A top table shorter than a page is indexed by fewer bits; those above are all equal, so that
  // the index of a TTB1 address has to lose them.
  const unsigned top_bits = 64 - txsz - vmsa64::level_shift(level_);
  if (top_bits < vmsa64::kIndexBits) {
    const std::uint64_t keep = (std::uint64_t{1} << (64 - txsz)) - 1;
    const auto full = vmsa64::table_index(va_.value, level_);
    const auto used = vmsa64::table_index(va_.value & keep, level_);
    table_ = {table_.value - std::uint64_t{full - used} * 8};
  }
}

}  // namespace shootdown::hw
