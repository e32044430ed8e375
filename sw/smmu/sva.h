// Shared virtual addressing: devices walk a process's page tables, and hear of their changes.
//
// Mirrors arm-smmu-v3-sva.c, v5.18 to v6.12. Until v6.10 the CPU's ASID is pinned and shared
// (CD.ASET = 0), in the domain that the device is in; from v6.11 on (d38c28dbefee) a process has a
// domain and an ASID of the SMMU's own. One SubstreamID (PASID) per mm. The guards against command
// storms and reserved range encodings that stable kernels carry (6.5.6, 6.5.7) are in every release
// here.
#ifndef SHOOTDOWN_SW_SMMU_SVA_H
#define SHOOTDOWN_SW_SMMU_SVA_H

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/mm/mmu_notifier.h"
#include "sw/smmu/arm_smmu_v3.h"
#include "sw/smmu/domain.h"

namespace shootdown::sw::smmu {

/// One mm that devices share: struct arm_smmu_mmu_notifier, from v6.11 on a struct arm_smmu_domain
/// of stage SVA.
class SvaDomain : public MmuNotifier {
 public:
  /// `stream_domain`: the domain that the devices are in; null from v6.11 on.
  SvaDomain(ArmSmmuDevice& smmu, Mm& mm, arch::SubstreamId pasid, Domain* stream_domain)
      : smmu_(smmu), mm_(mm), pasid_(pasid), stream_domain_(stream_domain) {}

  void arch_invalidate_secondary_tlbs(Cpu& cpu, Mm& mm, arch::VirtAddr start,
                                      arch::VirtAddr end) override;
  /// arm_smmu_mm_release(): the address space is about to go; its devices' accesses fault.
  void release(Cpu& cpu, Mm& mm) override;

  bool released() const { return released_; }
  Mm& mm() { return mm_; }
  arch::SubstreamId pasid() const { return pasid_; }
  arch::Asid asid() const { return stream_domain_ != nullptr ? mm_.asid : own_.asid; }

 protected:
  // What the callbacks send: a seam for planted defects (FaultySvaDomain). Size 0: everything.
  /// CMD_TLBI_*, where the SMMU needs it, and then CMD_ATC_INV.
  virtual void invalidate(Cpu& cpu, arch::VirtAddr start, std::uint64_t size);
  virtual void tlb_inv(Cpu& cpu, arch::Asid named, arch::VirtAddr start, std::uint64_t size);
  virtual void atc_inv(Cpu& cpu, arch::VirtAddr start, std::uint64_t size);
  /// The CPUs' TLBI reach what the SMMU holds: only by an ASID that is theirs.
  bool follows_broadcasts() const {
    return stream_domain_ != nullptr && smmu_.features().broadcast;
  }
  const SoftwareInjections& inject() const { return mm_.kernel.inject; }
  ArmSmmuDevice& device() { return smmu_; }

 private:
  friend class Sva;
  /// Whose devices share the mm.
  Domain& domain() { return stream_domain_ != nullptr ? *stream_domain_ : own_; }

  ArmSmmuDevice& smmu_;
  Mm& mm_;
  arch::SubstreamId pasid_;
  Domain* stream_domain_;
  Domain own_{Domain::Stage::kSva};
  std::vector<const Master*> bound_;  ///< by Sva::bind(), once each time
  bool released_{};
};

/// Binds processes and devices (iommu_sva_bind_device()).
class Sva {
 public:
  explicit Sva(ArmSmmuDevice& smmu) : smmu_(smmu) {}

  /// The device, attached to a domain already, can use `mm` by `pasid`, the same for all devices of
  /// the mm. Null: it lacks PASIDs, the SMMU cannot share address spaces with these CPUs
  /// (ARM_SMMU_FEAT_SVA), or memory is exhausted.
  SvaDomain* bind(Cpu& cpu, Mm& mm, arch::SubstreamId pasid, Master& master);
  void unbind(Cpu& cpu, SvaDomain& domain, Master& master);
  /// The domain that serves this device's accesses to `mm`; null: not bound.
  SvaDomain* find(const Mm& mm, const Master& master);
  /// The domain that this device is bound to by `pasid`; null: to none.
  SvaDomain* find(arch::SubstreamId pasid, const Master& master);
  const std::vector<std::unique_ptr<SvaDomain>>& domains() const { return domains_; }

 private:
  SvaDomain* find_or_make(Cpu& cpu, Mm& mm, arch::SubstreamId pasid, Master& master);
  bool bind_shared_asid(Cpu& cpu, SvaDomain& domain);
  bool bind_own_asid(Cpu& cpu, SvaDomain& domain, Master& master);
  void share_asid(Cpu& cpu, arch::Asid asid);
  void unshare_asid(arch::Asid asid);
  void register_notifier(Cpu& cpu, SvaDomain& domain);
  /// mmu_notifier_put(): the last user is gone.
  void free_domain(Cpu& cpu, SvaDomain& domain);

  ArmSmmuDevice& smmu_;
  std::vector<std::unique_ptr<SvaDomain>> domains_;
  std::map<std::uint16_t, unsigned> shared_asids_;  // and how many domains share each
};

}  // namespace shootdown::sw::smmu

#endif
