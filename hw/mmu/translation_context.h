// What a walk needs to know beside the address: TTBRs and TCR of a CPU, or CD and STE of a stream.
#ifndef SHOOTDOWN_HW_MMU_TRANSLATION_CONTEXT_H
#define SHOOTDOWN_HW_MMU_TRANSLATION_CONTEXT_H

#include <array>

#include "hw/arch/invalidation.h"
#include "hw/arch/types.h"
#include "hw/arch/vmsa64.h"

namespace shootdown::hw {

/// One half of the stage 1 address space: that of TTBR0 or that of TTBR1.
struct Stage1Half {
  arch::PhysAddr ttb{};   ///< aligned to the top table by the walk
  unsigned tsz{16};       ///< TxSZ: the half spans 2^(64 - tsz) bytes
  bool walks_disabled{};  ///< EPDn
  arch::vmsa64::Granule granule{};
  bool ignore_top_byte{};   ///< TBIn: VA[63:56] is no part of the address
  bool ignore_hierarchy{};  ///< HADn: APTable, PXNTable and UXNTable count as 0

  bool operator==(const Stage1Half&) const = default;
};

struct Stage1Context {
  arch::TranslationSpace space{};
  std::array<Stage1Half, 2> half{Stage1Half{}, Stage1Half{.walks_disabled = true}};
  unsigned output_bits{48};       ///< effective physical (or intermediate) address size
  bool wide_output{};             ///< 52-bit output addresses exist (64 KiB granule)
  bool access_flag_faults{true};  ///< false: AFFD, an access flag of 0 counts as 1
  bool update_access_flag{};      ///< HA
  bool update_dirty{};            ///< HD, only with HA
  arch::vmsa64::PermissionRules rules{};

  bool ignores_top_byte() const { return half[0].ignore_top_byte || half[1].ignore_top_byte; }
  bool operator==(const Stage1Context&) const = default;
};

struct Stage2Context {
  arch::Vmid vmid{};
  arch::PhysAddr ttb{};  ///< aligned to the concatenated start tables by the walk
  unsigned tsz{16};      ///< S2T0SZ: an IPA has 64 - tsz bits
  int start_level{};     ///< from S2SL0 and the granule
  arch::vmsa64::Granule granule{};
  unsigned output_bits{48};
  bool wide_output{};
  bool access_flag_faults{true};      ///< false: S2AFFD
  bool update_access_flag{};          ///< S2HA
  bool update_dirty{};                ///< S2HD, only with S2HA
  bool protect_table_walks{};         ///< S2PTW: no stage 1 table in Device memory
  bool execute_never_by_privilege{};  ///< IDR3.XNX: XN has two bits

  bool operator==(const Stage2Context&) const = default;
};

class TranslationContext {
 public:
  TranslationContext() = default;
  static TranslationContext of(const Stage1Context& stage1) {
    TranslationContext context;
    context.stage1 = stage1;
    context.space = stage1.space;
    context.ignores_tags = stage1.ignores_top_byte();
    return context;
  }
  static TranslationContext of(const Stage2Context& stage2) {
    TranslationContext context;
    context.has_stage1 = false;
    context.set_stage2(stage2);
    context.space = context.stage2_space;
    return context;
  }
  static TranslationContext of(const Stage1Context& stage1, const Stage2Context& stage2) {
    TranslationContext context = of(stage1);
    context.set_stage2(stage2);
    return context;
  }

  // What a hit needs comes first.
  arch::TranslationSpace space{};  ///< how the TLB tags what this context translates
  bool ignores_tags{};             ///< one half or both ignore the top byte
  bool has_stage1{true};
  bool has_stage2{};
  arch::TranslationSpace stage2_space{};  ///< the same of translations from IPA to PA
  Stage1Context stage1{};
  Stage2Context stage2{};

  bool operator==(const TranslationContext&) const = default;

 private:
  void set_stage2(const Stage2Context& context) {
    has_stage2 = true;
    stage2 = context;
    stage2_space = {.vmid = context.vmid, .regime = arch::Regime::kStage2};
  }
};

/// What an access wants. `instruction`: a fetch, which is a read.
struct AccessRequest {
  arch::VirtAddr va{};
  arch::Access access{};
  bool privileged{};
  bool instruction{};
};

}  // namespace shootdown::hw

#endif
