// The SMMUv3 driver: brings the hardware up through its registers, builds its tables, invalidates,
// and empties its queues. Attaching devices: attach.h; sharing page tables with processes: sva.h.
//
// Mirrors drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c of v5.18 to v6.12, what differs between the
// releases by KernelBehaviour. Simplified: no locks except the command queue's (devices are
// attached before programs run), no power management, little-endian CPUs, wired interrupts.
#ifndef SHOOTDOWN_SW_SMMU_ARM_SMMU_V3_H
#define SHOOTDOWN_SW_SMMU_ARM_SMMU_V3_H

#include <cstdint>
#include <map>
#include <span>

#include "hw/arch/smmuv3_events.h"
#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/mm/mm_types.h"
#include "sw/smmu/cmdq.h"
#include "sw/smmu/commands.h"
#include "sw/smmu/domain.h"
#include "sw/smmu/features.h"
#include "sw/smmu/id_allocator.h"
#include "sw/smmu/registers.h"
#include "sw/smmu/stream_table.h"

namespace shootdown::sw::smmu {

struct DriverConfig {
  arch::PhysAddr registers{};
  HostProperties host;
  unsigned unit{};       ///< which SMMU of the machine, for the trace
  bool use_broadcast{};  ///< let the SMMU follow broadcast TLBI if it can (mainline never does)
};

/// What a fault handler makes of an event that stalled.
class FaultSink {
 public:
  virtual ~FaultSink() = default;
  /// iommu_report_device_fault(): queues the fault of a transaction of `master`; the answer comes
  /// later by page_response().
  virtual void report_device_fault(Cpu& cpu, Master& master,
                                   const arch::smmuv3::EventRecord& event) = 0;
};

class ArmSmmuDevice {
 public:
  ArmSmmuDevice(KernelState& kernel, const DriverConfig& config)
      : kernel_(kernel),
        config_(config),
        registers_(config.registers),
        cmdq_(registers_, config.unit) {}
  ArmSmmuDevice(const ArmSmmuDevice&) = delete;
  ArmSmmuDevice& operator=(const ArmSmmuDevice&) = delete;

  /// arm_smmu_device_hw_probe() and arm_smmu_device_reset(). False if the hardware lacks what the
  /// driver needs, or memory is exhausted.
  bool probe(Cpu& cpu);
  /// arm_smmu_probe_device(). False if its STEs cannot be had, or one of its streams is another
  /// device's. `master` stays until the last evtq_thread(), and the last fault it reported.
  bool probe_device(Cpu& cpu, Master& master);
  /// arm_smmu_find_master(): whose StreamID it is; null: no probed device's.
  Master* find_master(arch::StreamId sid) const;

  unsigned unit() const { return config_.unit; }
  const Features& features() const { return features_; }
  const HostProperties& host() const { return config_.host; }
  KernelState& kernel() { return kernel_; }
  const KernelBehaviour& behaviour() const { return kernel_.behaviour; }
  CommandQueue& cmdq() { return cmdq_; }
  StreamTable& stream_table() { return stream_table_; }
  IdAllocator& asids() { return asids_; }
  IdAllocator& vmids() { return vmids_; }
  Domain& identity() { return identity_; }
  Domain& blocked() { return blocked_; }

  // ---- Invalidation: each is complete when it returns ----
  void tlb_inv_asid(Cpu& cpu, arch::Asid asid);
  /// arm_smmu_tlb_inv_range_asid(): all of [iova, iova + size) of an SVA domain.
  void tlb_inv_range_asid(Cpu& cpu, arch::Asid asid, std::uint64_t iova, std::uint64_t size,
                          unsigned leaf_shift);
  /// arm_smmu_iotlb_sync(): [start, end] was unmapped in pages of 2^page_shift bytes; 0: nothing
  /// was.
  void iotlb_sync(Cpu& cpu, Domain& domain, std::uint64_t start, std::uint64_t last,
                  unsigned page_shift);
  /// arm_smmu_tlb_inv_walk(): tables were freed.
  void tlb_inv_walk(Cpu& cpu, Domain& domain, std::uint64_t iova, std::uint64_t size,
                    unsigned granule_shift);
  /// arm_smmu_tlb_inv_context(): flush_iotlb_all.
  void tlb_inv_context(Cpu& cpu, Domain& domain);
  /// arm_smmu_atc_inv_domain(): the ATCs of all masters. size 0: everything. `ssid`: the PASID that
  /// they use; from v6.11 on the domain knows it of each.
  void atc_inv_domain(Cpu& cpu, Domain& domain, arch::SubstreamId ssid, std::uint64_t iova,
                      std::uint64_t size);
  void atc_inv_master(Cpu& cpu, Master& master, arch::SubstreamId ssid);

  /// arm_smmu_sync_cd() for one master: what it has cached of the CD is gone.
  void sync_cd(Cpu& cpu, std::span<Master* const> masters, arch::SubstreamId ssid, bool leaf);
  void sync_ste(Cpu& cpu, arch::StreamId sid);

  /// arm_smmu_page_response(): not waited for.
  void page_response(Cpu& cpu, arch::StreamId sid, std::uint16_t stag, bool success);

  // ---- Interrupts ----
  /// arm_smmu_evtq_thread(): empties the event queue; returns when it is empty. Stalled
  /// transactions of known devices are reported; of stage 2 only from ce7cb08e22e0 on.
  void evtq_thread(Cpu& cpu, FaultSink& sink);
  /// arm_smmu_priq_thread(): denies every group of page requests, as this driver does.
  void priq_thread(Cpu& cpu);
  void gerror_handler(Cpu& cpu);

 private:
  bool init_structures(Cpu& cpu);
  void reset(Cpu& cpu);
  void setup_irqs(Cpu& cpu);
  void tlb_inv_range_domain(Cpu& cpu, Domain& domain, std::uint64_t iova, std::uint64_t size,
                            unsigned granule_shift, bool leaf);
  void handle_event(Cpu& cpu, FaultSink& sink, const arch::smmuv3::EventRecord& event);
  /// A batch and its CMD_SYNC, which a planted defect leaves out.
  void issue_invalidation(Cpu& cpu, std::span<const arch::smmuv3::Command> commands);
  void handle_page_request(Cpu& cpu, std::uint64_t dw0, std::uint64_t dw1);

  KernelState& kernel_;
  DriverConfig config_;
  Features features_;
  Registers registers_;
  CommandQueue cmdq_;
  StreamTable stream_table_;
  std::map<std::uint32_t, Master*> masters_;  // by StreamID
  Page* evtq_{};
  Page* priq_{};
  IdAllocator asids_{1};
  IdAllocator vmids_{1};  // 0 is that of streams without a stage 2
  Domain identity_{Domain::Stage::kBypass};
  Domain blocked_{Domain::Stage::kBlocked};
};

}  // namespace shootdown::sw::smmu

#endif
