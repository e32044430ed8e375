// I/O page faults, whatever the IOMMU: a driver reports what its hardware has stalled, a worker
// handles it, and the driver answers. Mirrors io-pgfault.c and iommu_sva_handle_mm().
#ifndef SHOOTDOWN_SW_IOMMU_IOPF_H
#define SHOOTDOWN_SW_IOMMU_IOPF_H

#include <cstdint>
#include <deque>
#include <optional>

#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/kernel/wait_queue.h"
#include "sw/mm/mm_types.h"

namespace shootdown::sw::iommu {

/// struct iommu_fault_page_request.
struct PageRequest {
  arch::VirtAddr address{};
  std::optional<arch::SubstreamId> pasid;
  std::uint32_t group{};  ///< by which the driver answers (SMMUv3: the STAG)
  bool write{};
  bool execute{};
};

/// A device whose faults can be handled: what io-pgfault.c asks of struct device and iommu_ops.
class FaultingDevice {
 public:
  virtual ~FaultingDevice() = default;
  /// Whether somebody handles its faults (iommu_dev_enable_feature(IOPF)).
  virtual bool iopf_enabled() const = 0;
  /// The address space that it is bound to by `pasid`; null: none, or it is being torn down
  /// (mmget_not_zero()).
  virtual Mm* mm_of(arch::SubstreamId pasid) = 0;
  /// iommu_ops::page_response(). `success`: the access may be tried again.
  virtual void page_response(Cpu& cpu, std::uint32_t group, bool success) = 0;
};

class IopfQueue {
 public:
  /// Queues the fault; the answer comes later by page_response(), at once if nobody handles faults
  /// of the device. `device` outlives the queue.
  void report_device_fault(Cpu& cpu, FaultingDevice& device, const PageRequest& request);
  /// The worker: handles faults for ever.
  [[noreturn]] void worker(Cpu& cpu);

 private:
  struct Fault {
    FaultingDevice* device;
    PageRequest request;
  };
  static void handle(Cpu& cpu, const Fault& fault);

  std::deque<Fault> queue_;
  WaitQueue work_;
};

}  // namespace shootdown::sw::iommu

#endif
