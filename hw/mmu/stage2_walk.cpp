#include "hw/mmu/stage2_walk.h"

namespace shootdown::hw {

namespace vmsa64 = arch::vmsa64;
namespace desc = arch::vmsa64::desc;

Stage2Walk::Stage2Walk(const Stage2Context& context, arch::IpaAddr ipa, arch::Access access)
    : context_(&context), ipa_(ipa), access_(access), level_(context.start_level) {
  const unsigned input_bits = 64 - context.tsz;
  if (ipa.value >> input_bits != 0) {
    finish(Fault::kTranslation);
    return;
  }
  // One table or up to 16 side by side, aligned together; indexed by all the bits there are.
  const unsigned entries_log2 = input_bits - vmsa64::level_shift(level_, context.granule);
  table_ = {arch::align_down(context.ttb.value,
                             vmsa64::start_table_alignment(entries_log2, context.output_bits))};
}

arch::PhysAddr Stage2Walk::descriptor_address() const {
  const std::uint64_t index = level_ == context_->start_level
                                  ? ipa_.value >> vmsa64::level_shift(level_, context_->granule)
                                  : vmsa64::table_index(ipa_.value, level_, context_->granule);
  return table_ + index * 8;
}

void Stage2Walk::feed(std::uint64_t descriptor) {
  const bool table = vmsa64::is_table(descriptor, level_);
  if (!table && !vmsa64::is_leaf(descriptor, level_, context_->granule, context_->wide_output)) {
    return finish(Fault::kTranslation);
  }
  const std::uint64_t output =
      vmsa64::output_address(descriptor, context_->granule, context_->wide_output);
  if (output >> context_->output_bits != 0) return finish(Fault::kAddressSize);
  if (!table) return finish_leaf(descriptor);
  table_ = {output};
  ++level_;
}

void Stage2Walk::finish_leaf(std::uint64_t descriptor) {
  leaf_ = descriptor;
  if (!context_->update_access_flag) {
    const bool young = desc::Af::get(descriptor) != 0;
    return finish(young || !context_->access_flag_faults ? Fault::kNone : Fault::kAccessFlag);
  }
  updated_leaf_ = descriptor | desc::Af::kMask;
  if (access_ == arch::Access::kWrite && entry().writable_clean) {
    updated_leaf_ |= desc::S2Write::kMask;
  }
  if (updated_leaf_ == descriptor) return finish(Fault::kNone);
  state_ = State::kUpdate;
}

void Stage2Walk::updated(bool stored) {
  if (!stored) {
    state_ = State::kRead;
    return;
  }
  leaf_ = updated_leaf_;
  finish(Fault::kNone);
}

TlbEntry Stage2Walk::entry() const {
  const unsigned shift = vmsa64::level_shift(level_, context_->granule);
  const std::uint64_t page = arch::align_down(ipa_.value, shift);
  TlbEntry entry;
  entry.page = {page};
  entry.page_shift = static_cast<std::uint8_t>(shift);
  entry.global = true;  // no ASID takes part
  entry.output = {arch::align_down(
      vmsa64::output_address(leaf_, context_->granule, context_->wide_output), shift)};
  entry.permissions = vmsa64::Permissions::all();
  entry.attributes =
      static_cast<std::uint8_t>(desc::Shareability::get(leaf_) << 4 | desc::S2MemAttr::get(leaf_));
  entry.space = {.vmid = context_->vmid, .regime = arch::Regime::kStage2};
  entry.granule = context_->granule;
  entry.level = static_cast<std::uint8_t>(level_);
  entry.writable_clean =
      context_->update_dirty && desc::Dbm::get(leaf_) != 0 && desc::S2Write::get(leaf_) == 0;
  entry.stage2 = vmsa64::stage2_permissions(leaf_, context_->execute_never_by_privilege);
  entry.ipa = {page};
  return entry;
}

}  // namespace shootdown::hw
