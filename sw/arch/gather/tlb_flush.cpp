#include "sw/arch/gather/tlb_flush.h"

namespace shootdown::sw {

namespace {

void generic_tlb_flush(const MmuGather& tlb, FlushFunctions& flush) {
  if (tlb.config().knobs.no_range) {
    if (tlb.end != 0) flush.flush_tlb_mm();
  } else if (tlb.fullmm || tlb.need_flush_all) {
    flush.flush_tlb_mm();
  } else if (tlb.end != 0) {
    flush.flush_tlb_range(tlb.start, tlb.end, tlb.vma_exec, tlb.vma_huge);
  }
}

/// tlb_get_level(): the level of the leaves, if all are of one.
int arm64_level(const GatherShape& shape, const MmuGather& tlb) {
  const int unknown = shape.arm64_ttl_unknown ? kArm64TtlUnknown : 0;
  if (tlb.freed_tables) return unknown;
  const int levels = tlb.cleared_ptes + tlb.cleared_pmds + tlb.cleared_puds + tlb.cleared_p4ds;
  if (levels != 1) return unknown;
  return tlb.cleared_ptes ? 3 : tlb.cleared_pmds ? 2 : tlb.cleared_puds ? 1 : 0;
}

void arm64_tlb_flush(const GatherShape& shape, const MmuGather& tlb, FlushFunctions& flush) {
  const bool unshared = shape.arm64_unshare_walk_cache && tlb.unshared_tables;
  const bool last_level = !tlb.freed_tables && !unshared;
  if (tlb.fullmm) {
    // Without freed tables nothing is needed: the ASID is not used again before a full flush.
    if (!last_level) flush.flush_tlb_mm();
    return;
  }
  flush.arm64_flush_tlb_range(tlb.start, tlb.end, tlb.tlb_get_unmap_size(), last_level,
                              arm64_level(shape, tlb));
}

void x86_tlb_flush(const MmuGather& tlb, FlushFunctions& flush) {
  const bool all = tlb.fullmm || tlb.need_flush_all;
  flush.x86_flush_tlb_mm_range(all ? 0 : tlb.start, all ? ~std::uint64_t{0} : tlb.end,
                               tlb.tlb_get_unmap_shift(), tlb.freed_tables);
}

void riscv_tlb_flush(const GatherShape& shape, const MmuGather& tlb, FlushFunctions& flush) {
  // SFENCE.VMA with an address orders leaf entries only.
  if (!shape.riscv_range_flush || tlb.fullmm || tlb.need_flush_all || tlb.freed_tables) {
    flush.flush_tlb_mm();
  } else {
    // The function takes 32 bits: a stride of 512 GiB becomes none.
    flush.riscv_flush_tlb_mm_range(tlb.start, tlb.end,
                                   static_cast<std::uint32_t>(tlb.tlb_get_unmap_size()));
  }
}

/// radix_get_mmu_psize(); -1 for a size that the MMU does not know.
int ppc_psize(std::uint64_t page_size) {
  switch (page_size) {
    case std::uint64_t{1} << 12:
      return FlushFunctions::kPpc4K;
    case std::uint64_t{1} << 21:
      return FlushFunctions::kPpc2M;
    case std::uint64_t{1} << 30:
      return FlushFunctions::kPpc1G;
    default:
      return -1;
  }
}

void ppc_radix_tlb_flush(const GatherShape& shape, const MmuGather& tlb, FlushFunctions& flush) {
  const int psize = ppc_psize(tlb.page_size);
  if (shape.ppc_lazy_shootdown && tlb.fullmm) {
    flush.ppc_exit_lazy_tlbs();
    flush.ppc_flush_all_mm(true);
  } else if (!shape.ppc_lazy_shootdown && (tlb.fullmm || tlb.need_flush_all)) {
    flush.ppc_flush_all_mm(true);
  } else if (psize < 0) {
    if (tlb.freed_tables) {
      flush.ppc_flush_all_mm(false);
    } else {
      flush.ppc_flush_mm();
    }
  } else {
    flush.ppc_flush_range(tlb.start, tlb.end, psize, tlb.freed_tables);
  }
}

}  // namespace

void tlb_flush(const GatherShape& shape, const MmuGather& tlb, FlushFunctions& flush) {
  switch (shape.rule) {
    case TlbFlushRule::kGeneric:
      return generic_tlb_flush(tlb, flush);
    case TlbFlushRule::kArm64:
      return arm64_tlb_flush(shape, tlb, flush);
    case TlbFlushRule::kX86:
      return x86_tlb_flush(tlb, flush);
    case TlbFlushRule::kRiscv:
      return riscv_tlb_flush(shape, tlb, flush);
    case TlbFlushRule::kPowerpcRadix:
      return ppc_radix_tlb_flush(shape, tlb, flush);
    case TlbFlushRule::kPowerpcHash:
      return flush.ppc_hash_flush_pending();
    case TlbFlushRule::kSparc64:
      return flush.sparc64_flush_tlb_pending();
    case TlbFlushRule::kS390:
      return flush.s390_flush_mm_lazy();
  }
}

}  // namespace shootdown::sw
