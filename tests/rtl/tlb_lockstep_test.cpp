// The RTL TLB against its reference, every geometry that is built; and the engine that puts it into
// simulated time.
#include <gtest/gtest.h>

#include <ostream>

#include "cosim/rtl/rtl_context.h"
#include "cosim/rtl/tlb_dut.h"
#include "tlb_equivalence.h"

namespace shootdown::tests {
namespace {

using Geometry = std::pair<unsigned, unsigned>;

class TlbLockstepTest : public testing::TestWithParam<Geometry> {};

TEST_P(TlbLockstepTest, RandomOperationsAgreeInEveryField) {
  const auto [entries, ways] = GetParam();
  for (const std::uint64_t seed : {1U, 22U, 333U}) {
    cosim::RtlContext context;
    const auto dut = cosim::make_tlb_dut(context, entries, ways, "tlb");
    ASSERT_NE(dut, nullptr);

    EXPECT_EQ(first_difference(*dut, entries, ways, seed, 60'000), "") << "seed " << seed;
    EXPECT_EQ(context.take_failed_assertions(), 0U) << "seed " << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(Geometries, TlbLockstepTest,
                         testing::ValuesIn(cosim::tlb_dut_geometries()), [](const auto& test) {
                           return std::to_string(test.param.first) + "x" +
                                  std::to_string(test.param.second);
                         });

TEST(TlbLockstepTest, ADifferenceIsNamed) {
  // The reference is told of another geometry: eviction has to differ soon.
  cosim::RtlContext context;
  const auto dut = cosim::make_tlb_dut(context, 16, 4, "tlb");
  EXPECT_NE(first_difference(*dut, 16, 16, 1, 10'000), "");
}

TEST(TlbLockstepTest, AGeometryThatIsNotBuiltGivesNothing) {
  cosim::RtlContext context;
  EXPECT_EQ(cosim::make_tlb_dut(context, 48, 3, "tlb"), nullptr);
}

}  // namespace
}  // namespace shootdown::tests
