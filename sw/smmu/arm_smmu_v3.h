// The SMMUv3 driver: brings the hardware up through its registers, builds its tables, feeds its
// command queue and empties its event queue.
//
// Mirrors drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c. Simplified: one spinlock around the command
// queue instead of the lock-free insertion, linear tables, no MSI, no stage 2.
#ifndef SHOOTDOWN_SW_SMMU_ARM_SMMU_V3_H
#define SHOOTDOWN_SW_SMMU_ARM_SMMU_V3_H

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "hw/arch/smmuv3_commands.h"
#include "hw/arch/smmuv3_events.h"
#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/kernel/lock.h"
#include "sw/mm/mm_types.h"

namespace shootdown::sw::smmu {

struct DriverConfig {
  arch::PhysAddr registers{};
  bool use_broadcast{};  ///< let the SMMU follow broadcast TLBI if it can (mainline never does)
  unsigned max_stream_id{};
};

/// ARM_SMMU_FEAT_*, as read from the ID registers.
struct Features {
  bool stalls{};
  bool ats{};
  bool broadcast{};  ///< BTM, and used
  bool range_invalidation{};
  unsigned ssid_bits{};
  unsigned cmdq_log2{};
  unsigned evtq_log2{};
};

/// What a fault handler makes of an event that stalled.
class FaultSink {
 public:
  virtual ~FaultSink() = default;
  /// iommu_report_device_fault(): queues the fault; the answer comes later by resume().
  virtual void report_device_fault(Cpu& cpu, const arch::smmuv3::EventRecord& event) = 0;
};

/// A device behind the SMMU (struct arm_smmu_master).
struct Master {
  arch::StreamId stream_id{};
  bool stall_enabled{};
  bool ats_enabled{};
  Page* cd_table{};
};

class ArmSmmuDevice {
 public:
  ArmSmmuDevice(KernelState& kernel, const DriverConfig& config)
      : kernel_(kernel), config_(config) {}

  /// arm_smmu_device_hw_probe() and arm_smmu_device_reset(). False if the hardware lacks what the
  /// driver needs, or memory is exhausted.
  bool probe(Cpu& cpu);
  const Features& features() const { return features_; }

  /// arm_smmu_write_strtab_ent(): stage 1 with substreams for a new master.
  bool attach_master(Cpu& cpu, Master& master);
  /// arm_smmu_write_ctx_desc(): SubstreamID `ssid` of the master walks `context`.
  void write_ctx_desc(Cpu& cpu, Master& master, arch::SubstreamId ssid, const UserContext& context);

  /// The same with quiet_cd: walks of the SubstreamID are disabled, every access faults.
  void quiet_ctx_desc(Cpu& cpu, Master& master, arch::SubstreamId ssid);

  /// arm_smmu_cmdq_issue_cmdlist(): publishes the commands; with `sync`, adds a CMD_SYNC and waits
  /// until it is consumed. Does not sleep.
  void issue_cmdlist(Cpu& cpu, std::span<const arch::smmuv3::Command> commands, bool sync);

  /// arm_smmu_evtq_thread(): empties the event queue; returns when it is empty.
  void evtq_thread(Cpu& cpu, FaultSink& sink);
  /// arm_smmu_gerror_handler(): replaces a command that the SMMU refused.
  void gerror_handler(Cpu& cpu);
  std::uint64_t unhandled_events() const { return unhandled_events_; }
  KernelState& kernel() { return kernel_; }

 private:
  std::uint32_t read_reg(Cpu& cpu, std::uint32_t offset);
  void write_reg(Cpu& cpu, std::uint32_t offset, std::uint32_t value);
  void write_reg64(Cpu& cpu, std::uint32_t offset, std::uint64_t value);
  void write_reg_sync(Cpu& cpu, std::uint32_t offset, std::uint32_t ack, std::uint32_t value);
  bool init_tables(Cpu& cpu);
  void reset(Cpu& cpu);
  void wait_until_consumed(Cpu& cpu, std::uint32_t prod);

  KernelState& kernel_;
  DriverConfig config_;
  Features features_;
  Page* strtab_{};
  unsigned strtab_log2_{};
  Page* cmdq_{};
  Page* evtq_{};
  SpinLock cmdq_lock_;
  std::uint32_t cmdq_prod_{};
  std::uint32_t cmdq_cons_{};  // as last read
  std::uint64_t unhandled_events_{};
};

}  // namespace shootdown::sw::smmu

#endif
