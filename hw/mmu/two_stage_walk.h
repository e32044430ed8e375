// A walk through stage 1, stage 2 or both, as a state machine: the caller reads memory, looks up
// stage 2 translations if it caches them, and spends the time.
//
// With both stages every stage 1 descriptor, and at the end the output of stage 1, has an IPA that
// stage 2 translates first. Source: Arm ARM D8.2; attributes of faults: IHI 0070, section 7.3
// (S2, CLASS, IPA, FetchAddr).
#ifndef SHOOTDOWN_HW_MMU_TWO_STAGE_WALK_H
#define SHOOTDOWN_HW_MMU_TWO_STAGE_WALK_H

#include <cstdint>
#include <optional>

#include "hw/arch/fault_kind.h"
#include "hw/mmu/stage1_walk.h"
#include "hw/mmu/stage2_walk.h"
#include "hw/mmu/translation_context.h"

namespace shootdown::hw {

/// Why a translation failed, as an event record tells it.
struct TranslationProblem {
  arch::FaultKind type{};  ///< kNone: there is none
  bool stage2{};
  bool table_walk{};    ///< a table of stage 1 is at fault; else the address that was asked for
  arch::IpaAddr ipa{};  ///< what stage 2 was asked for, if it is at fault
  arch::PhysAddr fetch_address{};  ///< of the descriptor that could not be read
  bool table_write{};              ///< the access to the stage 1 table was a hardware update
};

class TwoStageWalk {
 public:
  /// What the walk needs next.
  enum class Need : std::uint8_t {
    kNothing,     ///< it has ended
    kDescriptor,  ///< the word at address(): feed() or feed_abort()
    kUpdate,      ///< the word at address() to change from expected() to desired(): updated()
    kStage2,      ///< ipa() translated: use_stage2() with a cached entry, or walk_stage2()
  };

  /// `context` outlives the walk. `start`: a stage 1 table found in the walk cache, or null.
  TwoStageWalk(const TranslationContext& context, AccessRequest request,
               const TableReference* start = nullptr);
  TwoStageWalk(const TwoStageWalk&) = delete;  // the stages point into the context
  TwoStageWalk& operator=(const TwoStageWalk&) = delete;

  Need need() const { return need_; }
  arch::PhysAddr address() const { return address_; }
  int level() const { return in_stage2() ? stage2_->level() : stage1_->level(); }
  bool in_stage2() const { return stage2_.has_value(); }
  void feed(std::uint64_t descriptor);
  void feed_abort();
  std::uint64_t expected() const {
    return in_stage2() ? stage2_->update_expected() : stage1_->update_expected();
  }
  std::uint64_t desired() const {
    return in_stage2() ? stage2_->update_desired() : stage1_->update_desired();
  }
  void updated(bool stored);
  arch::IpaAddr ipa() const { return ipa_; }
  /// What is going to be done at the PA: a stage 1 descriptor is read, or updated.
  arch::Access stage2_access() const;
  void use_stage2(const TlbEntry& entry);
  void walk_stage2();
  /// A stage 2 walk has just ended with this entry, which may be cached. Cleared by the next step.
  const std::optional<TlbEntry>& found_stage2() const { return found_stage2_; }

  const TranslationProblem& problem() const { return problem_; }
  /// Only without a problem, or with F_PERMISSION of stage 1 where there is no stage 2: permission
  /// is part of the problem, but what was found may be cached all the same.
  bool has_entry() const { return has_entry_; }
  const TlbEntry& entry() const { return entry_; }
  const std::optional<Stage1Walk>& stage1() const { return stage1_; }

  // When the walk began; kept for its owner.
  std::uint64_t epoch{};
  std::uint64_t invalidations{};

 private:
  enum class Target : std::uint8_t { kTable, kTableUpdate, kOutput };

  void continue_stage1();
  void finish_stage1();
  void ask_stage2(arch::IpaAddr ipa, Target target);
  void step_stage2();
  void stage2_done(const TlbEntry& entry);
  void fail(arch::FaultKind type);
  void fail_stage2(arch::FaultKind type);
  void complete(const TlbEntry& entry);

  const TranslationContext* context_;
  AccessRequest request_;
  std::optional<Stage1Walk> stage1_;
  std::optional<Stage2Walk> stage2_;  // while it walks
  std::optional<TlbEntry> found_stage2_;
  Target target_{Target::kOutput};
  Need need_{Need::kNothing};
  arch::PhysAddr address_{};
  arch::IpaAddr ipa_{};
  TranslationProblem problem_{};
  bool has_entry_{};
  TlbEntry entry_{};
};

/// Which stage refuses an access that a TLB entry translates, if any does.
enum class Refusal : std::uint8_t { kNone, kStage1, kStage2 };
inline bool permits(arch::vmsa64::Permissions permissions, AccessRequest request) {
  return request.instruction ? permissions.permits_fetch(request.privileged)
                             : permissions.permits(request.access, request.privileged);
}
inline Refusal refusal_of(const TlbEntry& entry, AccessRequest request) {
  if (permits(entry.permissions & entry.stage2, request)) [[likely]]
    return Refusal::kNone;
  return permits(entry.permissions, request) ? Refusal::kStage2 : Refusal::kStage1;
}
/// What a refusal is called, for a TLB entry that was found.
TranslationProblem permission_problem(const TlbEntry& entry, AccessRequest request,
                                      Refusal refusal);
/// A write for which the entry would be good enough once it is marked dirty in memory.
inline bool waits_for_dirty(const TlbEntry& entry, AccessRequest request) {
  return entry.writable_clean && request.access == arch::Access::kWrite;
}

}  // namespace shootdown::hw

#endif
