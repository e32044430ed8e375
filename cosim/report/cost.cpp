#include "cosim/report/cost.h"

#include <fmt/format.h>

namespace shootdown::cosim {

Cost cost_of(const std::map<std::string, std::uint64_t>& counters) {
  Cost cost;
  for (const auto& [name, value] : counters) {
    if (name.ends_with(".flushes")) cost.flushes += value;
    if (name.ends_with(".tlbi")) cost.tlbis += value;
    if (name.ends_with(".ipis")) cost.ipis += value;
    if (name.find(".CMD_") != std::string::npos) cost.commands += value;
    if (name.ends_with(".entries_invalidated")) cost.entries_invalidated += value;
  }
  return cost;
}

std::string to_string(const Cost& cost) {
  return fmt::format("{} flushes, {} TLBIs, {} IPIs, {} SMMU commands, {} translations dropped",
                     cost.flushes, cost.tlbis, cost.ipis, cost.commands, cost.entries_invalidated);
}

}  // namespace shootdown::cosim
