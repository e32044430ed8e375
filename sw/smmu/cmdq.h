// The driver's end of the command queue. Mirrors arm_smmu_cmdq_issue_cmdlist() and
// arm_smmu_cmdq_batch_add() of arm-smmu-v3.c. Simplified: one spinlock in the place of the
// lock-free insertion.
#ifndef SHOOTDOWN_SW_SMMU_CMDQ_H
#define SHOOTDOWN_SW_SMMU_CMDQ_H

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "hw/arch/smmuv3_commands.h"
#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/kernel/lock.h"
#include "sw/mm/page_alloc.h"
#include "sw/smmu/features.h"
#include "sw/smmu/registers.h"

namespace shootdown::sw::smmu {

class CommandQueue {
 public:
  /// `unit`: which SMMU of the machine, for the trace.
  CommandQueue(Registers& registers, unsigned unit) : registers_(registers), unit_(unit) {}

  /// Allocates the queue. False: out of memory.
  bool init(Cpu& cpu, PageAllocator& pages, const Features& features);
  /// Tells the SMMU where the queue is. CR0.CMDQEN is off.
  void write_base(Cpu& cpu);

  /// Publishes the commands by one write of CMDQ_PROD; with `sync`, adds a CMD_SYNC and waits until
  /// it has completed. Does not sleep.
  void issue_cmdlist(Cpu& cpu, std::span<const arch::smmuv3::Command> commands, bool sync);
  /// arm_smmu_cmdq_issue_cmd(): one command, not waited for.
  void issue(Cpu& cpu, const arch::smmuv3::Command& command) {
    issue_cmdlist(cpu, {&command, 1}, false);
  }
  void issue_with_sync(Cpu& cpu, const arch::smmuv3::Command& command) {
    issue_cmdlist(cpu, {&command, 1}, true);
  }

  /// arm_smmu_cmdq_batch_add() for all of `commands`, then arm_smmu_cmdq_batch_submit(): pieces of
  /// 64, a CMD_SYNC after the last (`sync`; false: a planted defect). Where each batch needs one
  /// (ARM_SMMU_OPT_CMDQ_FORCE_SYNC), pieces of 63 with a CMD_SYNC each.
  void issue_batch(Cpu& cpu, std::span<const arch::smmuv3::Command> commands, bool sync = true);

  /// arm_smmu_cmdq_skip_err(): the SMMU has stopped at a command. One that it refused becomes a
  /// CMD_SYNC; a CMD_SYNC that timed out, and a fetch that failed, are tried again as they are.
  void skip_err(Cpu& cpu);
  std::uint32_t prod() const { return prod_; }
  arch::PhysAddr base() const { return memory_->address; }

 private:
  arch::PhysAddr slot(std::uint32_t index) const;
  void wait_for_space(Cpu& cpu, std::size_t count);
  void wait_until_consumed(Cpu& cpu, std::uint32_t prod);
  void wait_for_msi(Cpu& cpu, arch::PhysAddr sync_command);

  Registers& registers_;
  unsigned unit_;
  Page* memory_{};
  unsigned log2_{};
  bool msi_polling_{};
  bool force_sync_{};
  SpinLock lock_;
  std::uint32_t prod_{};
  std::uint32_t cons_{};  // as last read
  std::deque<std::uint32_t>
      awaited_;  // PROD behind each CMD_SYNC that somebody waits for, in order
};

}  // namespace shootdown::sw::smmu

#endif
