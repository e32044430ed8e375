// Shared virtual addressing: devices walk a process's page tables, and hear of their changes.
//
// Mirrors arm-smmu-v3-sva.c and iommu-sva.c / io-pgfault.c, v5.18 to v6.7: the CPU's ASID is
// pinned and shared (ASET = 0), one SubstreamID (PASID) per mm. The guards against command storms
// and reserved range encodings that stable kernels carry (6.5.6, 6.5.7) are in every release here.
#ifndef SHOOTDOWN_SW_SMMU_SVA_H
#define SHOOTDOWN_SW_SMMU_SVA_H

#include <cstdint>
#include <deque>
#include <vector>

#include "hw/arch/smmuv3_events.h"
#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/mm/mmu_notifier.h"
#include "sw/smmu/arm_smmu_v3.h"

namespace shootdown::sw::smmu {

/// One mm bound to one SMMU (struct arm_smmu_mmu_notifier).
class SvaDomain : public MmuNotifier {
 public:
  SvaDomain(ArmSmmuDevice& smmu, Mm& mm, arch::SubstreamId pasid)
      : smmu_(smmu), mm_(mm), pasid_(pasid) {}

  /// arm_smmu_sva_bind(): the first bind registers the notifier.
  void bind(Cpu& cpu, Master& master);
  void arch_invalidate_secondary_tlbs(Cpu& cpu, Mm& mm, arch::VirtAddr start,
                                      arch::VirtAddr end) override;
  /// arm_smmu_mm_release(): the address space is about to go; its devices' accesses fault.
  void release(Cpu& cpu, Mm& mm) override;
  bool released() const { return released_; }
  Mm& mm() { return mm_; }
  arch::SubstreamId pasid() const { return pasid_; }

 private:
  void tlb_inv(Cpu& cpu, arch::VirtAddr start, std::uint64_t size);
  void atc_inv_domain(Cpu& cpu, arch::VirtAddr start, std::uint64_t size);

  ArmSmmuDevice& smmu_;
  Mm& mm_;
  arch::SubstreamId pasid_;
  std::vector<Master*> masters_;
  bool released_{};
};

/// The I/O page-fault queue: stalled events in, RESUME out.
class IopfQueue : public FaultSink {
 public:
  explicit IopfQueue(ArmSmmuDevice& smmu) : smmu_(smmu) {}
  void add_domain(SvaDomain& domain) { domains_.push_back(&domain); }
  void report_device_fault(Cpu& cpu, const arch::smmuv3::EventRecord& event) override;
  /// The worker: handles faults for ever.
  [[noreturn]] void worker(Cpu& cpu);

 private:
  void handle(Cpu& cpu, const arch::smmuv3::EventRecord& event);
  SvaDomain* find_domain(arch::SubstreamId pasid);

  ArmSmmuDevice& smmu_;
  std::vector<SvaDomain*> domains_;
  std::deque<arch::smmuv3::EventRecord> queue_;
  WaitQueue work_;
};

}  // namespace shootdown::sw::smmu

#endif
