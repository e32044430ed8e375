#include "sw/smmu/iopf.h"

namespace shootdown::sw::smmu {

namespace smmuv3 = arch::smmuv3;

void StalledEvents::report_device_fault(Cpu& cpu, Master& master,
                                        const smmuv3::EventRecord& event) {
  iommu::PageRequest request;
  request.address = {event[2]};
  if (smmuv3::event0::Ssv::get(event[0]) != 0) {
    request.pasid =
        arch::SubstreamId{static_cast<std::uint32_t>(smmuv3::event0::Ssid::get(event[0]))};
  }
  request.group = static_cast<std::uint32_t>(smmuv3::event1::Stag::get(event[1]));
  request.write = smmuv3::event1::Rnw::get(event[1]) == 0;
  request.execute = smmuv3::event1::Ind::get(event[1]) != 0;
  const auto device = devices_.try_emplace(&master, *this, master).first;
  queue_.report_device_fault(cpu, device->second, request);
}

bool StalledEvents::Device::iopf_enabled() const {
  // Devices of several streams get none (arm_smmu_master_iopf_supported()); the answer then names
  // the first stream.
  return master_.device.streams.size() == 1;
}

Mm* StalledEvents::Device::mm_of(arch::SubstreamId pasid) {
  SvaDomain* domain = owner_.sva_.find(pasid, master_);
  return domain == nullptr || domain->released() ? nullptr : &domain->mm();
}

void StalledEvents::Device::page_response(Cpu& cpu, std::uint32_t group, bool success) {
  owner_.smmu_.page_response(cpu, master_.device.streams.front(), static_cast<std::uint16_t>(group),
                             success);
}

}  // namespace shootdown::sw::smmu
