// Replays recorded SMMUv3 commands of Linux 6.1 and 6.12 against the builders of commands.h.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <sstream>
#include <string>
#include <variant>
#include <vector>

#include "sw/smmu/commands.h"
#include "tests/vectors/gzip_json.h"

namespace shootdown::arch::smmuv3 {

void PrintTo(const Command& command, std::ostream* out) {
  std::ostringstream text;
  text << std::hex << "0x" << command.dw0 << " 0x" << command.dw1;
  *out << text.str();
}

}  // namespace shootdown::arch::smmuv3

namespace shootdown::sw::smmu {
namespace {

using nlohmann::json;
using tests::hex;

/// A command, or why there is no builder for these arguments.
using Built = std::variant<Command, std::string>;

Built build_tlbi(const std::vector<std::uint64_t>& args) {
  const arch::Asid asid{static_cast<std::uint16_t>(args[1])};
  if (args[0] == 0x30) return tlbi_nsnh_all();
  if (args[0] == 0x11) return tlbi_nh_asid(asid);
  const bool leaf = args[4] != 0;
  const auto num = static_cast<unsigned>(args[5]);
  const auto scale = static_cast<unsigned>(args[6]);
  const auto ttl = static_cast<unsigned>(args[7]);
  const std::uint64_t tg = args[8];
  if (tg == 0 && num == 0 && scale == 0 && ttl == 0) return tlbi_nh_va(asid, args[3], leaf);
  if (tg != 1) return "granule other than 4 KiB";
  return tlbi_nh_va_range(asid, args[3], leaf, num, scale, ttl);
}

Built build(const std::vector<std::uint64_t>& args) {
  const auto sid = [&](std::size_t i) {
    return arch::StreamId{static_cast<std::uint32_t>(args[i])};
  };
  const auto ssid = [&](std::size_t i) {
    return arch::SubstreamId{static_cast<std::uint32_t>(args[i])};
  };
  switch (args[0]) {
    case 0x01:
      return prefetch_config(sid(1));
    case 0x03:
      return cfgi_ste(sid(1), args[3] != 0);
    case 0x04:
      return cfgi_all();
    case 0x05:
      return cfgi_cd(sid(1), ssid(2), args[3] != 0);
    case 0x11:
    case 0x12:
    case 0x30:
      return build_tlbi(args);
    case 0x44:  // resp: 1 retry, 2 abort
      if (args[3] != 1 && args[3] != 2) return "RESUME that terminates";
      return resume(sid(1), static_cast<std::uint16_t>(args[2]), args[3] == 1);
    case 0x46:
      if (args[1] != 0) return "CMD_SYNC with an MSI";
      return sync();
    default:
      return "opcode without a builder";
  }
}

TEST(SmmuCommandsTest, EncodesEveryCommandAsLinuxDoes) {
  const json file = tests::read_vectors("smmu_driver/commands.json.gz");
  std::map<std::uint64_t, unsigned> replayed;
  std::map<std::string, unsigned> skipped;
  for (const json& test : file["cases"]) {
    if (test["op"] != "cmd") continue;
    if (test["ret"] != 0) {
      ++skipped["refused by the driver"];
      continue;
    }
    SCOPED_TRACE(test.dump());
    std::vector<std::uint64_t> args;
    for (const json& arg : test["args"]) args.push_back(hex(arg));
    Command expected{hex(test["words"][0]), hex(test["words"][1])};
    // The VMID belongs to stage 2, which this driver does not have.
    if (args[0] == 0x11 || args[0] == 0x12) expected.dw0 &= ~(std::uint64_t{0xffff} << 32);
    const Built built = build(args);
    if (const auto* reason = std::get_if<std::string>(&built)) {
      ++skipped[*reason];
      continue;
    }
    EXPECT_EQ(std::get<Command>(built), expected);
    ++replayed[args[0]];
  }
  unsigned total = 0;
  for (const auto& [opcode, count] : replayed) {
    std::cout << "opcode 0x" << std::hex << opcode << std::dec << ": " << count << " replayed\n";
    total += count;
  }
  for (const auto& [reason, count] : skipped) {
    std::cout << "skipped, " << reason << ": " << count << "\n";
  }
  EXPECT_GE(total, 152U);
}

TEST(SmmuCommandsTest, CoversAnAtcRangeAsLinuxDoes) {
  const json file = tests::read_vectors("smmu_driver/commands.json.gz");
  unsigned replayed = 0;
  unsigned without_pasid = 0;
  for (const json& test : file["cases"]) {
    if (test["op"] != "atc" || test["ret"] != 0) continue;
    SCOPED_TRACE(test.dump());
    const json& args = test["args"];
    if (hex(args[0]) == 0) {  // SSV = 0: this driver invalidates by PASID only
      ++without_pasid;
      continue;
    }
    const Command expected{hex(test["words"][0]), hex(test["words"][1])};
    EXPECT_EQ(atc_inv({static_cast<std::uint32_t>(hex(args[3]))},
                      {static_cast<std::uint32_t>(hex(args[0]))}, hex(args[1]), hex(args[2])),
              expected);
    ++replayed;
  }
  std::cout << replayed << " replayed, " << without_pasid << " skipped: no PASID\n";
  EXPECT_GE(replayed, 400U);
}

TEST(SmmuCommandsTest, SplitsRangesAsLinuxDoes) {
  const json file = tests::read_vectors("smmu_driver/tlb_inv_range.json.gz");
  std::map<std::string, unsigned> replayed;
  for (const json& test : file["cases"]) {
    SCOPED_TRACE(test.dump().substr(0, 400));
    std::vector<Command> expected;
    for (const json& words : test["commands"]) {
      const std::string text = words;
      const std::size_t space = text.find(' ');
      expected.push_back({hex(text.substr(0, space)), hex(text.substr(space + 1))});
    }
    const arch::Asid asid{static_cast<std::uint16_t>(expected.at(0).dw0 >> 48)};
    const bool ril = test["ril"];
    const bool leaf = test["leaf"];
    const auto actual = tlb_inv_range(asid, hex(test["start"]), hex(test["size"]), leaf, ril);
    ASSERT_EQ(actual, expected);
    ++replayed[std::string(ril ? "range commands" : "single commands") +
               (leaf ? ", leaf" : ", non-leaf")];
  }
  unsigned total = 0;
  for (const auto& [kind, count] : replayed) {
    std::cout << kind << ": " << count << " replayed\n";
    total += count;
  }
  EXPECT_GE(total, 6553U);
}

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
  const auto commands =
      tlb_inv_range({0x12}, start, std::uint64_t{row.pages} << 12, row.leaf, true);

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
