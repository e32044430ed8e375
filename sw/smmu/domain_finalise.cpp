#include "sw/smmu/domain_finalise.h"

#include "sw/smmu/io_pgtable.h"

namespace shootdown::sw::smmu {

AttachResult finalise_domain(Cpu& cpu, ArmSmmuDevice& smmu, Domain& domain) {
  if (domain.finalised) return AttachResult::kOk;
  // Stage 1 if there is one, unless stage 2 was asked for.
  if (domain.stage == Domain::Stage::kStage1 && !smmu.features().stage1) {
    domain.stage = Domain::Stage::kStage2;
  }
  const bool stage2 = domain.stage == Domain::Stage::kStage2;
  if (stage2 && !smmu.features().stage2) return AttachResult::kInvalid;
  if (!alloc_io_pgtable(cpu, smmu.kernel().pages, smmu.features(), smmu.host(), stage2,
                        domain.table)) {
    return AttachResult::kNoMemory;
  }
  domain.leaf_shift = domain.table.leaf_shift();
  const auto id = (stage2 ? smmu.vmids() : smmu.asids()).allocate(&domain);
  if (!id) return AttachResult::kNoMemory;
  if (stage2) {
    domain.vmid = arch::Vmid{*id};
  } else {
    domain.asid = arch::Asid{*id};
  }
  domain.finalised = true;
  return AttachResult::kOk;
}

}  // namespace shootdown::sw::smmu
