// Worked examples of how a range is split into commands. What Linux builds is replayed by
// tests/cosim/conform_test.cpp.
#include <gtest/gtest.h>

#include <cstdint>
#include <ostream>
#include <sstream>
#include <vector>

#include "sw/smmu/commands.h"

namespace shootdown::sw::smmu {
namespace {

struct SplitCase {
  unsigned pages;
  bool leaf;
  std::vector<std::pair<unsigned, unsigned>> scale_num;
};
std::ostream& operator<<(std::ostream& out, const SplitCase& row) {
  return out << row.pages << (row.leaf ? "Leaf" : "NonLeaf");
}

class RangeSplitTest : public testing::TestWithParam<SplitCase> {};

// The worked examples: (SCALE, NUM) of each command.
const std::vector<SplitCase> kSplits{
    {1, true, {{0, 0}}},
    {3, true, {{0, 2}}},
    {20, true, {{2, 4}}},
    {33, true, {{0, 0}, {5, 0}}},
    {511, true, {{0, 30}, {5, 14}}},
    {512, true, {{9, 0}}},
    {1000, true, {{3, 28}, {8, 2}}},
    {1, false, {{1, 0}}},
    {2, false, {{1, 0}}},
    {3, false, {{0, 2}}},
    {17, false, {{0, 16}}},
    {31, false, {{0, 30}}},
    {32, false, {{5, 0}}},
    {33, false, {{1, 16}}},
    {65, false, {{1, 0}, {6, 0}}},
    {513, false, {{1, 0}, {9, 0}}},
    {515, false, {{0, 2}, {9, 0}}},
    {1000, false, {{3, 28}, {8, 2}}},
};
INSTANTIATE_TEST_SUITE_P(Pages, RangeSplitTest, testing::ValuesIn(kSplits), [](const auto& test) {
  std::ostringstream name;
  name << test.param;
  return name.str();
});

TEST_P(RangeSplitTest, UsesTheFewestCommandsThatTheEncodingAllows) {
  const SplitCase& row = GetParam();
  const std::uint64_t start = 0x7f00'1234'4000;
  const auto commands = tlb_inv_range(TlbiTarget{.asid = arch::Asid{0x12}, .leaf = row.leaf}, start,
                                      std::uint64_t{row.pages} << 12, {.range_invalidation = true});

  ASSERT_EQ(commands.size(), row.scale_num.size());
  std::uint64_t next = start;
  for (std::size_t i = 0; i < commands.size(); ++i) {
    const Command& command = commands[i];
    EXPECT_EQ(command.dw0 >> 20 & 31, row.scale_num[i].first);
    EXPECT_EQ(command.dw0 >> 12 & 31, row.scale_num[i].second);
    EXPECT_EQ(command.dw1 & ~std::uint64_t{0xfff}, next) << "the commands are contiguous";
    EXPECT_EQ(command.dw1 & 1, row.leaf ? 1U : 0U);
    EXPECT_EQ(command.dw1 >> 8 & 3, row.leaf ? 3U : 0U) << "level hint";
    EXPECT_EQ(command.dw1 >> 10 & 3, 1U) << "4 KiB granule";
    EXPECT_EQ(arch::smmuv3::range_fault(command, true), arch::smmuv3::RangeFault::kNone);
    next += ((command.dw0 >> 12 & 31) + 1) << (command.dw0 >> 20 & 31) << 12;
  }
  EXPECT_GE(next, start + (std::uint64_t{row.pages} << 12));
}

}  // namespace
}  // namespace shootdown::sw::smmu
