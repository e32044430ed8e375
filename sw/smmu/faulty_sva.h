// Planted defects of the notifier's callback, around a SvaDomain that has none.
#ifndef SHOOTDOWN_SW_SMMU_FAULTY_SVA_H
#define SHOOTDOWN_SW_SMMU_FAULTY_SVA_H

#include <memory>

#include "sw/smmu/sva.h"

namespace shootdown::sw::smmu {

/// Does what SoftwareInjections of the mm's kernel say of CMD_TLBI_*, of CMD_ATC_INV and of their
/// order, and everything else as a SvaDomain does.
class FaultySvaDomain : public SvaDomain {
 public:
  using SvaDomain::SvaDomain;

 private:
  void invalidate(Cpu& cpu, arch::VirtAddr start, std::uint64_t size) override;
  void tlb_inv(Cpu& cpu, arch::Asid named, arch::VirtAddr start, std::uint64_t size) override;
  void atc_inv(Cpu& cpu, arch::VirtAddr start, std::uint64_t size) override;
};

/// Arguments as of SvaDomain's constructor.
std::unique_ptr<SvaDomain> make_sva_domain(ArmSmmuDevice& smmu, Mm& mm, arch::SubstreamId pasid,
                                           Domain* stream_domain);

}  // namespace shootdown::sw::smmu

#endif
