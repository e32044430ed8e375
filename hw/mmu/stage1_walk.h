// One walk of VMSAv8-64 stage 1 tables, 4 KiB granule, as a state machine: the caller reads memory
// (and spends the time), the walk decides what to read next and what the descriptors mean.
//
// Source: Arm ARM D8.2-D8.4; order of the checks as in IHI 0070 section 7.3 (range, then per level
// external abort, translation, address size; then access flag). Permission is not checked here: a
// translation that permits too little for this access is still one that may be cached.
#ifndef SHOOTDOWN_HW_MMU_STAGE1_WALK_H
#define SHOOTDOWN_HW_MMU_STAGE1_WALK_H

#include <array>
#include <cstdint>

#include "hw/arch/smmuv3_events.h"
#include "hw/arch/types.h"
#include "hw/arch/vmsa64.h"
#include "hw/mmu/tlb_array.h"
#include "hw/mmu/walk_cache.h"

namespace shootdown::hw {

/// What a walk needs from TTBRn/TCR of a CPU, or from a context descriptor.
struct Stage1Context {
  arch::Asid asid{};
  arch::PhysAddr ttb0{};
  unsigned t0sz{16};
  bool walks0_disabled{};  ///< EPD0
  arch::PhysAddr ttb1{};
  unsigned t1sz{16};
  bool walks1_disabled{true};     ///< EPD1
  unsigned output_bits{48};       ///< effective physical address size
  bool access_flag_faults{true};  ///< false: AFFD, an access flag of 0 counts as 1

  bool operator==(const Stage1Context&) const = default;
};

class Stage1Walk {
 public:
  using Fault = arch::smmuv3::EventType;

  /// `start`: a table on the way, found in the walk cache; null: from the top.
  Stage1Walk(const Stage1Context& context, arch::VirtAddr va,
             const TableReference* start = nullptr);

  bool done() const { return done_; }
  int level() const { return level_; }
  /// The descriptor to read next. Only while !done().
  arch::PhysAddr descriptor_address() const { return descriptor_address(level_); }
  /// Takes the descriptor that was read there.
  void feed(std::uint64_t descriptor) { feed(descriptor, level_); }
  // The same with the level known to the compiler, for a caller that unrolls the walk.
  arch::PhysAddr descriptor_address(int level) const {
    return table_ + std::uint64_t{arch::vmsa64::table_index(va_.value, level)} * 8;
  }
  void feed(std::uint64_t descriptor, int level);
  /// The read was aborted by the bus.
  void feed_abort() { finish(Fault::kFWalkEabt); }

  /// kNone: entry() holds the translation.
  Fault fault() const { return fault_; }
  TlbEntry entry() const;
  arch::VirtAddr va() const { return va_; }
  /// Tables the walk went through, for the walk cache.
  unsigned tables() const { return tables_; }
  TableReference table(unsigned i) const {
    const int level = first_level_ + static_cast<int>(i);
    return {.start = arch::page_of(va_, arch::vmsa64::level_shift(level)),
            .level = level + 1,
            .asid = asid_,
            .table = arch::vmsa64::next_table(table_descriptors_[i]),
            .restrictions = restrictions_after(i + 1)};
  }
  /// No table on the way here takes write permission away.
  bool tables_permit_write() const { return !restrictions_after(tables_).no_write(); }
  // When the walk began; kept for its owner.
  std::uint64_t epoch{};          ///< of the TLB
  std::uint64_t invalidations{};  ///< of the whole translator

 private:
  /// What the first `tables` of the walk leave, with those above its start.
  arch::vmsa64::TableRestrictions restrictions_after(unsigned tables) const {
    arch::vmsa64::TableRestrictions result = start_restrictions_;
    for (unsigned i = 0; i < tables; ++i) result.add(table_descriptors_[i]);
    return result;
  }
  void begin_at_top(const Stage1Context& context);
  void finish_leaf(std::uint64_t descriptor);
  void finish(Fault fault) {
    done_ = true;
    fault_ = fault;
  }

  arch::VirtAddr va_;
  arch::Asid asid_;
  unsigned output_bits_;
  bool access_flag_faults_;
  arch::PhysAddr table_{};
  int level_{};
  arch::vmsa64::TableRestrictions start_restrictions_{};
  bool done_{};
  Fault fault_{Fault::kNone};
  std::uint64_t leaf_{};
  int first_level_{};
  unsigned tables_{};
  // Filled as far as tables_ says; walks are too frequent to clear it first.
  std::array<std::uint64_t, 3> table_descriptors_;
};

inline void Stage1Walk::begin_at_top(const Stage1Context& context) {
  unsigned txsz = 0;
  if (va_.value >> (64 - context.t0sz) == 0 && !context.walks0_disabled) [[likely]] {
    table_ = context.ttb0;
    txsz = context.t0sz;
  } else if (~va_.value >> (64 - context.t1sz) == 0 && !context.walks1_disabled) {
    table_ = context.ttb1;
    txsz = context.t1sz;
  } else {
    finish(Fault::kFTranslation);
    return;
  }
  level_ = first_level_ = arch::vmsa64::start_level(txsz);
  // A top table shorter than a page is indexed by fewer bits; those above are all equal, so that
  // the index of a TTB1 address has to lose them.
  const unsigned top_bits = 64 - txsz - arch::vmsa64::level_shift(level_);
  if (top_bits < arch::vmsa64::kIndexBits) [[unlikely]] {
    const std::uint64_t keep = (std::uint64_t{1} << (64 - txsz)) - 1;
    const auto full = arch::vmsa64::table_index(va_.value, level_);
    const auto used = arch::vmsa64::table_index(va_.value & keep, level_);
    table_ = {table_.value - std::uint64_t{full - used} * 8};
  }
}

inline Stage1Walk::Stage1Walk(const Stage1Context& context, arch::VirtAddr va,
                              const TableReference* start)
    : va_(va),
      asid_(context.asid),
      output_bits_(context.output_bits),
      access_flag_faults_(context.access_flag_faults) {
  if (start == nullptr) {
    begin_at_top(context);
    return;
  }
  table_ = start->table;
  level_ = first_level_ = start->level;
  start_restrictions_ = start->restrictions;
}

inline void Stage1Walk::finish_leaf(std::uint64_t descriptor) {
  const bool flag_fault = arch::vmsa64::desc::Af::get(descriptor) == 0 && access_flag_faults_;
  leaf_ = descriptor;
  finish(flag_fault ? Fault::kFAccess : Fault::kNone);
}

inline TlbEntry Stage1Walk::entry() const {
  const unsigned shift = arch::vmsa64::level_shift(level_);
  return {.page = arch::page_of(va_, shift),
          .page_shift = shift,
          .asid = asid_,
          .global = arch::vmsa64::desc::Ng::get(leaf_) == 0,
          .output = arch::vmsa64::leaf_output(leaf_, level_),
          .permissions = arch::vmsa64::leaf_permissions(leaf_, restrictions_after(tables_)),
          .attributes = static_cast<unsigned>(arch::vmsa64::desc::Shareability::get(leaf_) << 3 |
                                              arch::vmsa64::desc::AttrIndx::get(leaf_))};
}

[[gnu::always_inline]] inline void Stage1Walk::feed(std::uint64_t descriptor, int level) {
  namespace vmsa64 = arch::vmsa64;
  const bool table = vmsa64::is_table(descriptor, level);
  if (!table && !vmsa64::is_leaf(descriptor, level)) [[unlikely]]
    return finish(Fault::kFTranslation);
  const std::uint64_t output = vmsa64::desc::OutputAddress::get(descriptor);
  if ((output >> output_bits_) != 0) [[unlikely]]
    return finish(Fault::kFAddrSize);
  if (!table) return finish_leaf(descriptor);
  table_ = vmsa64::next_table(descriptor);
  table_descriptors_[tables_++] = descriptor;
  level_ = level + 1;
}

}  // namespace shootdown::hw

#endif
