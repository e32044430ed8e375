// One walk of VMSAv8-64 stage 1 tables as a state machine: the caller reads memory (and spends the
// time), the walk decides what to read next and what the descriptors mean.
//
// Source: Arm ARM D8.2-D8.5; order of the checks as in IHI 0070 section 7.3 (range, then per level
// external abort, translation, address size; then access flag). Permission is not checked here: a
// translation that permits too little for this access is still one that may be cached.
#ifndef SHOOTDOWN_HW_MMU_STAGE1_WALK_H
#define SHOOTDOWN_HW_MMU_STAGE1_WALK_H

#include <array>
#include <cstdint>

#include "hw/arch/fault_kind.h"
#include "hw/arch/types.h"
#include "hw/arch/vmsa64.h"
#include "hw/mmu/tlb_array.h"
#include "hw/mmu/translation_context.h"
#include "hw/mmu/walk_cache.h"

namespace shootdown::hw {

class Stage1Walk {
 public:
  using Fault = arch::FaultKind;

  /// `context` outlives the walk. `start`: a table on the way, found in the walk cache; null: from
  /// the top. The address of `request` has had its top byte replaced if that is ignored.
  Stage1Walk(const Stage1Context& context, AccessRequest request,
             const TableReference* start = nullptr);

  bool done() const { return state_ == State::kDone; }
  int level() const { return level_; }
  arch::vmsa64::Granule granule() const { return granule_; }
  /// The descriptor to read next. Only while !done() and !wants_update().
  arch::PhysAddr descriptor_address() const { return descriptor_address(level_, granule_); }
  /// Takes the descriptor that was read there.
  void feed(std::uint64_t descriptor) { feed(descriptor, level_, granule_); }
  // As above, with level and granule known to the compiler, for a caller that unrolls the walk.
  arch::PhysAddr descriptor_address(int level, arch::vmsa64::Granule granule) const {
    return table_ + std::uint64_t{arch::vmsa64::table_index(request_.va.value, level, granule)} * 8;
  }
  void feed(std::uint64_t descriptor, int level, arch::vmsa64::Granule granule);
  /// The read was aborted by the bus.
  void feed_abort() { finish(Fault::kWalkAbort); }

  /// Hardware update (HTTU): the descriptor last read has to become update_desired() before it may
  /// be used, if memory still holds update_expected().
  bool wants_update() const { return state_ == State::kUpdate; }
  std::uint64_t update_expected() const { return leaf_; }
  std::uint64_t update_desired() const { return updated_leaf_; }
  /// `stored`: memory held what was expected. Else the descriptor is read again.
  void updated(bool stored) {
    if (stored) {
      leaf_ = updated_leaf_;
      finish(Fault::kNone);
    } else {
      state_ = State::kRead;
    }
  }

  /// kNone: entry() holds the translation.
  Fault fault() const { return fault_; }
  TlbEntry entry() const;
  /// The leaf says that it is one of a group that may be cached as one.
  bool contiguous() const { return arch::vmsa64::desc::Contiguous::get(leaf_) != 0; }
  arch::VirtAddr va() const { return request_.va; }
  /// Tables the walk went through, for the walk cache.
  unsigned tables() const { return tables_; }
  TableReference table(unsigned i) const {
    const int level = first_level_ + static_cast<int>(i);
    return {.start = arch::page_of(request_.va, arch::vmsa64::level_shift(level, granule_)),
            .level = level + 1,
            .space = context_->space,
            .granule = granule_,
            .table = {arch::vmsa64::output_address(table_descriptors_[i], granule_,
                                                   context_->wide_output)},
            .restrictions = restrictions_after(i + 1)};
  }
  /// No table on the way here takes write permission away.
  bool tables_permit_write() const { return !above_.no_write(); }
  // When the walk began; kept for its owner.
  std::uint64_t epoch{};          ///< of the TLB
  std::uint64_t invalidations{};  ///< of the whole translator

 private:
  enum class State : std::uint8_t { kRead, kUpdate, kDone };

  /// What the first `tables` of the walk leave, with those above its start.
  arch::vmsa64::TableRestrictions restrictions_after(unsigned tables) const {
    arch::vmsa64::TableRestrictions result = start_restrictions_;
    if (ignore_hierarchy_) [[unlikely]]
      return result;
    for (unsigned i = 0; i < tables; ++i) result.add(table_descriptors_[i]);
    return result;
  }
  bool begin_in(unsigned half, std::uint64_t bits_above);
  void finish_leaf(std::uint64_t descriptor);
  // Out of line and static: an object whose address they took would have to live in memory.
  static arch::PhysAddr top_table(const Stage1Half& half, int level, arch::VirtAddr va,
                                  unsigned output_bits);
  /// The hardware may make it writable (DBM).
  static bool writable_clean(std::uint64_t leaf, arch::vmsa64::TableRestrictions above) {
    namespace desc = arch::vmsa64::desc;
    return desc::Dbm::get(leaf) != 0 && desc::ApReadOnly::get(leaf) != 0 && !above.no_write();
  }
  /// The leaf with the flags that the access sets in it.
  static std::uint64_t marked(std::uint64_t leaf, const Stage1Context& context,
                              arch::vmsa64::TableRestrictions above, AccessRequest request);
  void finish(Fault fault) {
    state_ = State::kDone;
    fault_ = fault;
  }

  const Stage1Context* context_;
  AccessRequest request_;
  arch::PhysAddr table_{};
  int level_{};
  arch::vmsa64::Granule granule_{};
  bool ignore_hierarchy_{};
  arch::vmsa64::TableRestrictions start_restrictions_{};
  State state_{State::kRead};
  Fault fault_{Fault::kNone};
  arch::vmsa64::TableRestrictions above_{};
  std::uint64_t leaf_{};
  std::uint64_t updated_leaf_;
  int first_level_{};
  unsigned tables_{};
  // Filled as far as tables_ says; walks are too frequent to clear it first.
  std::array<std::uint64_t, 3> table_descriptors_;
};

/// The address that a stage 1 context translates: with an ignored top byte replaced by VA[55].
inline arch::VirtAddr without_tag(const Stage1Context& context, arch::VirtAddr va) {
  constexpr unsigned kTagBits = 8;
  const unsigned half = va.value >> 55 & 1;
  if (!context.half[half].ignore_top_byte) [[likely]]
    return va;
  return {static_cast<std::uint64_t>(static_cast<std::int64_t>(va.value << kTagBits) >> kTagBits)};
}

inline bool Stage1Walk::begin_in(unsigned half, std::uint64_t bits_above) {
  namespace vmsa64 = arch::vmsa64;
  const Stage1Half& part = context_->half[half];
  if (bits_above >> (64 - part.tsz) != 0 || part.walks_disabled) return false;
  granule_ = part.granule;
  ignore_hierarchy_ = part.ignore_hierarchy;
  // The common granule by constants: a division by a number known at compile time is none.
  if (granule_ == vmsa64::Granule::k4k) [[likely]] {
    level_ = first_level_ = vmsa64::start_level(part.tsz);
    if (64 - part.tsz - vmsa64::level_shift(level_) >= vmsa64::kIndexBits) [[likely]] {
      table_ = {arch::align_down(part.ttb.value, arch::kPageShift)};
      return true;
    }
  } else {
    level_ = first_level_ = vmsa64::start_level(part.tsz, granule_);
  }
  table_ = top_table(part, level_, request_.va, context_->output_bits);
  return true;
}

inline Stage1Walk::Stage1Walk(const Stage1Context& context, AccessRequest request,
                              const TableReference* start)
    : context_(&context), request_(request) {
  if (start == nullptr) {
    if (begin_in(0, request.va.value)) [[likely]]
      return;
    if (!begin_in(1, ~request.va.value)) finish(Fault::kTranslation);
    return;
  }
  table_ = start->table;
  level_ = first_level_ = start->level;
  granule_ = start->granule;
  ignore_hierarchy_ = context.half[request.va.value >> 55 & 1].ignore_hierarchy;
  start_restrictions_ = above_ = start->restrictions;
}

inline void Stage1Walk::finish_leaf(std::uint64_t descriptor) {
  leaf_ = descriptor;
  if (context_->update_access_flag) [[unlikely]] {
    updated_leaf_ = marked(leaf_, *context_, above_, request_);
    if (updated_leaf_ == leaf_) return finish(Fault::kNone);
    state_ = State::kUpdate;
    return;
  }
  const bool young = arch::vmsa64::desc::Af::get(descriptor) != 0;
  finish(young || !context_->access_flag_faults ? Fault::kNone : Fault::kAccessFlag);
}

inline TlbEntry Stage1Walk::entry() const {
  namespace vmsa64 = arch::vmsa64;
  const unsigned shift = granule_ == vmsa64::Granule::k4k ? vmsa64::level_shift(level_)
                                                          : vmsa64::level_shift(level_, granule_);
  const vmsa64::TableRestrictions above = above_;
  const std::uint64_t output = granule_ == vmsa64::Granule::k4k
                                   ? vmsa64::desc::OutputAddress::get(leaf_)
                                   : vmsa64::output_address(leaf_, granule_, context_->wide_output);
  return {
      .page = arch::page_of(request_.va, shift),
      .output = {arch::align_down(output, shift)},
      .ipa = {},
      .space = context_->space,
      // The EL2 regime without ASIDs has no global entries either: all are alike.
      .global = vmsa64::desc::Ng::get(leaf_) == 0 && context_->space.regime != arch::Regime::kEl2,
      .writable_clean = context_->update_dirty && writable_clean(leaf_, above),
      .page_shift = static_cast<std::uint8_t>(shift),
      .attributes = static_cast<std::uint8_t>(vmsa64::desc::Shareability::get(leaf_) << 3 |
                                              vmsa64::desc::AttrIndx::get(leaf_)),
      .granule = granule_,
      .level = static_cast<std::uint8_t>(level_),
      .block_shift = 0,
      .permissions = context_->rules.plain()
                         ? vmsa64::leaf_permissions(leaf_, above)
                         : vmsa64::leaf_permissions(leaf_, above, context_->rules),
      .stage2 = vmsa64::Permissions::all()};
}

[[gnu::always_inline]] inline void Stage1Walk::feed(std::uint64_t descriptor, int level,
                                                    arch::vmsa64::Granule granule) {
  namespace vmsa64 = arch::vmsa64;
  const bool table = vmsa64::is_table(descriptor, level);
  const bool leaf = vmsa64::is_leaf(descriptor, level, granule, context_->wide_output);
  if (!table && !leaf) [[unlikely]]
    return finish(Fault::kTranslation);
  const std::uint64_t output = vmsa64::output_address(descriptor, granule, context_->wide_output);
  if ((output >> context_->output_bits) != 0) [[unlikely]]
    return finish(Fault::kAddressSize);
  if (!table) return finish_leaf(descriptor);
  table_ = {output};
  table_descriptors_[tables_++] = descriptor;
  if (!ignore_hierarchy_) [[likely]]
    above_.add(descriptor);
  level_ = level + 1;
}

}  // namespace shootdown::hw

#endif
