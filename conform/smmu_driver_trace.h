// Compares what the driver did with what Linux's did.
#ifndef SHOOTDOWN_CONFORM_SMMU_DRIVER_TRACE_H
#define SHOOTDOWN_CONFORM_SMMU_DRIVER_TRACE_H

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "conform/smmu_driver_board.h"

namespace shootdown::conform {

/// Where the recorder's memory begins, and so where the replay's does: what is at or above it is an
/// address of something that was allocated.
inline constexpr arch::PhysAddr kRecordedMemory{0x8'8000'0000};

class SmmuDriverTrace {
 public:
  /// The command queues' addresses: CMD_SYNCs signal into their own slots.
  void learn_queue(const nlohmann::json& reset, arch::PhysAddr ours);

  /// The first difference; empty if there is none. `name_of` tells the recorder's name of a word of
  /// an entry by its address, or nothing.
  std::string compare(const std::vector<SmmuDriverBoard::Action>& actions,
                      const nlohmann::json& expected,
                      const std::function<std::string(std::uint64_t)>& name_of);

  /// Equal but for addresses of allocations, of which each of ours stands for one of theirs.
  bool same_word(std::uint64_t ours, std::uint64_t theirs);

 private:
  bool same_command(const std::string& theirs, const arch::smmuv3::Command& ours);

  std::map<std::uint64_t, std::uint64_t> ours_of_theirs_;
  std::map<std::uint64_t, std::uint64_t> theirs_of_ours_;
  std::uint64_t our_queue_{};
  std::uint64_t their_queue_{};
};

}  // namespace shootdown::conform

#endif
