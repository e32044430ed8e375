#include "cosim/platform/random_schedule.h"

namespace shootdown::cosim {

void RandomSchedule::set_seed(std::uint64_t seed) {
  state_ = seed;
  // Every access and every latency is a point: some three for each event of the log.
  one_in_ = 24U << (next() % 5);
  log2_longest_ = 6 + static_cast<unsigned>(next() % 9);
  slow_ = simulation_.threads()[next() % simulation_.threads().size()];
}

// splitmix64 (Steele, Lea, Flood 2014): the same on every machine.
std::uint64_t RandomSchedule::next() {
  state_ += 0x9e3779b97f4a7c15;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

void RandomSchedule::choose(const hw::ChoicePoint& point) {
  const std::uint64_t draw = next();
  const bool slow = &point.thread == slow_;
  if (draw % (slow ? (one_in_ + 3) / 4 : one_in_) != 0) return;
  // Short delays as likely as long ones: the logarithm is uniform.
  const unsigned bits = 1 + static_cast<unsigned>((draw >> 32) % log2_longest_);
  const std::uint64_t cycles = next() & ((std::uint64_t{1} << bits) - 1);
  simulation_.hold_ps(cycles * simulation_.clock_period().value());
}

}  // namespace shootdown::cosim
