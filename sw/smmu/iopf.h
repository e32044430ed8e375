// I/O page faults: stalled events in, CMD_RESUME out. Mirrors io-pgfault.c and
// iommu_sva_handle_mm().
#ifndef SHOOTDOWN_SW_SMMU_IOPF_H
#define SHOOTDOWN_SW_SMMU_IOPF_H

#include <deque>

#include "hw/arch/smmuv3_events.h"
#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/smmu/arm_smmu_v3.h"
#include "sw/smmu/sva.h"

namespace shootdown::sw::smmu {

class IopfQueue : public FaultSink {
 public:
  IopfQueue(ArmSmmuDevice& smmu, Sva& sva) : smmu_(smmu), sva_(sva) {}
  void report_device_fault(Cpu& cpu, Master& master,
                           const arch::smmuv3::EventRecord& event) override;
  /// The worker: handles faults for ever.
  [[noreturn]] void worker(Cpu& cpu);

 private:
  struct Fault {
    Master* master;
    arch::smmuv3::EventRecord event;
  };
  void handle(Cpu& cpu, const Fault& fault);

  ArmSmmuDevice& smmu_;
  Sva& sva_;
  std::deque<Fault> queue_;
  WaitQueue work_;
};

}  // namespace shootdown::sw::smmu

#endif
