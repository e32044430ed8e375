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
  bool walks1_disabled{true};  ///< EPD1
  unsigned output_bits{48};    ///< effective physical address size
  bool access_flag_faults{true};  ///< false: AFFD, an access flag of 0 counts as 1

  bool operator==(const Stage1Context&) const = default;
};

class Stage1Walk {
 public:
  using Fault = arch::smmuv3::EventType;

  /// A walk from the top of the tables.
  Stage1Walk(const Stage1Context& context, arch::VirtAddr va);
  /// A walk that starts at a table found in the walk cache.
  Stage1Walk(const Stage1Context& context, arch::VirtAddr va, const TableReference& start);

  bool done() const { return done_; }
  int level() const { return level_; }
  /// The descriptor to read next. Only while !done().
  arch::PhysAddr descriptor_address() const {
    return table_ + std::uint64_t{arch::vmsa64::table_index(va_.value, level_)} * 8;
  }
  /// Takes the descriptor that was read there.
  void feed(std::uint64_t descriptor);
  /// The read was aborted by the bus.
  void feed_abort() { finish(Fault::kFWalkEabt); }

  /// kNone: entry() holds the translation.
  Fault fault() const { return fault_; }
  const TlbEntry& entry() const { return entry_; }
  arch::VirtAddr va() const { return va_; }
  /// Tables the walk went through, for the walk cache.
  unsigned tables() const { return tables_; }
  const TableReference& table(unsigned i) const { return table_list_[i]; }
  // When the walk began; kept for its owner.
  std::uint64_t epoch{};          ///< of the TLB
  std::uint64_t invalidations{};  ///< of the whole translator

 private:
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
  arch::vmsa64::TableRestrictions restrictions_;
  bool done_{};
  Fault fault_{Fault::kNone};
  TlbEntry entry_;
  unsigned tables_{};
  std::array<TableReference, 3> table_list_{};
};

}  // namespace shootdown::hw

#endif
