// hw::InFlight against a plain list of accesses.
#include "hw/mmu/in_flight.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/hw/random.h"

namespace shootdown::hw {
namespace {

TEST(InFlightTest, NothingInFlightIsDrained) {
  InFlight in_flight;
  EXPECT_TRUE(in_flight.drained(in_flight.close()));
  EXPECT_TRUE(in_flight.drained(in_flight.close()));
}

TEST(InFlightTest, WaitsForEarlierAccessesOnly) {
  InFlight in_flight;
  const auto early = in_flight.enter();
  const auto closed = in_flight.close();
  const auto late = in_flight.enter();

  EXPECT_FALSE(in_flight.drained(closed));
  EXPECT_TRUE(in_flight.leave(early));
  EXPECT_TRUE(in_flight.drained(closed));

  EXPECT_FALSE(in_flight.drained(in_flight.close())) << "the late one is still on its way";
  in_flight.leave(late);
}

TEST(InFlightTest, ALaterGenerationThatIsEmptyWaitsForTheOnesBeforeIt) {
  InFlight in_flight;
  const auto access = in_flight.enter();
  in_flight.close();
  const auto second = in_flight.close();
  EXPECT_FALSE(in_flight.drained(second));
  in_flight.leave(access);
  EXPECT_TRUE(in_flight.drained(second));
}

TEST(InFlightTest, LeavingTwiceIsABug) {
  InFlight in_flight;
  const auto access = in_flight.enter();
  in_flight.leave(access);
  EXPECT_THROW(in_flight.leave(access), std::logic_error);
}

TEST(InFlightTest, AnAccessOfBeforeAResetIsABug) {
  InFlight in_flight;
  in_flight.close();
  in_flight.close();
  const auto access = in_flight.enter();
  in_flight.reset();
  EXPECT_THROW(in_flight.leave(access), std::logic_error);
}

TEST(InFlightTest, ResetForgetsEverything) {
  InFlight in_flight;
  in_flight.enter();
  in_flight.reset();
  EXPECT_TRUE(in_flight.drained(in_flight.close()));
}

TEST(InFlightTest, AgreesWithAListOfAccesses) {
  tests::Random random(99);
  SCOPED_TRACE(random.where());
  struct Access {
    InFlight::Generation generation;
    unsigned closes_before;
  };
  struct Close {
    InFlight::Generation generation;
    unsigned number;  ///< accesses with closes_before < number count
  };
  InFlight in_flight;
  std::vector<Access> accesses;
  std::vector<Close> waiting;
  unsigned closes = 0;
  for (unsigned step = 0; step < 20000 && !HasFailure(); ++step) {
    SCOPED_TRACE(step);
    const auto choice = random.below(100);
    if (choice < 40) {
      accesses.push_back({in_flight.enter(), closes});
    } else if (choice < 85 && !accesses.empty()) {
      const auto at = static_cast<std::ptrdiff_t>(random.below(accesses.size()));
      const Access access = accesses[static_cast<std::size_t>(at)];
      accesses.erase(accesses.begin() + at);
      const bool last = std::none_of(accesses.begin(), accesses.end(), [&](const Access& other) {
        return other.closes_before == access.closes_before;
      });
      // Waiters look again when told to: when the last one of a closed generation leaves. For the
      // open one nobody can wait.
      EXPECT_EQ(in_flight.leave(access.generation), last && access.closes_before < closes);
    } else {
      waiting.push_back({in_flight.close(), ++closes});
    }
    std::erase_if(waiting, [&](const Close& close) {
      const bool expected = std::none_of(accesses.begin(), accesses.end(), [&](const Access& a) {
        return a.closes_before < close.number;
      });
      EXPECT_EQ(in_flight.drained(close.generation), expected);
      return expected && random.percent(50);
    });
  }
}

}  // namespace
}  // namespace shootdown::hw
