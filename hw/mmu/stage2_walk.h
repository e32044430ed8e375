// One walk of VMSAv8-64 stage 2 tables, from an IPA to a PA, as a state machine like Stage1Walk.
//
// Source: Arm ARM D8.2-D8.5 (concatenated start tables: D8.2.6); STE.S2* fields: IHI 0070, 5.2.
#ifndef SHOOTDOWN_HW_MMU_STAGE2_WALK_H
#define SHOOTDOWN_HW_MMU_STAGE2_WALK_H

#include <cstdint>

#include "hw/arch/fault_kind.h"
#include "hw/arch/types.h"
#include "hw/arch/vmsa64.h"
#include "hw/mmu/tlb_array.h"
#include "hw/mmu/translation_context.h"

namespace shootdown::hw {

class Stage2Walk {
 public:
  using Fault = arch::FaultKind;

  /// `context` outlives the walk. `access`: what is going to be done at the PA.
  Stage2Walk(const Stage2Context& context, arch::IpaAddr ipa, arch::Access access);

  bool done() const { return state_ == State::kDone; }
  int level() const { return level_; }
  arch::PhysAddr descriptor_address() const;
  void feed(std::uint64_t descriptor);
  void feed_abort() { finish(Fault::kWalkAbort); }
  // Hardware update, as in Stage1Walk.
  bool wants_update() const { return state_ == State::kUpdate; }
  std::uint64_t update_expected() const { return leaf_; }
  std::uint64_t update_desired() const { return updated_leaf_; }
  void updated(bool stored);

  Fault fault() const { return fault_; }
  /// A TLB entry of regime kStage2: `page` is an IPA. Permission is not checked.
  TlbEntry entry() const;

 private:
  enum class State : std::uint8_t { kRead, kUpdate, kDone };
  void finish(Fault fault) {
    state_ = State::kDone;
    fault_ = fault;
  }
  void finish_leaf(std::uint64_t descriptor);

  const Stage2Context* context_;
  arch::IpaAddr ipa_;
  arch::Access access_;
  arch::PhysAddr table_{};
  int level_{};
  State state_{State::kRead};
  Fault fault_{Fault::kNone};
  std::uint64_t leaf_{};
  std::uint64_t updated_leaf_{};
};

/// Whether a start level suits the IPA size: enough bits for one entry, at most 16 tables side by
/// side (Arm ARM, AArch64.S2InconsistentSL).
constexpr bool stage2_start_is_consistent(unsigned tsz, int start_level,
                                          arch::vmsa64::Granule granule) {
  constexpr unsigned kConcatenationBits = 4;
  const unsigned input_bits = 64 - tsz;
  const unsigned shift = arch::vmsa64::level_shift(start_level, granule);
  return input_bits > shift &&
         input_bits <= shift + arch::vmsa64::index_bits(granule) + kConcatenationBits;
}

}  // namespace shootdown::hw

#endif
