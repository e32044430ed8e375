// What a checker found, as values: text, JSON, waves and groups are made from it.
#ifndef SHOOTDOWN_COSIM_OBSERVE_FINDING_H
#define SHOOTDOWN_COSIM_OBSERVE_FINDING_H

#include <cstdint>
#include <string>
#include <vector>

#include "cosim/observe/actor.h"
#include "cosim/observe/vocabulary.h"
#include "hw/arch/types.h"

namespace shootdown::cosim {

/// The part that an item of a chain plays in the story.
enum class ChainRole : std::uint8_t {
  kFill,          ///< a TLB or ATC took a translation
  kBecomesStale,  ///< likewise: the one that a later store makes stale
  kFunctions,     ///< the kernel functions in which the next item happens
  kStore,         ///< of a table entry
  kFlush,         ///< a flush function
  kTlbi,
  kIpi,
  kNotifier,
  kCommand,
  kBarrier,  ///< DSB or CMD_SYNC
  kEffect,   ///< of an invalidation in a TLB
  kFault,
  kUse,   ///< the access
  kFree,  ///< of a frame or a table
  kOther,
};
constexpr std::string_view name_of(ChainRole role) {
  constexpr std::string_view kNames[]{"fill",   "becomes-stale", "functions", "store",   "flush",
                                      "tlbi",   "ipi",           "notifier",  "command", "barrier",
                                      "effect", "fault",         "use",       "free",    "other"};
  return kNames[static_cast<unsigned>(role)];
}

struct ChainItem {
  ChainRole role{ChainRole::kOther};
  bool happened{true};       ///< false: the hop that is missing; it has no time and no event
  std::uint64_t sequence{};  ///< of the event in the log; 0: of none
  std::uint64_t time_ps{};
  ActorId actor{kNoActor};
  std::string actor_name;
  std::string text;
  std::string note;  ///< at the end of the line: what this means for the rest
};

struct Violation {
  ViolationKind kind{};
  Hop missing_hop{Hop::kUnknown};
  /// Of the event at which it was found; what only the end of a run shows has that of the event
  /// that went wrong, or 0.
  std::uint64_t sequence{};
  std::uint64_t time_ps{};  ///< of the same event
  ActorId actor{kNoActor};
  std::string actor_name;
  arch::VirtAddr address{};  ///< of the access, or of the page
  std::string headline;
  std::string hop_text;  ///< what is missing, in words
  std::vector<ChainItem> chain;
  std::uint64_t count{1};  ///< how often it was seen; the chain is of the first
};

struct Note {
  NoteKind kind{};
  std::string text;
};

/// A kind and its missing hop: what runs are grouped by.
struct Outcome {
  ViolationKind kind{};
  Hop hop{};
  auto operator<=>(const Outcome&) const = default;
};
inline Outcome outcome_of(const Violation& violation) {
  return {violation.kind, violation.missing_hop};
}
/// "use-after-free (flush)"
inline std::string to_string(const Outcome& outcome) {
  return std::string(name_of(outcome.kind)) + " (" + std::string(name_of(outcome.hop)) + ")";
}

}  // namespace shootdown::cosim

#endif
