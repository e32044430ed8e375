#include "sw/smmu/faulty_sva.h"

#include "sw/smmu/commands.h"

namespace shootdown::sw::smmu {

namespace {
/// A range of the 4 KiB granule with NUM = SCALE = TTL = 0 (IHI 0070, 4.4.1).
constexpr unsigned kReservedRangeTg = 1;
}  // namespace

void FaultySvaDomain::invalidate(Cpu& cpu, arch::VirtAddr start, std::uint64_t size) {
  if (!inject().atc_inv_before_tlbi) return SvaDomain::invalidate(cpu, start, size);
  atc_inv(cpu, start, size);
  if (!follows_broadcasts()) tlb_inv(cpu, asid(), start, size);
}

void FaultySvaDomain::tlb_inv(Cpu& cpu, arch::Asid named, arch::VirtAddr start,
                              std::uint64_t size) {
  if (inject().skip_smmu_tlbi) return;
  if (inject().wrong_asid_smmu_tlbi) named.value ^= 0x8000;
  if (inject().short_smmu_tlbi && size != 0) {
    start = start + size;
    size = arch::kPageSize;
  }
  if (inject().reserved_range_command && size != 0) {
    device().cmdq().issue_with_sync(
        cpu, tlbi(TlbiTarget{.asid = named}, start.value, {.tg = kReservedRangeTg}));
    return;
  }
  SvaDomain::tlb_inv(cpu, named, start, size);
}

void FaultySvaDomain::atc_inv(Cpu& cpu, arch::VirtAddr start, std::uint64_t size) {
  if (!inject().skip_atc_inv) SvaDomain::atc_inv(cpu, start, size);
}

std::unique_ptr<SvaDomain> make_sva_domain(ArmSmmuDevice& smmu, Mm& mm, arch::SubstreamId pasid,
                                           Domain* stream_domain) {
  const SoftwareInjections& inject = mm.kernel.inject;
  const bool faulty = inject.atc_inv_before_tlbi || inject.skip_smmu_tlbi ||
                      inject.wrong_asid_smmu_tlbi || inject.short_smmu_tlbi ||
                      inject.reserved_range_command || inject.skip_atc_inv;
  if (faulty) return std::make_unique<FaultySvaDomain>(smmu, mm, pasid, stream_domain);
  return std::make_unique<SvaDomain>(smmu, mm, pasid, stream_domain);
}

}  // namespace shootdown::sw::smmu
