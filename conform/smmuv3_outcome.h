// What a DMA access of a recorded SMMUv3 sequence led to, as the model and as the recording tell
// it.
#ifndef SHOOTDOWN_CONFORM_SMMUV3_OUTCOME_H
#define SHOOTDOWN_CONFORM_SMMUV3_OUTCOME_H

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

namespace shootdown::conform {

struct DmaOutcome {
  std::string result;  ///< ok, abort or mixed
  bool bypass{};
  std::vector<std::pair<std::uint64_t, std::uint64_t>> translations;  ///< input, output
  std::vector<std::array<std::uint64_t, 4>> events;
};

/// `observed` is the `obs` or `fresh` of a step.
DmaOutcome read_outcome(const nlohmann::json& observed, const nlohmann::json& step);

/// The same accesses went to the same places.
bool same_way(const DmaOutcome& a, const DmaOutcome& b);
/// same_way(), and the events agree in every bit that the architecture fixes and was recorded. A
/// recording may hold an event for each four bytes of a transaction that was aborted as one.
bool agrees(const DmaOutcome& model, const DmaOutcome& recorded);
std::string describe(const DmaOutcome& outcome);

}  // namespace shootdown::conform

#endif
