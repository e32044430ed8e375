// Translation table walks: stage 1, stage 2, and stage 1 on top of stage 2.
// Source: Arm IHI 0070, sections 3.4, 3.13 and 7.3.22; Arm ARM, sections D8.2 to D8.5.
#ifndef SHOOTDOWN_CONFORM_REFERENCE_REFERENCE_WALK_H
#define SHOOTDOWN_CONFORM_REFERENCE_REFERENCE_WALK_H

#include <cstdint>

#include "conform/reference/reference_cd.h"
#include "conform/reference/reference_event.h"
#include "conform/reference/reference_features.h"
#include "conform/reference/reference_permission.h"
#include "conform/reference/reference_smmu.h"
#include "conform/reference/reference_ste.h"

namespace shootdown::conform::reference {

/// The walks of one transaction. `transaction` after the overrides of the STE.
class Walker {
 public:
  Walker(const Features& features, const Registers& registers, const StreamTableEntry& ste,
         const Transaction& transaction, Memory& memory);

  /// Of a legal STE with stage 2. `with_stage1`: what is translated belongs to a stage 1.
  Result<std::uint64_t> stage2(std::uint64_t ipa, const Access& access, Fetch::For what_for,
                               bool with_stage1);

  /// The transaction through the CD, and through stage 2 if the STE has it.
  Result<std::uint64_t> translate(const ContextDescriptor& cd);

 private:
  /// A descriptor and where it came from.
  struct Descriptor {
    Fetch fetch;
    std::uint64_t ipa{};  ///< stage 1: before stage 2
    std::uint64_t value{};
  };

  Access transaction_access() const;
  /// Updates a descriptor in memory. False: it has changed meanwhile.
  bool update(Descriptor& descriptor, std::uint64_t desired);

  // What the fetches of stage 2 have in common.
  Fetch stage2_fetch(std::uint64_t ipa, Fetch::For what_for, bool with_stage1) const;
  Result<Descriptor> stage2_leaf(std::uint64_t ipa, Fetch::For what_for, bool with_stage1);

  struct Stage1Input;
  struct Stage1Leaf;
  Result<Stage1Input> select_table(const ContextDescriptor& cd) const;
  Result<Stage1Leaf> stage1_leaf(const ContextDescriptor& cd, const Stage1Input& input);
  Result<Descriptor> read_stage1(const ContextDescriptor& cd, const Stage1Input& input, int level,
                                 std::uint64_t address);
  Result<std::uint64_t> stage1(const ContextDescriptor& cd);

  const Features& features_;
  const Registers& registers_;
  const StreamTableEntry& ste_;
  const Transaction& transaction_;
  Memory& memory_;
  Fetch::World world_;
  /// As far as known: a CD tells the ASID and whether the address has a tag.
  std::uint64_t va_;
  std::uint16_t asid_{};
  bool aset_{};
};

}  // namespace shootdown::conform::reference

#endif
