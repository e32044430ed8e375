// Judges what the model did with a transaction by the set of outcomes that the architecture permits
// it: keeps the second SMMU (reference/) informed of what happens on the board.
#ifndef SHOOTDOWN_CONFORM_SMMUV3_PERMITTED_H
#define SHOOTDOWN_CONFORM_SMMUV3_PERMITTED_H

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "conform/reference/permitted_outcomes.h"
#include "conform/smmu_board.h"
#include "conform/smmuv3_outcome.h"

namespace shootdown::conform {

class PermittedByArchitecture {
 public:
  /// RAM is at [ram_base, ram_base + ram_bytes). `board` outlives this object.
  PermittedByArchitecture(SmmuBoard& board, arch::PhysAddr ram_base, std::uint64_t ram_bytes);

  /// [address, address + bytes) has changed, whoever did it.
  void memory_written(arch::PhysAddr address, std::uint64_t bytes);
  /// A register was written, and what follows from that is done.
  void registers_written();
  /// Software has set CMDQ_CONS.
  void command_queue_restarted();
  /// The command queue may have gone on; its slots still hold what was consumed.
  void commands_consumed();

  /// Everything that may become of one transaction within a page. The first one is by the tables
  /// in memory.
  std::vector<DmaOutcome> outcomes(const SmmuBoard::Access& access) const;

 private:
  SmmuBoard& board_;
  reference::PermittedOutcomes permitted_;
  std::uint32_t consumed_{};  // CMDQ_CONS.RD as last seen
};

}  // namespace shootdown::conform

#endif
