#include "sw/iommu/iopf.h"

#include "sw/mm/memory.h"

namespace shootdown::sw::iommu {

void IopfQueue::report_device_fault(Cpu& cpu, FaultingDevice& device, const PageRequest& request) {
  const FunctionTrace trace(cpu, "iommu_report_device_fault");
  if (!device.iopf_enabled()) {
    device.page_response(cpu, request.group, false);
    return;
  }
  queue_.push_back({.device = &device, .request = request});
  cpu.wake_all(work_);
}

void IopfQueue::worker(Cpu& cpu) {
  for (;;) {
    while (queue_.empty()) cpu.sleep_on(work_);
    const Fault fault = queue_.front();
    queue_.pop_front();
    handle(cpu, fault);
  }
}

void IopfQueue::handle(Cpu& cpu, const Fault& fault) {
  const FunctionTrace trace(cpu, "iopf_handler");
  const PageRequest& request = fault.request;
  // Without a PASID it is a DMA domain's, whose pages are pinned: nobody handles its faults.
  Mm* mm = request.pasid ? fault.device->mm_of(*request.pasid) : nullptr;
  // No region is executable here: a fetch is answered as one that its VMA does not permit.
  const bool resolved = mm != nullptr && !request.execute &&
                        fault_in(cpu, *mm, request.address,
                                 {.write = request.write, .remote = true}) == VmFault::kHandled;
  // Whatever fault_in() invalidated is complete: the retry cannot meet what it was told to drop.
  fault.device->page_response(cpu, request.group, resolved);
}

}  // namespace shootdown::sw::iommu
