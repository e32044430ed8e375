// What a checker found, with the chain of causes that leads there.
#ifndef SHOOTDOWN_COSIM_CHECK_VIOLATION_H
#define SHOOTDOWN_COSIM_CHECK_VIOLATION_H

#include <cstdint>
#include <string>
#include <vector>

#include "hw/arch/types.h"

namespace shootdown::cosim {

struct ChainItem {
  std::uint64_t time_ps{};
  bool happened{true};  ///< false: the hop that is missing; it has no time
  std::string actor;
  std::string text;
  std::string note;  ///< at the end of the line: what this means for the rest
};

struct Violation {
  std::string kind;  ///< "fault-loop", "stale-access" ...
  std::uint64_t time_ps{};
  std::string actor;
  arch::VirtAddr address{};
  std::string headline;
  std::string missing_hop;  ///< "notifier", "atc" ...; "unknown" if the checker cannot tell
  std::string hop_text;     ///< what is missing, in words
  std::vector<ChainItem> chain;
  std::uint64_t count{1};  ///< how often it was seen; the chain is of the first
};

/// Something worth saying that is no failure.
struct Note {
  std::string kind;
  std::string text;
};

}  // namespace shootdown::cosim

#endif
