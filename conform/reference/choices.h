// Depth-first search through a program that chooses: run it, answer its choices, run it again with
// the next answers, until all have been tried.
#ifndef SHOOTDOWN_CONFORM_REFERENCE_CHOICES_H
#define SHOOTDOWN_CONFORM_REFERENCE_CHOICES_H

#include <cstddef>
#include <vector>

namespace shootdown::conform::reference {

class Choices {
 public:
  /// One of 0 .. count-1. The first run gets 0 everywhere. `count` is at least 1.
  std::size_t pick(std::size_t count) {
    if (count == 1) return 0;
    if (depth_ == taken_.size()) taken_.push_back({0, count});
    return taken_[depth_++].choice;
  }

  /// The same answers once more.
  void replay() { depth_ = 0; }

  /// Prepares the next run. False: there is none.
  bool next() {
    taken_.resize(depth_);
    depth_ = 0;
    while (!taken_.empty() && taken_.back().choice + 1 == taken_.back().count) taken_.pop_back();
    if (taken_.empty()) return false;
    ++taken_.back().choice;
    return true;
  }

 private:
  struct Taken {
    std::size_t choice{};
    std::size_t count{};
  };
  std::vector<Taken> taken_;
  std::size_t depth_{0};
};

}  // namespace shootdown::conform::reference

#endif
