// Memory between runs.
#include "hw/interconnect/physical_memory.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace shootdown::hw {
namespace {

constexpr arch::PhysAddr kBase{0x8000'0000};
constexpr std::uint64_t kPages = 1024;

TEST(PhysicalMemoryTest, IsZeroAfterReset) {
  PhysicalMemory memory(kBase, kPages * arch::kPageSize);
  const std::uint8_t* const before = memory.bytes();
  for (unsigned round = 0; round < 3; ++round) {
    // First and last page, neighbours, pages alone; others each time.
    for (const std::uint64_t page : {std::uint64_t{0}, 1 + 7 * std::uint64_t{round},
                                     std::uint64_t{2}, 500 + std::uint64_t{round}, kPages - 1}) {
      memory.write64(kBase + page * arch::kPageSize, ~std::uint64_t{0});
      memory.write64(kBase + ((page + 1) * arch::kPageSize - 8), page + 1);
    }
    memory.reset();
    for (std::uint64_t at = 0; at < memory.size_bytes(); at += 8) {
      ASSERT_EQ(memory.read64(kBase + at), 0U) << "round " << round << ", at " << at;
    }
  }
  EXPECT_EQ(memory.bytes(), before) << "direct access stays good";
}

TEST(PhysicalMemoryTest, ContainsNothingBelowItsBaseOrBeyondItsEnd) {
  const PhysicalMemory memory(kBase, arch::kPageSize);
  EXPECT_TRUE(memory.contains(kBase, arch::kPageSize));
  EXPECT_TRUE(memory.contains(kBase + (arch::kPageSize - 8), 8));
  EXPECT_FALSE(memory.contains(kBase + (arch::kPageSize - 7), 8));
  EXPECT_FALSE(memory.contains(kBase, arch::kPageSize + 1));
  EXPECT_FALSE(memory.contains({kBase.value - 1}, 1));
  EXPECT_FALSE(memory.contains({0}, 8));
  EXPECT_FALSE(memory.contains({~std::uint64_t{0}}, 8));
}

}  // namespace
}  // namespace shootdown::hw
