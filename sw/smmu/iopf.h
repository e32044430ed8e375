// The driver's side of I/O page faults: stalled events in, CMD_RESUME out. Mirrors
// arm_smmu_handle_evt() and arm_smmu_page_response().
#ifndef SHOOTDOWN_SW_SMMU_IOPF_H
#define SHOOTDOWN_SW_SMMU_IOPF_H

#include <map>

#include "hw/arch/smmuv3_events.h"
#include "hw/arch/types.h"
#include "sw/iommu/iopf.h"
#include "sw/kernel/cpu.h"
#include "sw/smmu/arm_smmu_v3.h"
#include "sw/smmu/sva.h"

namespace shootdown::sw::smmu {

class StalledEvents : public FaultSink {
 public:
  /// All outlive this object.
  StalledEvents(ArmSmmuDevice& smmu, Sva& sva, iommu::IopfQueue& queue)
      : smmu_(smmu), sva_(sva), queue_(queue) {}
  void report_device_fault(Cpu& cpu, Master& master,
                           const arch::smmuv3::EventRecord& event) override;

 private:
  class Device : public iommu::FaultingDevice {
   public:
    Device(StalledEvents& owner, Master& master) : owner_(owner), master_(master) {}
    bool iopf_enabled() const override;
    Mm* mm_of(arch::SubstreamId pasid) override;
    void page_response(Cpu& cpu, std::uint32_t group, bool success) override;

   private:
    StalledEvents& owner_;
    Master& master_;
  };

  ArmSmmuDevice& smmu_;
  Sva& sva_;
  iommu::IopfQueue& queue_;
  std::map<const Master*, Device> devices_;
};

}  // namespace shootdown::sw::smmu

#endif
