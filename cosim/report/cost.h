// What a run cost: totals over all actors.
#ifndef SHOOTDOWN_COSIM_REPORT_COST_H
#define SHOOTDOWN_COSIM_REPORT_COST_H

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace shootdown::cosim {

struct Cost {
  std::uint64_t flushes{};              ///< flush functions of the kernel
  std::uint64_t tlbis{};                ///< TLBI instructions
  std::uint64_t ipis{};                 ///< CPUs interrupted
  std::uint64_t commands{};             ///< of the SMMU
  std::uint64_t entries_invalidated{};  ///< translations dropped from TLBs and ATCs
  bool operator==(const Cost&) const = default;
};

struct CostItem {
  std::string_view name;
  std::uint64_t Cost::*member;
};
inline constexpr std::array<CostItem, 5> kCostItems{
    {{"flushes", &Cost::flushes},
     {"tlbis", &Cost::tlbis},
     {"ipis", &Cost::ipis},
     {"commands", &Cost::commands},
     {"entries_invalidated", &Cost::entries_invalidated}}};

/// From Counters::values().
Cost cost_of(const std::map<std::string, std::uint64_t>& counters);
/// "3 flushes, 4 TLBIs, ..."
std::string to_string(const Cost& cost);

}  // namespace shootdown::cosim

#endif
