// Random tables, edits of single bits, commands and accesses: what the SMMU does has to be what the
// second SMMU, written from the architecture, permits; and by the tables in memory alone, where
// nothing is cached.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <string>

#include "support/smmu_random_sequence.h"

namespace shootdown::tests {
namespace {

// IDR0: S1P 2, TTF 8, COHACC 10, ASID16 1000, LE 400000; then what the name says.
const RandomMachine kMachines[] = {
    {"Stage1Terminate", {0x0549'101a, 0x0273'0010, 0x1414, 0x400075, 0, 1}},
    {"Stage1StallSubstreams", {0x0849'101a, 0x0273'0a10, 0x1414, 0x400075, 0, 1}},
    {"BothStages", {0x0d44'101b, 0x0273'0010, 0x1414, 0x400074, 0, 1}},
    {"BothStagesStallSubstreams", {0x084c'101b, 0x0273'0a10, 0x1414, 0x400075, 0, 2}},
    {"HardwareUpdates", {0x084c'109b, 0x0673'0a10, 0x1414, 0x400075, 0, 2}},
    {"HypPrivilegeOverrides", {0x084c'121b, 0x0673'0a10, 0x1604, 0x400075, 0, 2}},
    {"FiftyTwoBits", {0x084c'101b, 0x0273'0a10, 0x1414, 0x400476, 0, 2}},
    {"Stage1TerminateUncached", {0x0549'101a, 0x0273'0010, 0x1414, 0x400075, 0, 1}, false},
    {"HardwareUpdatesUncached", {0x084c'109b, 0x0673'0a10, 0x1614, 0x400075, 0, 2}, false},
    {"NarrowTagsUncached", {0x0848'001b, 0x0273'0a10, 0x1414, 0x400075, 0, 2}, false},
    {"HypPrivilegeOverridesUncached", {0x084c'121b, 0x0673'0a10, 0x1604, 0x400075, 0, 2}, false},
};

class SmmuRandomTest : public testing::TestWithParam<RandomMachine> {};

TEST_P(SmmuRandomTest, DoesWhatTheArchitecturePermits) {
  // More for a night: SHOOTDOWN_SEQUENCES, a number; a failing sequence is told with
  // SHOOTDOWN_TRACE.
  const char* const count = std::getenv("SHOOTDOWN_SEQUENCES");
  const unsigned long sequences = count == nullptr ? 150 : std::stoul(count);
  unsigned translated = 0;
  unsigned faulted = 0;
  unsigned stale = 0;
  for (std::uint64_t seed = 1; seed <= sequences; ++seed) {
    RandomSequence sequence(GetParam(), seed);
    const std::string difference = sequence.run(400);
    ASSERT_EQ(difference, "") << "seed " << seed;
    translated += sequence.translated;
    faulted += sequence.faulted;
    stale += sequence.stale;
  }
  std::cout << translated << " translated, " << faulted << " faulted, " << stale << " stale\n";
  EXPECT_GT(translated, 200U);
  EXPECT_GT(faulted, 200U);
  if (GetParam().cached) {
    EXPECT_GT(stale, 20U);
  } else {
    EXPECT_EQ(stale, 0U);
  }
}

// The judge itself: by what may be cached, and by memory alone.
bool seen_in_some_sequence(const RandomMachine& machine, const hw::SmmuConfig& config) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    if (!RandomSequence(machine, seed, config).run(400).empty()) return true;
  }
  return false;
}
TEST(SmmuRandomJudgeTest, SeesThatInvalidationsAreIgnored) {
  hw::SmmuConfig config = RandomSequence::config(kMachines[0]);
  config.mmu.ignore_invalidations = true;
  EXPECT_TRUE(seen_in_some_sequence(kMachines[0], config));
}
TEST(SmmuRandomJudgeTest, SeesThatSomethingIsCached) {
  RandomMachine machine = kMachines[7];
  ASSERT_FALSE(machine.cached);
  machine.flushed = false;
  EXPECT_TRUE(seen_in_some_sequence(machine, RandomSequence::config(machine)));
}

TEST(SmmuRandomJudgeTest, SeesEveryFieldOfAnOutcome) {
  // With everything cached, and by memory alone.
  for (const RandomMachine& machine : {kMachines[3], kMachines[8]}) {
    for (const Tampering& tampering : kTamperings) {
      unsigned tampered = 0;
      for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        RandomSequence sequence(machine, seed);
        sequence.tampering = &tampering;
        const std::string difference = sequence.run(400);
        // The first access that is changed ends the sequence.
        EXPECT_EQ(difference.empty(), sequence.tampered == 0) << machine << ", " << tampering.name;
        EXPECT_LE(sequence.tampered, 1U) << machine << ", " << tampering.name;
        tampered += sequence.tampered;
      }
      EXPECT_GT(tampered, 0U) << machine << ", " << tampering.name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Machines, SmmuRandomTest, testing::ValuesIn(kMachines),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace shootdown::tests
