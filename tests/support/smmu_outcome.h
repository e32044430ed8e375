// What became of one access on a bench, in the terms of the second SMMU, which then judges it.
#ifndef SHOOTDOWN_TESTS_SUPPORT_SMMU_OUTCOME_H
#define SHOOTDOWN_TESTS_SUPPORT_SMMU_OUTCOME_H

#include <algorithm>
#include <array>
#include <cstdint>
#include <stdexcept>

#include "conform/smmuv3_outcome.h"
#include "conform/smmuv3_permitted.h"
#include "support/smmu_bench.h"

namespace shootdown::tests {

inline void wait_for_end(SmmuBench& bench) {
  if (!bench.board.wait_until([&] { return bench.board.done(0); })) {
    throw std::runtime_error("an access does not end");
  }
}

/// Four bytes by device 0, alone. A stall is answered by an abort. The event queue is on and empty.
inline conform::DmaOutcome perform_access(SmmuBench& bench,
                                          conform::PermittedByArchitecture& permitted,
                                          const conform::SmmuBoard::Access& access) {
  std::array<std::uint8_t, 4> data{0x11, 0x22, 0x33, 0x44};
  bench.board.forget_writes();
  bench.board.launch(0, access, data.data(), 4);
  bench.board.wait_until([&] { return bench.board.done(0) || bench.event_pending(); });
  conform::DmaOutcome outcome;
  outcome.events = bench.events();
  const bool ended = bench.board.done(0);
  if (!ended && !outcome.events.empty() && (outcome.events[0][1] >> 31 & 1) != 0) {
    outcome.result = "stall";
    const std::uint64_t stag = outcome.events[0][1] & 0xffff;
    outcome.events[0][1] &= ~std::uint64_t{0xffff};
    bench.submit({{0x2044 | std::uint64_t{access.stream_id.value} << 32, stag}});
    bench.settle();
    permitted.commands_consumed();
    wait_for_end(bench);
  } else {
    wait_for_end(bench);
    for (const Words4& event : bench.events()) outcome.events.push_back(event);
    const auto& result = bench.board.result(0);
    outcome.bypass = result.bypass;
    outcome.result = result.output ? "ok" : result.ok ? "raz/wi" : "abort";
    if (result.output) {
      outcome.translations.emplace_back(access.address.value, result.output->value);
    }
  }
  for (const auto& write : bench.board.writes()) {
    permitted.memory_written(write.address, write.bytes.size());
  }
  return outcome;
}

inline bool same_outcome(const conform::DmaOutcome& a, const conform::DmaOutcome& b) {
  return a.result == b.result && a.bypass == b.bypass && a.translations == b.translations &&
         a.events == b.events;
}

/// Planted defects: what an SMMU could do wrong, done to what became of an access. Whoever judges
/// has to see each.
struct Tampering {
  const char* name;
  /// False: nothing of it can be told otherwise so.
  bool (*change)(conform::DmaOutcome&);
};
inline bool flip_in_first_event(conform::DmaOutcome& outcome, std::size_t word,
                                std::uint64_t bits) {
  if (outcome.events.empty()) return false;
  outcome.events[0][word] ^= bits;
  return true;
}
inline const Tampering kTamperings[] = {
    {"output",
     [](conform::DmaOutcome& o) {
       if (o.translations.empty()) return false;
       o.translations[0].second ^= 0x1000;
       return true;
     }},
    {"abort instead of zero",
     [](conform::DmaOutcome& o) {
       if (o.result != "raz/wi" && o.result != "abort") return false;
       o.result = o.result == "abort" ? "raz/wi" : "abort";
       return true;
     }},
    {"a lost event",
     [](conform::DmaOutcome& o) {
       if (o.events.empty()) return false;
       o.events.pop_back();
       return true;
     }},
    {"an event more",
     [](conform::DmaOutcome& o) {
       if (o.events.empty()) return false;
       o.events.push_back(o.events.back());
       return true;
     }},
    {"bypass",
     [](conform::DmaOutcome& o) {
       o.bypass = !o.bypass;
       return true;
     }},
    {"type", [](conform::DmaOutcome& o) { return flip_in_first_event(o, 0, 0x03); }},
    {"SSV", [](conform::DmaOutcome& o) { return flip_in_first_event(o, 0, 1 << 11); }},
    {"SSID", [](conform::DmaOutcome& o) { return flip_in_first_event(o, 0, 1 << 12); }},
    {"StreamID",
     [](conform::DmaOutcome& o) { return flip_in_first_event(o, 0, std::uint64_t{1} << 32); }},
    {"Stall",
     [](conform::DmaOutcome& o) { return flip_in_first_event(o, 1, std::uint64_t{1} << 31); }},
    {"PnU",
     [](conform::DmaOutcome& o) { return flip_in_first_event(o, 1, std::uint64_t{1} << 33); }},
    {"InD",
     [](conform::DmaOutcome& o) { return flip_in_first_event(o, 1, std::uint64_t{1} << 34); }},
    {"RnW",
     [](conform::DmaOutcome& o) { return flip_in_first_event(o, 1, std::uint64_t{1} << 35); }},
    {"S2",
     [](conform::DmaOutcome& o) { return flip_in_first_event(o, 1, std::uint64_t{1} << 39); }},
    {"CLASS",
     [](conform::DmaOutcome& o) { return flip_in_first_event(o, 1, std::uint64_t{1} << 40); }},
    {"address", [](conform::DmaOutcome& o) { return flip_in_first_event(o, 2, 4); }},
    {"IPA or FetchAddr", [](conform::DmaOutcome& o) { return flip_in_first_event(o, 3, 0x1000); }},
};

}  // namespace shootdown::tests

#endif
