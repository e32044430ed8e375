// The SMMU's command queue: fetches commands, carries them out, completes CMD_SYNC.
//
// CONS passing a command promises nothing; invalidations are handed to an engine of their own and
// run beside the following commands. CMD_SYNC waits for that engine, for the walks and accesses
// that began before, and for the ATCs (IHI 0070 sections 3.5, 3.21, 4.7).
#ifndef SHOOTDOWN_HW_SMMU_COMMAND_QUEUE_H
#define SHOOTDOWN_HW_SMMU_COMMAND_QUEUE_H

#include <deque>
#include <map>
#include <optional>
#include <string>

#include "hw/arch/smmuv3_commands.h"
#include "hw/arch/smmuv3_registers.h"
#include "hw/events.h"
#include "hw/interconnect/bus.h"
#include "hw/iommu/transaction.h"
#include "hw/mmu/mmu.h"
#include "hw/sim/simulation.h"
#include "hw/sim/wait_list.h"
#include "hw/smmu/config_cache.h"
#include "hw/smmu/interrupts.h"
#include "hw/smmu/register_file.h"
#include "hw/smmu/smmu_config.h"
#include "hw/smmu/stall_table.h"

namespace shootdown::hw {

class CommandQueue {
 public:
  /// The parts of the SMMU that commands act on. All outlive the queue.
  struct Parts {
    Simulation& simulation;
    BusMaster& bus;
    EventPort& events;
    RegisterFile& registers;
    Mmu& mmu;
    ConfigCache& configs;
    StallTable& stalls;
    Interrupts& interrupts;
    bool align_queue;  ///< SmmuConfig::align_queues
  };
  CommandQueue(const std::string& name, const Parts& parts, const SmmuFeatures& features,
               const CommandQueueConfig& config);

  /// Streams whose devices have an ATC.
  void attach_atc(arch::StreamId stream_id, AtcPort& atc) { atcs_[stream_id.value] = &atc; }
  /// Software wrote PROD, CR0 or GERRORN.
  void software_moved() { fetcher_.wake(); }
  /// Blocks until no command is being carried out. CMDQEN is off.
  void drain();
  void start();
  void reset();

 private:
  struct PendingInvalidation {
    arch::Invalidation what;
    std::uint64_t number{};
  };
  /// CMD_ATC_INVs since the last CMD_SYNC that could vouch for them.
  struct AtcRound {
    unsigned waiting{};
    std::uint64_t deadline_ps{};
  };
  void fetch_loop();
  /// Takes one command and carries it out.
  void step();
  void invalidation_loop();
  arch::smmuv3::InvalidationRules rules() const;
  bool runnable() const;
  unsigned log2_size() const;
  arch::PhysAddr slot_address(std::uint32_t cons) const;
  /// False: the command was refused, the queue has stopped at it.
  bool execute(const arch::smmuv3::Command& command);
  void invalidate_translations(const arch::smmuv3::Command& command);
  void invalidate_configuration(const arch::smmuv3::Command& command);
  void invalidate_atc(const arch::smmuv3::Command& command);
  void answer_page_request(const arch::smmuv3::Command& command);
  void resume(const arch::smmuv3::Command& command);
  bool sync();
  /// What a completed CMD_SYNC asks for by CS.
  void signal(const arch::smmuv3::Command& command);
  /// False: an ATC has not answered in time.
  bool wait_for_atcs();
  void fail(arch::smmuv3::CommandErrorCode code);

  Parts parts_;
  SmmuFeatures features_;
  CommandQueueConfig config_;
  SimThread fetcher_;
  SimThread invalidator_;
  std::deque<PendingInvalidation> invalidations_;
  bool invalidating_{};
  bool executing_{};
  WaitList idle_;
  std::map<std::uint32_t, AtcPort*> atcs_;
  AtcRound atc_;
  std::uint64_t atc_round_{};  // answers to earlier rounds come too late
  std::uint64_t number_{};
};

}  // namespace shootdown::hw

#endif
