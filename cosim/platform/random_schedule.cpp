#include "cosim/platform/random_schedule.h"

namespace shootdown::cosim {

EventKinds RandomSchedule::interests() const {
  // An eviction and the fill that caused it are one step of a TLB.
  return kAllEvents & ~kind_bit<hw::TlbEvict>();
}

void RandomSchedule::set_seed(std::uint64_t seed) {
  state_ = seed;
  one_in_ = 8U << (next() % 5);
  log2_longest_ = 6 + static_cast<unsigned>(next() % 9);
  slow_ = next() % (log_.actors().size() + log_.threads().size());
}

// splitmix64 (Steele, Lea, Flood 2014): the same on every machine.
std::uint64_t RandomSchedule::next() {
  state_ += 0x9e3779b97f4a7c15;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

void RandomSchedule::on_event(const Event& event) {
  const std::uint64_t draw = next();
  const bool slow = event.thread == kNoThread ? event.actor == slow_
                                              : event.thread + log_.actors().size() == slow_;
  if (draw % (slow ? (one_in_ + 3) / 4 : one_in_) != 0) return;
  // Short delays as likely as long ones: the logarithm is uniform.
  const unsigned bits = 1 + static_cast<unsigned>((draw >> 32) % log2_longest_);
  const std::uint64_t cycles = next() & ((std::uint64_t{1} << bits) - 1);
  try {
    simulation_.sleep_cycles(cycles);
  } catch (const hw::Aborted&) {
    // As in Schedule::hold(): unwound at the next blocking call.
  }
}

}  // namespace shootdown::cosim
