// What recorded invalidations of Linux cover, as the hardware's decoders see them: every page of
// the range that was to be flushed, under the right ASID.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "hw/arch/smmuv3_commands.h"
#include "hw/arch/tlbi.h"
#include "tests/vectors/gzip_json.h"

namespace shootdown::arch {
namespace {

using nlohmann::json;
using tests::hex;

/// Whether the ranges, in any order, leave no gap in [start, last].
bool covers(std::vector<Invalidation> ranges, std::uint64_t start, std::uint64_t last) {
  std::sort(ranges.begin(), ranges.end(),
            [](const auto& a, const auto& b) { return a.start < b.start; });
  std::uint64_t next = start;
  for (const Invalidation& range : ranges) {
    if (range.start > next) return false;
    if (range.last >= last) return true;
    next = std::max(next, range.last + 1);
  }
  return false;
}

TEST(TlbiCoverageTest, RangeFlushesOfTheKernelReachEveryPage) {
  const std::map<std::string, TlbiOp> ops{{"aside1is", TlbiOp::kAside1is},
                                          {"vae1is", TlbiOp::kVae1is},
                                          {"vale1is", TlbiOp::kVale1is},
                                          {"rvae1is", TlbiOp::kRvae1is},
                                          {"rvale1is", TlbiOp::kRvale1is}};
  const json file = tests::read_vectors("arm64_tlbi/linux-6.1-4k.json.gz");
  unsigned checked = 0;
  for (const json& group : file["groups"]) {
    // The second TLBIs of KPTI and of the erratum are for another ASID and for none.
    const json& features = group["features"];
    if (std::find(features.begin(), features.end(), "kpti") != features.end()) continue;
    if (std::find(features.begin(), features.end(), "repeat") != features.end()) continue;
    for (const json& test : group["cases"]) {
      if (test["op"] != "__flush_tlb_range" || test["args"][2] != "0x1000") continue;
      SCOPED_TRACE(test.dump().substr(0, 400));
      const std::uint64_t start = hex(test["args"][0]) & ~std::uint64_t{0xfff};
      const std::uint64_t end = hex(test["args"][1]);
      if (end <= start) continue;
      std::vector<Invalidation> ranges;
      bool whole = false;
      for (const std::string event : test["out"]) {
        std::istringstream words(event);
        std::string kind, op, operand;
        words >> kind >> op >> operand;
        if (kind != "tlbi") continue;
        ranges.push_back(decode_tlbi(ops.at(op), hex(operand)));
        whole = whole || op == "aside1is";
        EXPECT_EQ(ranges.back().asid.value, hex(test["ctx"]) & 0xffff);
        EXPECT_EQ(ranges.back().leaf_only, op.find("vale") != std::string::npos);
      }
      EXPECT_TRUE(whole || covers(ranges, start, end - 1));
      ++checked;
    }
  }
  EXPECT_GE(checked, 1000U);
}

TEST(TlbiCoverageTest, RangeCommandsOfTheDriverReachEveryPage) {
  const json file = tests::read_vectors("smmu_driver/tlb_inv_range.json.gz");
  unsigned checked = 0;
  for (const json& test : file["cases"]) {
    SCOPED_TRACE(test.dump().substr(0, 400));
    const bool ril = test["ril"];
    std::vector<Invalidation> ranges;
    for (const std::string text : test["commands"]) {
      const std::size_t space = text.find(' ');
      const smmuv3::Command command{hex(text.substr(0, space)), hex(text.substr(space + 1))};
      EXPECT_EQ(smmuv3::range_fault(command, ril), smmuv3::RangeFault::kNone);
      ranges.push_back(smmuv3::decode_invalidation(command, {.range_invalidation = ril}));
    }
    const std::uint64_t start = hex(test["start"]);
    const std::uint64_t size = hex(test["size"]);
    if (start % 4096 != 0 || size % 4096 != 0) continue;  // the kernel passes whole pages
    EXPECT_TRUE(covers(ranges, start, start + size - 1));
    ++checked;
  }
  EXPECT_GE(checked, 5892U);
}

}  // namespace
}  // namespace shootdown::arch
