#include "sw/smmu/iopf.h"

#include "sw/mm/memory.h"

namespace shootdown::sw::smmu {

namespace smmuv3 = arch::smmuv3;

void IopfQueue::report_device_fault(Cpu& cpu, Master& master, const smmuv3::EventRecord& event) {
  const FunctionTrace trace(cpu, "iommu_report_device_fault");
  // Devices of several streams get no I/O page faults (arm_smmu_master_iopf_supported()): nobody
  // cares, and the answer names the first stream.
  if (master.device.streams.size() != 1) {
    const auto stag = static_cast<std::uint16_t>(smmuv3::event1::Stag::get(event[1]));
    smmu_.page_response(cpu, master.device.streams.front(), stag, false);
    return;
  }
  queue_.push_back({.master = &master, .event = event});
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
  const smmuv3::EventRecord& event = fault.event;
  const arch::SubstreamId pasid{static_cast<std::uint32_t>(smmuv3::event0::Ssid::get(event[0]))};
  const auto stag = static_cast<std::uint16_t>(smmuv3::event1::Stag::get(event[1]));
  // Without a PASID it is a DMA domain's, whose pages are pinned: nobody handles its faults.
  const bool has_pasid = smmuv3::event0::Ssv::get(event[0]) != 0;
  SvaDomain* domain = has_pasid ? sva_.find(pasid, *fault.master) : nullptr;
  bool resolved = false;
  // No region is executable here: a fetch is answered as one that its VMA does not permit.
  const bool fetch = smmuv3::event1::Ind::get(event[1]) != 0;
  if (domain != nullptr && !domain->released() && !fetch) {  // mmget_not_zero()
    const bool write = smmuv3::event1::Rnw::get(event[1]) == 0;
    resolved = fault_in(cpu, domain->mm(), arch::VirtAddr{event[2]},
                        {.write = write, .remote = true}) == VmFault::kHandled;
  }
  // Whatever fault_in() invalidated is complete: the retry cannot meet what it was told to drop.
  smmu_.page_response(cpu, fault.master->device.streams.front(), stag, resolved);
}

}  // namespace shootdown::sw::smmu
