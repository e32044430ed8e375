// A table of context descriptors (struct arm_smmu_ctx_desc_cfg): linear, or two-level with leaf
// tables that are allocated when somebody first asks for them.
#ifndef SHOOTDOWN_SW_SMMU_CD_TABLE_H
#define SHOOTDOWN_SW_SMMU_CD_TABLE_H

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/mm/page_alloc.h"

namespace shootdown::sw::smmu {

class CdTable {
 public:
  /// arm_smmu_alloc_cd_tables(): room for 2^ssid_bits CDs. False: out of memory.
  bool alloc(Cpu& cpu, PageAllocator& pages, unsigned ssid_bits, bool two_level);
  bool allocated() const { return table_ != nullptr; }

  /// arm_smmu_get_cd_ptr(): the CD of `ssid`; nothing if its leaf table is not there.
  std::optional<arch::PhysAddr> find(arch::SubstreamId ssid) const;
  /// arm_smmu_alloc_cd_ptr(): the same, allocating the leaf table. `linked` is called when the
  /// first-level descriptor has been changed. Nothing: out of memory.
  std::optional<arch::PhysAddr> find_or_alloc(Cpu& cpu, PageAllocator& pages,
                                              arch::SubstreamId ssid,
                                              const std::function<void()>& linked);

  arch::PhysAddr address() const { return table_ == nullptr ? arch::PhysAddr{} : table_->address; }
  unsigned cd_max() const { return ssid_bits_; }                        ///< STE.S1CDMax
  unsigned format() const { return two_level_ ? kTwoLevelFormat : 0; }  ///< STE.S1Fmt

  unsigned used_ssids{};  ///< valid CDs other than that of SubstreamID 0

 private:
  static constexpr unsigned kTwoLevelFormat = 2;  // 64 KiB leaf tables
  static constexpr unsigned kLeafLog2 = 10;

  Page* table_{};
  unsigned ssid_bits_{};
  bool two_level_{};
  std::vector<Page*> leaves_;
};

}  // namespace shootdown::sw::smmu

#endif
