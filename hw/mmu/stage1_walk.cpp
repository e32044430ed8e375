#include "hw/mmu/stage1_walk.h"

namespace shootdown::hw {

namespace vmsa64 = arch::vmsa64;

Stage1Walk::Stage1Walk(const Stage1Context& context, arch::VirtAddr va)
    : va_(va),
      asid_(context.asid),
      output_bits_(context.output_bits),
      access_flag_faults_(context.access_flag_faults) {
  const std::uint64_t above0 = va.value >> (64 - context.t0sz);
  const std::uint64_t above1 = ~va.value >> (64 - context.t1sz);
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
  level_ = vmsa64::start_level(txsz);
  // A top table shorter than a page is indexed by fewer bits; those above are all equal, so that
  // the index of a TTB1 address has to lose them.
  const unsigned top_bits = 64 - txsz - vmsa64::level_shift(level_);
  if (top_bits < vmsa64::kIndexBits) {
    const std::uint64_t keep = (std::uint64_t{1} << (64 - txsz)) - 1;
    const auto full = vmsa64::table_index(va.value, level_);
    const auto used = vmsa64::table_index(va.value & keep, level_);
    table_ = {table_.value - std::uint64_t{full - used} * 8};
  }
}

Stage1Walk::Stage1Walk(const Stage1Context& context, arch::VirtAddr va,
                       const TableReference& start)
    : va_(va),
      asid_(context.asid),
      output_bits_(context.output_bits),
      access_flag_faults_(context.access_flag_faults),
      table_(start.table),
      level_(start.level),
      restrictions_(start.restrictions) {}

void Stage1Walk::feed(std::uint64_t descriptor) {
  const bool table = vmsa64::is_table(descriptor, level_);
  if (!table && !vmsa64::is_leaf(descriptor, level_)) return finish(Fault::kFTranslation);
  const std::uint64_t output = vmsa64::desc::OutputAddress::get(descriptor);
  if ((output >> output_bits_) != 0) return finish(Fault::kFAddrSize);
  if (table) {
    restrictions_.no_user |= vmsa64::desc::ApTableNoUser::get(descriptor) != 0;
    restrictions_.no_write |= vmsa64::desc::ApTableNoWrite::get(descriptor) != 0;
    table_ = vmsa64::next_table(descriptor);
    table_list_[tables_++] = {.start = arch::page_of(va_, vmsa64::level_shift(level_)),
                              .level = level_ + 1,
                              .asid = asid_,
                              .table = table_,
                              .restrictions = restrictions_};
    ++level_;
    return;
  }
  if (vmsa64::desc::Af::get(descriptor) == 0 && access_flag_faults_) {
    return finish(Fault::kFAccess);
  }
  const unsigned shift = vmsa64::level_shift(level_);
  entry_ = {.page = arch::page_of(va_, shift),
            .page_shift = shift,
            .asid = asid_,
            .global = vmsa64::desc::Ng::get(descriptor) == 0,
            .output = vmsa64::leaf_output(descriptor, level_),
            .permissions = vmsa64::leaf_permissions(descriptor, restrictions_),
            .attributes = static_cast<unsigned>(
                vmsa64::desc::Shareability::get(descriptor) << 3 |
                vmsa64::desc::AttrIndx::get(descriptor))};
  finish(Fault::kNone);
}

}  // namespace shootdown::hw
