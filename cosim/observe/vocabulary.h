// The words of a verdict: kinds of violations, hops that can be missing, notes and costs. One table
// each; the loader, `shootdown list`, the reports and docs/checkers.md live from them.
#ifndef SHOOTDOWN_COSIM_OBSERVE_VOCABULARY_H
#define SHOOTDOWN_COSIM_OBSERVE_VOCABULARY_H

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace shootdown::cosim {

enum class ViolationKind : std::uint8_t {
  kFaultLoop,
  kStaleAccess,
  kUseAfterFree,
  kWriteAfterProtect,
  kTableUseAfterFree,
  kLostDirty,
  kBreakBeforeMake,
  kIsolation,
  kAccounting,
  kSyncOrder,
  kDriverMisuse,
  kLockstepMismatch,
  kRtlAssertion,
};

/// What is missing between a store that made a translation stale and its invalidation.
enum class Hop : std::uint8_t {
  kFlush,
  kCpuTlbi,
  kIpi,
  kAsid,
  kRange,
  kWalkCache,
  kDsb,
  kNotifier,
  kCommand,
  kSync,
  kAtc,
  kAtcOrder,
  kTableSync,
  kRmap,
  kBreak,
  kDtor,
  kMask,
  kPending,
  kHardware,
  kUnknown,
};

/// Worth saying, no failure.
enum class NoteKind : std::uint8_t { kHiddenFaultLoop, kOverInvalidation, kEarlyMake };

/// What a run costs, as totals over all actors.
enum class CostKind : std::uint8_t { kFlushes, kTlbis, kIpis, kCommands, kEntriesInvalidated };
inline constexpr std::size_t kCostKinds =
    static_cast<std::size_t>(CostKind::kEntriesInvalidated) + 1;
using Cost = std::array<std::uint64_t, kCostKinds>;  // by CostKind

template <class Kind>
struct Word {
  Kind kind{};
  std::string_view name;     ///< in configurations, JSON and on the command line
  std::string_view meaning;  ///< when a violation holds, what is missing, what is counted
};

/// In the order of the enumerators.
std::span<const Word<ViolationKind>> violation_words();
std::span<const Word<Hop>> hop_words();
std::span<const Word<NoteKind>> note_words();
std::span<const Word<CostKind>> cost_words();

inline std::string_view name_of(ViolationKind kind) {
  return violation_words()[static_cast<std::size_t>(kind)].name;
}
inline std::string_view name_of(Hop hop) { return hop_words()[static_cast<std::size_t>(hop)].name; }
inline std::string_view name_of(NoteKind kind) {
  return note_words()[static_cast<std::size_t>(kind)].name;
}
inline std::string_view name_of(CostKind kind) {
  return cost_words()[static_cast<std::size_t>(kind)].name;
}

}  // namespace shootdown::cosim

#endif
