// Seeded random numbers for property tests. SHOOTDOWN_TEST_SEED in the environment replaces the
// seed of a test; Ranges are drawn by hand, so that every library gives the same sequence.
#ifndef SHOOTDOWN_TESTS_HW_RANDOM_H
#define SHOOTDOWN_TESTS_HW_RANDOM_H

#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>

namespace shootdown::tests {

class Random {
 public:
  explicit Random(std::uint64_t default_seed) : seed_(default_seed) {
    if (const char* text = std::getenv("SHOOTDOWN_TEST_SEED")) {
      seed_ = std::strtoull(text, nullptr, 0);
    }
    engine_.seed(seed_);
  }
  /// For SCOPED_TRACE.
  std::string where() const { return "SHOOTDOWN_TEST_SEED=" + std::to_string(seed_); }
  std::uint64_t bits() { return engine_(); }
  /// 0 to bound - 1.
  std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }
  bool percent(unsigned chance) { return below(100) < chance; }

 private:
  std::uint64_t seed_;
  std::mt19937_64 engine_;
};

}  // namespace shootdown::tests

#endif
