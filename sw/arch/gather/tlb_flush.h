// tlb_flush() of each architecture's asm/tlb.h: which of its flush functions a gather ends in.
#ifndef SHOOTDOWN_SW_ARCH_GATHER_TLB_FLUSH_H
#define SHOOTDOWN_SW_ARCH_GATHER_TLB_FLUSH_H

#include <cstdint>

#include "hw/arch/check.h"
#include "sw/arch/gather/shapes.h"
#include "sw/mm/mmu_gather.h"

namespace shootdown::sw {

/// The flush functions, of all architectures; one implements those that its own rule calls. Ranges
/// are bytes, `end` exclusive.
class FlushFunctions {
 public:
  virtual ~FlushFunctions() = default;
  virtual void flush_tlb_mm() { absent(); }
  /// The area's flags are all that the function sees of it.
  virtual void flush_tlb_range(std::uint64_t /*start*/, std::uint64_t /*end*/, bool /*exec*/,
                               bool /*huge*/) {
    absent();
  }
  /// arm64 __flush_tlb_range()
  virtual void arm64_flush_tlb_range(std::uint64_t /*start*/, std::uint64_t /*end*/,
                                     std::uint64_t /*stride*/, bool /*last_level*/, int /*level*/) {
    absent();
  }
  /// x86 flush_tlb_mm_range(); 0 to ~0: everything
  virtual void x86_flush_tlb_mm_range(std::uint64_t /*start*/, std::uint64_t /*end*/,
                                      unsigned /*stride_shift*/, bool /*freed_tables*/) {
    absent();
  }
  /// riscv flush_tlb_mm_range()
  virtual void riscv_flush_tlb_mm_range(std::uint64_t /*start*/, std::uint64_t /*end*/,
                                        std::uint64_t /*stride*/) {
    absent();
  }
  /// powerpc: MMU_PAGE_4K, MMU_PAGE_2M, MMU_PAGE_1G as the kernel numbers them.
  enum PpcPageSize : int { kPpc4K = 0, kPpc2M = 7, kPpc1G = 13 };
  virtual void ppc_flush_range(std::uint64_t /*start*/, std::uint64_t /*end*/, int /*psize*/,
                               bool /*page_walk_cache*/) {
    absent();
  }
  virtual void ppc_flush_mm() { absent(); }
  /// `full`: beyond this mm's own process ID (the flag of __flush_all_mm()).
  virtual void ppc_flush_all_mm(bool /*full*/) { absent(); }
  virtual void ppc_exit_lazy_tlbs() { absent(); }
  virtual void ppc_hash_flush_pending() { absent(); }
  virtual void sparc64_flush_tlb_pending() { absent(); }
  /// Flushes if the mm is marked, and takes the mark away.
  virtual void s390_flush_mm_lazy() { absent(); }

 private:
  static void absent() { SHOOTDOWN_CHECK(false, "not a flush function of this architecture"); }
};

/// The level hint that says nothing.
inline constexpr int kArm64TtlUnknown = 0x7fffffff;  ///< TLBI_TTL_UNKNOWN from c910f2b65518 on

void tlb_flush(const GatherShape& shape, const MmuGather& tlb, FlushFunctions& flush);

}  // namespace shootdown::sw

#endif
