// arch/arm64/include/asm/tlbflush.h: TLB flushes as sequences of TLBI, barriers and notifier calls.
//
// For all three granules, with range operations, level hints, KPTI and the repeat-TLBI erratum, and
// as releases changed it. What the sequences are issued on is an interface, so that those recorded
// from Linux run on the code that the simulated kernel runs.
#ifndef SHOOTDOWN_SW_ARCH_ARM64_TLBFLUSH_H
#define SHOOTDOWN_SW_ARCH_ARM64_TLBFLUSH_H

#include <cstdint>
#include <span>

#include "hw/arch/tlbi.h"
#include "hw/arch/types.h"
#include "sw/kernel/version.h"

namespace shootdown::sw {

struct Arm64Features {
  bool tlbi_range{};   ///< FEAT_TLBIRANGE
  bool ttl{};          ///< FEAT_TTL: level hints
  bool kpti{};         ///< the kernel is unmapped at EL0: user space runs on ASID | 1
  bool repeat_tlbi{};  ///< ARM64_WORKAROUND_REPEAT_TLBI: one more TLBI and DSB complete the others
};

enum class Arm64Dsb : std::uint8_t { kIshst, kIsh, kNshst, kNsh };

/// Where the sequences go: a CPU and the notifiers of the mm that is flushed.
class Arm64FlushPort {
 public:
  virtual ~Arm64FlushPort() = default;
  virtual void tlbi(arch::TlbiOp op, std::uint64_t operand) = 0;
  /// VMALLE1: this CPU only.
  virtual void tlbi_vmalle1_local() = 0;
  virtual void dsb(Arm64Dsb kind) = 0;
  virtual void isb() = 0;
  /// mmu_notifier_arch_invalidate_secondary_tlbs(), `end` exclusive.
  virtual void notify(std::uint64_t start, std::uint64_t end) = 0;
};

/// What __flush_tlb_range() takes beside the range.
struct FlushShape {
  std::uint64_t stride_bytes{arch::kPageSize};
  bool last_level{};
  int level{};  ///< level hint; unknown: 0, and TLBI_TTL_UNKNOWN from c910f2b65518 on
};

class Arm64TlbFlush {
 public:
  /// `page_shift`: 12, 14 or 16.
  Arm64TlbFlush(Arm64Features features, const KernelBehaviour& kernel,
                unsigned page_shift = arch::kPageShift);

  // `asid` is the mm's; the user's twin under KPTI is added here. Ranges are bytes, `end`
  // exclusive.
  void flush_tlb_mm(Arm64FlushPort& port, arch::Asid asid) const;
  void flush_tlb_page(Arm64FlushPort& port, arch::Asid asid, std::uint64_t address) const;
  /// Without the final DSB, which the caller owes.
  void flush_tlb_page_nosync(Arm64FlushPort& port, arch::Asid asid, std::uint64_t address) const;
  /// __flush_tlb_range(): [start, end) is rounded to the stride.
  void flush_tlb_range(Arm64FlushPort& port, arch::Asid asid, std::uint64_t start,
                       std::uint64_t end, const FlushShape& shape) const;
  void flush_tlb_range_nosync(Arm64FlushPort& port, arch::Asid asid, std::uint64_t start,
                              std::uint64_t end, const FlushShape& shape) const;
  void flush_tlb_all(Arm64FlushPort& port) const;
  void local_flush_tlb_all(Arm64FlushPort& port) const;
  void flush_tlb_kernel_range(Arm64FlushPort& port, std::uint64_t start, std::uint64_t end) const;
  /// __flush_tlb_kernel_pgtable()
  void flush_tlb_kernel_pgtable(Arm64FlushPort& port, std::uint64_t address) const;
  // Deferred unmap: arch_tlbbatch_add_pending() for each page, one arch_tlbbatch_flush() for all.
  void tlbbatch_add_pending(Arm64FlushPort& port, arch::Asid asid, std::uint64_t address) const {
    flush_tlb_page_nosync(port, asid, address);
  }
  void tlbbatch_flush(Arm64FlushPort& port) const { dsb_ish(port); }
  /// arch_flush_tlb_batched_pending()
  void flush_tlb_batched_pending(Arm64FlushPort& port, arch::Asid asid) const {
    flush_tlb_mm(port, asid);
  }

  /// Whether a range of this size is flushed as the whole mm (after rounding to the stride).
  bool flushes_whole_mm(std::uint64_t bytes, std::uint64_t stride_bytes) const;
  std::uint64_t page_bytes() const { return std::uint64_t{1} << page_shift_; }
  /// PTRS_PER_PTE: more single operations than this, and the whole ASID is cheaper.
  std::uint64_t max_tlbi_ops() const { return page_bytes() / 8; }

 private:
  void tlbi_user(Arm64FlushPort& port, arch::TlbiOp op, std::uint64_t operand) const;
  void dsb_ish(Arm64FlushPort& port) const;
  void notify(Arm64FlushPort& port, std::uint64_t start, std::uint64_t end) const;
  void range_operations(Arm64FlushPort& port, arch::Asid asid, std::uint64_t start,
                        std::uint64_t pages, const FlushShape& shape) const;
  std::uint64_t with_level(std::uint64_t operand, int level) const;
  unsigned granule() const { return (page_shift_ - 10) / 2; }  ///< 1, 2, 3: 4, 16, 64 KiB

  Arm64Features features_;
  unsigned page_shift_;
  bool notifies_;
  bool ttl_unknown_;
  bool descending_scale_;
  bool max_range_allowed_;
  bool nosync_split_;
};

}  // namespace shootdown::sw

#endif
