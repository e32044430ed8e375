// The stream table (struct arm_smmu_strtab_cfg): linear, or two-level with 256 entries a leaf,
// which are allocated for the streams of devices that are probed.
#ifndef SHOOTDOWN_SW_SMMU_STREAM_TABLE_H
#define SHOOTDOWN_SW_SMMU_STREAM_TABLE_H

#include <cstdint>
#include <optional>
#include <vector>

#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/mm/page_alloc.h"
#include "sw/smmu/entry_writer.h"
#include "sw/smmu/features.h"

namespace shootdown::sw::smmu {

class StreamTable {
 public:
  /// arm_smmu_init_strtab(). `initial` is what an STE says before its device is attached. False:
  /// out of memory.
  bool init(Cpu& cpu, PageAllocator& pages, const Features& features, const Entry& initial);
  /// arm_smmu_init_sid_strtab(): the STE of `sid` can be had. False: out of range or of memory.
  bool init_sid(Cpu& cpu, PageAllocator& pages, arch::StreamId sid);
  /// arm_smmu_get_step_for_sid(); nothing if it was never made.
  std::optional<arch::PhysAddr> find(arch::StreamId sid) const;

  std::uint64_t base_register() const;      ///< STRTAB_BASE
  std::uint32_t base_cfg_register() const;  ///< STRTAB_BASE_CFG

 private:
  static constexpr unsigned kSplit = 8;
  void fill(Cpu& cpu, arch::PhysAddr first, std::uint64_t count) const;

  Page* table_{};
  unsigned log2_{};  // StreamID bits in range
  bool two_level_{};
  Entry initial_{};
  std::vector<Page*> leaves_;
};

}  // namespace shootdown::sw::smmu

#endif
