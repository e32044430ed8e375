#include "cosim/platform/random_schedule.h"

#include <algorithm>
#include <vector>

namespace shootdown::cosim {

namespace {

/// The slow thread is still one that gets on.
constexpr unsigned kSlowOneIn = 4;

}  // namespace

void RandomSchedule::set_seed(std::uint64_t seed) {
  state_ = seed;
  one_in_ = 8U << (next() % 6);
  log2_longest_ = 6 + static_cast<unsigned>(next() % 9);
  // Mostly a thread of software: there are more of the others, and they wait for one another.
  std::vector<const hw::SimThread*> threads;
  const bool software = next() % 4 != 0;
  for (const hw::SimThread* thread : simulation_.threads()) {
    if (!software || thread->label() != hw::SimThread::kNoLabel) threads.push_back(thread);
  }
  slow_ = threads.empty() ? nullptr : threads[next() % threads.size()];
  left_ = points_to_next(one_in_);
  left_of_slow_ = points_to_next(kSlowOneIn);
}

// splitmix64 (Steele, Lea, Flood 2014): the same on every machine.
std::uint64_t RandomSchedule::next() {
  state_ += 0x9e3779b97f4a7c15;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

unsigned RandomSchedule::points_to_next(unsigned one_in) {
  return 1 + static_cast<unsigned>(next() % (2 * one_in - 1));
}

void RandomSchedule::choose(const hw::ChoicePoint& point) {
  const bool slow = &point.thread == slow_;
  unsigned& left = slow ? left_of_slow_ : left_;
  if (--left != 0) return;
  left = points_to_next(slow ? std::max(one_in_ / 8, kSlowOneIn) : one_in_);
  const std::uint64_t draw = next();
  // Short delays as likely as long ones: the logarithm is uniform.
  const unsigned bits = 1 + static_cast<unsigned>((draw >> 32) % log2_longest_);
  const std::uint64_t cycles = next() & ((std::uint64_t{1} << bits) - 1);
  simulation_.hold_ps(cycles * simulation_.clock_period().value());
}

}  // namespace shootdown::cosim
