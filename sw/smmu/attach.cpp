#include "sw/smmu/attach.h"

#include "sw/smmu/attach_v6_10.h"
#include "sw/smmu/attach_v6_11.h"

namespace shootdown::sw::smmu {

AttachResult attach_dev(Cpu& cpu, ArmSmmuDevice& smmu, Master& master, Domain& domain) {
  const FunctionTrace trace(cpu, "arm_smmu_attach_dev");
  return smmu.behaviour().smmu_sva_domains ? attach_hitless(cpu, smmu, master, domain)
                                           : attach_after_detach(cpu, smmu, master, domain);
}

}  // namespace shootdown::sw::smmu
