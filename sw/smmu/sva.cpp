#include "sw/smmu/sva.h"

#include <algorithm>

#include "hw/arch/check.h"
#include "sw/smmu/attach_v6_11.h"
#include "sw/smmu/context_descriptors.h"
#include "sw/smmu/entries.h"
#include "sw/smmu/faulty_sva.h"
#include "sw/smmu/install.h"

namespace shootdown::sw::smmu {

// ---- Invalidation ----------------------------------------------------------------------------

void SvaDomain::arch_invalidate_secondary_tlbs(Cpu& cpu, Mm&, arch::VirtAddr start,
                                               arch::VirtAddr end) {
  const bool after = mm_.kernel.behaviour.notify_in_tlb_flush;
  const FunctionTrace trace(
      cpu, after ? "arm_smmu_mm_arch_invalidate_secondary_tlbs" : "arm_smmu_mm_invalidate_range");
  std::uint64_t size = end.value - start.value;
  if (smmu_.features().range_invalidation) {
    if (size == ~std::uint64_t{0}) size = 0;
  } else {
    // CMDQ_MAX_TLBI_OPS: as many commands as a leaf table has entries, and no more.
    const unsigned page_shift = smmu_.host().page_shift;
    if (size >= std::uint64_t{1} << (page_shift - 3 + page_shift)) size = 0;
  }
  invalidate(cpu, start, size);
}

void SvaDomain::invalidate(Cpu& cpu, arch::VirtAddr start, std::uint64_t size) {
  // TLBs first: an ATC that is emptied before them refills from what they still hold.
  if (!follows_broadcasts()) tlb_inv(cpu, asid(), start, size);
  atc_inv(cpu, start, size);
}

void SvaDomain::release(Cpu& cpu, Mm&) {
  const FunctionTrace trace(cpu, "arm_smmu_mm_release");
  if (released_) return;
  released_ = true;
  // Where stalling can be switched off, what the device still does ends quickly.
  const bool stalls = quiet_cd_stalls(smmu_);
  const auto quiet_cd = [&](bool stall_enabled) {
    return make_sva_cd(smmu_.host(), {.pgd = std::nullopt,
                                      .asid = asid(),
                                      .private_asid = stream_domain_ == nullptr,
                                      .stall = stalls && stall_enabled,
                                      .record = stalls});
  };
  if (stream_domain_ == nullptr) {
    for (const Attachment& attachment : own_.devices) {
      const auto cd = attachment.master->cd_table.find(attachment.ssid);
      if (!cd) continue;
      write_cd_entry(cpu, smmu_, *attachment.master, attachment.ssid, *cd,
                     quiet_cd(attachment.master->stall_enabled));
    }
  } else if (smmu_.behaviour().smmu_write_cd_entry) {
    (void)write_ctx_desc(cpu, smmu_, *stream_domain_, pasid_,
                         quiet_cd(stream_domain_->stall_enabled));
  } else {
    quiet_ctx_desc(cpu, smmu_, *stream_domain_, pasid_);
  }
  tlb_inv(cpu, asid(), {}, 0);
  atc_inv(cpu, {}, 0);
}

void SvaDomain::tlb_inv(Cpu& cpu, arch::Asid named, arch::VirtAddr start, std::uint64_t size) {
  if (size == 0) {
    smmu_.tlb_inv_asid(cpu, named);
  } else {
    smmu_.tlb_inv_range_asid(cpu, named, start.value, size, domain().leaf_shift);
  }
}

void SvaDomain::atc_inv(Cpu& cpu, arch::VirtAddr start, std::uint64_t size) {
  smmu_.atc_inv_domain(cpu, domain(), pasid_, start.value, size);
}

// ---- Binding ---------------------------------------------------------------------------------

SvaDomain* Sva::find(const Mm& mm, const Master& master) {
  for (const auto& domain : domains_) {
    const bool serves =
        domain->stream_domain_ == nullptr || domain->stream_domain_ == master.domain;
    if (&domain->mm_ == &mm && serves) return domain.get();
  }
  return nullptr;
}

SvaDomain* Sva::find(arch::SubstreamId pasid, const Master& master) {
  for (const auto& domain : domains_) {
    const auto& bound = domain->bound_;
    const bool here = std::find(bound.begin(), bound.end(), &master) != bound.end();
    if (domain->pasid_ == pasid && here) return domain.get();
  }
  return nullptr;
}

SvaDomain* Sva::find_or_make(Cpu& cpu, Mm& mm, arch::SubstreamId pasid, Master& master) {
  if (SvaDomain* found = find(mm, master)) return found;
  const bool own_asid = smmu_.behaviour().smmu_sva_domains;
  auto made = make_sva_domain(smmu_, mm, pasid, own_asid ? nullptr : master.domain);
  if (own_asid) {
    const auto asid = smmu_.asids().allocate(nullptr);
    if (!asid) return nullptr;
    made->own_.asid = arch::Asid{*asid};
    made->own_.leaf_shift = smmu_.host().page_shift;
  } else {
    share_asid(cpu, mm.asid);
  }
  register_notifier(cpu, *made);
  domains_.push_back(std::move(made));
  return domains_.back().get();
}

SvaDomain* Sva::bind(Cpu& cpu, Mm& mm, arch::SubstreamId pasid, Master& master) {
  const FunctionTrace trace(cpu, "iommu_sva_bind_device");
  if (!smmu_.features().sva || master.domain == nullptr) return nullptr;
  SvaDomain* domain = find_or_make(cpu, mm, pasid, master);
  if (domain == nullptr) return nullptr;
  const bool done = domain->stream_domain_ != nullptr
                        ? !domain->bound_.empty() || bind_shared_asid(cpu, *domain)
                        : bind_own_asid(cpu, *domain, master);
  if (!done) {
    if (domain->bound_.empty()) free_domain(cpu, *domain);
    return nullptr;
  }
  domain->bound_.push_back(&master);
  for (const arch::StreamId sid : master.device.streams) {
    cpu.trace(SvaBound{.mm = mm.id,
                       .unit = smmu_.unit(),
                       .stream_id = sid,
                       .substream_id = pasid,
                       .asid = domain->asid(),
                       .atc = master.ats_enabled,
                       .broadcast = domain->follows_broadcasts()});
  }
  return domain;
}

bool Sva::bind_shared_asid(Cpu& cpu, SvaDomain& domain) {
  Domain& devices = *domain.stream_domain_;
  const Entry cd = make_sva_cd(smmu_.host(), {.pgd = domain.mm_.pgd,
                                              .asid = domain.mm_.asid,
                                              .private_asid = false,
                                              .stall = devices.stall_enabled,
                                              .record = true});
  return write_ctx_desc(cpu, smmu_, devices, domain.pasid_, cd);
}

bool Sva::bind_own_asid(Cpu& cpu, SvaDomain& domain, Master& master) {
  const Entry cd = make_sva_cd(smmu_.host(), {.pgd = domain.mm_.pgd,
                                              .asid = domain.own_.asid,
                                              .private_asid = true,
                                              .stall = master.stall_enabled,
                                              .record = true});
  return set_pasid(cpu, smmu_, master, domain.own_, domain.pasid_, cd) == AttachResult::kOk;
}

void Sva::unbind(Cpu& cpu, SvaDomain& domain, Master& master) {
  const FunctionTrace trace(cpu, "iommu_sva_unbind_device");
  if (domain.stream_domain_ == nullptr) {
    remove_dev_pasid(cpu, smmu_, master, domain.own_, domain.pasid_);
  }
  const auto bond = std::find(domain.bound_.begin(), domain.bound_.end(), &master);
  SHOOTDOWN_CHECK(bond != domain.bound_.end(), "a device is unbound that is not bound");
  domain.bound_.erase(bond);
  if (!domain.bound_.empty()) return;
  if (domain.stream_domain_ != nullptr) {
    write_ctx_desc(cpu, smmu_, *domain.stream_domain_, domain.pasid_, {});
    // A mm that was released has left nothing behind, and nothing can have come since.
    if (!domain.released_) {
      smmu_.tlb_inv_asid(cpu, domain.mm_.asid);
      smmu_.atc_inv_domain(cpu, *domain.stream_domain_, domain.pasid_, 0, 0);
    }
  } else {
    // The ASID is empty before another can get it.
    smmu_.tlb_inv_asid(cpu, domain.own_.asid);
  }
  free_domain(cpu, domain);
}

void Sva::free_domain(Cpu& cpu, SvaDomain& domain) {
  {
    const WriteGuard lock(domain.mm_.mmap_lock, cpu);
    std::erase(domain.mm_.notifiers, &domain);
  }
  if (domain.stream_domain_ != nullptr) {
    unshare_asid(domain.mm_.asid);
  } else {
    smmu_.asids().free(domain.own_.asid.value);
  }
  std::erase_if(domains_, [&](const auto& one) { return one.get() == &domain; });
}

void Sva::register_notifier(Cpu& cpu, SvaDomain& domain) {
  const WriteGuard lock(domain.mm_.mmap_lock, cpu);
  domain.mm_.notifiers.push_back(&domain);
}

// ---- ASIDs shared with the CPUs (until v6.10) ------------------------------------------------

void Sva::share_asid(Cpu& cpu, arch::Asid asid) {
  const FunctionTrace trace(cpu, "arm_smmu_share_asid");
  if (++shared_asids_[asid.value] != 1) return;
  // A DMA domain that has the number moves to another one.
  if (Domain* holder = smmu_.asids().owner(asid.value)) {
    const auto other = smmu_.asids().allocate(holder);
    SHOOTDOWN_CHECK(other.has_value(), "no ASID is left for a domain that has to move");
    holder->asid = arch::Asid{*other};
    update_ctx_desc_asid(cpu, smmu_, *holder);
    smmu_.tlb_inv_asid(cpu, asid);
    smmu_.asids().free(asid.value);
  }
  smmu_.asids().insert(asid.value, nullptr);
}

void Sva::unshare_asid(arch::Asid asid) {
  if (--shared_asids_[asid.value] == 0) smmu_.asids().free(asid.value);
}

}  // namespace shootdown::sw::smmu
