// What a generator of experiments offers to a step that is to be made up: random choices, and the
// names that the step may use.
#ifndef SHOOTDOWN_COSIM_PROGRAM_STEP_DRAW_H
#define SHOOTDOWN_COSIM_PROGRAM_STEP_DRAW_H

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "cosim/config/config.h"

namespace shootdown::cosim {

/// Equal seeds give equal numbers on every machine, which the distributions of <random> do not
/// promise.
class Draw {
 public:
  explicit Draw(std::uint64_t seed) : engine_(seed) {}
  /// 0 to n - 1; n is not 0.
  std::uint64_t below(std::uint64_t n) { return engine_() % n; }
  std::uint64_t between(std::uint64_t first, std::uint64_t last) {
    return first + below(last - first + 1);
  }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  template <class T>
  const T& one_of(const std::vector<T>& choices) {
    return choices[below(choices.size())];
  }

 private:
  std::mt19937_64 engine_;
};

/// For one step of a thread of one process.
class StepDraw {
 public:
  StepDraw(Draw& draw, const ProcessConfig& process) : draw_(draw), process_(process) {}
  Draw& random() { return draw_; }
  const RegionConfig& region() { return draw_.one_of(process_.regions); }
  /// "heap" or "heap + 0x3000": the start of a page.
  std::string page_of(const RegionConfig& region);
  /// "at: heap + 0x1000, pages: 3", within a region.
  std::string pages_of(const RegionConfig& region);
  /// An address far from every region, of a page of any size.
  std::string free_address();

 private:
  /// A page of the region, and how many there are from there on.
  std::pair<std::string, std::uint64_t> place(const RegionConfig& region);

  Draw& draw_;
  const ProcessConfig& process_;
};

}  // namespace shootdown::cosim

#endif
