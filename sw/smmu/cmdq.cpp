#include "sw/smmu/cmdq.h"

#include <algorithm>

#include "hw/arch/smmuv3_registers.h"
#include "sw/smmu/commands.h"

namespace shootdown::sw::smmu {

namespace smmuv3 = arch::smmuv3;
namespace reg = arch::smmuv3::reg;
using smmuv3::QueueIndex;

namespace {
constexpr std::uint64_t kReadAllocate = std::uint64_t{1} << 62;
constexpr std::size_t kBatchEntries = 64;  // CMDQ_BATCH_ENTRIES
}  // namespace

bool CommandQueue::init(Cpu& cpu, PageAllocator& pages, const Features& features) {
  log2_ = features.cmdq_log2;
  msi_polling_ = features.msi_polling;
  force_sync_ = features.force_sync;
  memory_ = pages.alloc_cleared(cpu, smmuv3::kCommandBytes << log2_);
  return memory_ != nullptr;
}

void CommandQueue::write_base(Cpu& cpu) {
  registers_.write64(cpu, reg::kCmdqBase, memory_->address.value | kReadAllocate | log2_);
  registers_.write(cpu, reg::kCmdqProd, prod_);
  registers_.write(cpu, reg::kCmdqCons, cons_);
}

arch::PhysAddr CommandQueue::slot(std::uint32_t index) const {
  return memory_->address + std::uint64_t{QueueIndex::slot(index, log2_)} * smmuv3::kCommandBytes;
}

void CommandQueue::issue_cmdlist(Cpu& cpu, std::span<const Command> commands, bool sync_wanted) {
  const FunctionTrace trace(cpu, "arm_smmu_cmdq_issue_cmdlist");
  const std::size_t count = commands.size() + (sync_wanted ? 1 : 0);
  if (count == 0) return;
  std::uint32_t target = 0;
  arch::PhysAddr last;
  {
    const SpinGuard lock(lock_, cpu);
    wait_for_space(cpu, count);
    for (std::size_t i = 0; i < count; ++i) {
      last = slot(prod_);
      // The MSI of a CMD_SYNC overwrites the CMD_SYNC itself: nobody needs it any more.
      const Command command = i < commands.size() ? commands[i]
                              : msi_polling_      ? sync(last)
                                                  : sync();
      cpu.store(last, command.dw0);
      cpu.store(last + 8, command.dw1);
      prod_ = QueueIndex::next(prod_, log2_);
      cpu.trace(CommandSubmitted{.unit = unit_, .command = smmuv3::describe(command, {})});
    }
    target = prod_;
    // dma_wmb(): the commands are visible before the index.
    cpu.dsb(Barrier::kIshst);
    registers_.write(cpu, reg::kCmdqProd, prod_);
    if (sync_wanted) {
      awaited_.push_back(target);
      cpu.preempt_disable();
    }
  }
  if (!sync_wanted) return;
  if (msi_polling_) {
    wait_for_msi(cpu, last);
  } else {
    wait_until_consumed(cpu, target);
  }
  awaited_.erase(std::find(awaited_.begin(), awaited_.end(), target));
  cpu.preempt_enable();
  cpu.trace(SyncObserved{});
}

void CommandQueue::wait_for_space(Cpu& cpu, std::size_t count) {
  const std::uint32_t mask = (std::uint32_t{2} << log2_) - 1;
  const std::size_t size = std::size_t{1} << log2_;
  const auto read_cons = [&] {
    cons_ = static_cast<std::uint32_t>(
        smmuv3::cmdq_cons::Rd::get(registers_.read(cpu, reg::kCmdqCons)));
  };
  const auto in_use = [&] {
    const std::uint32_t unread = (prod_ - cons_) & mask;
    if (awaited_.empty()) return unread;
    // A CMD_SYNC stays where it is until its waiter has seen it complete.
    return std::max(unread, (prod_ - awaited_.front() + 1) & mask);
  };
  if (size - in_use() >= count) return;
  for (read_cons(); size - in_use() < count; read_cons()) cpu.cpu_relax();
}

void CommandQueue::wait_until_consumed(Cpu& cpu, std::uint32_t prod) {
  const std::uint32_t mask = (std::uint32_t{2} << log2_) - 1;
  for (;;) {
    const auto cons = static_cast<std::uint32_t>(
        smmuv3::cmdq_cons::Rd::get(registers_.read(cpu, reg::kCmdqCons)));
    // Consumed if CONS has reached `prod`: the distance counts modulo twice the queue.
    const std::uint32_t behind = (prod - cons) & mask;
    if (behind == 0 || behind > (mask >> 1) + 1) return;
    cpu.cpu_relax();
  }
}

void CommandQueue::wait_for_msi(Cpu& cpu, arch::PhysAddr sync_command) {
  while ((cpu.load(sync_command) & 0xffffffff) != 0) cpu.cpu_relax();
}

void CommandQueue::issue_batch(Cpu& cpu, std::span<const Command> commands, bool sync_wanted) {
  const std::size_t piece = force_sync_ ? kBatchEntries - 1 : kBatchEntries;
  while (commands.size() > piece) {
    issue_cmdlist(cpu, commands.first(piece), force_sync_ && sync_wanted);
    commands = commands.subspan(piece);
  }
  issue_cmdlist(cpu, commands, sync_wanted);
}

void CommandQueue::skip_err(Cpu& cpu) {
  const std::uint32_t cons = registers_.read(cpu, reg::kCmdqCons);
  const auto code = static_cast<smmuv3::CommandErrorCode>(smmuv3::cmdq_cons::Err::get(cons));
  switch (code) {
    case smmuv3::CommandErrorCode::kNone:
    case smmuv3::CommandErrorCode::kAbt:         // the fetch is tried again
    case smmuv3::CommandErrorCode::kAtcInvSync:  // so is the CMD_SYNC
      return;
    default:
      break;
  }
  cpu.store(slot(cons), sync().dw0);
  cpu.store(slot(cons) + 8, sync().dw1);
}

}  // namespace shootdown::sw::smmu
