// hw::Stage1Walk against a second walker that is slow and written for reading: recursive, over a
// map of descriptors, with literal bit numbers. Rules: Arm ARM D8.2-D8.4; order of faults IHI
// 0070, 7.3.
#include "hw/mmu/stage1_walk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <iostream>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "tests/hw/random.h"

namespace shootdown::hw {
namespace {

using arch::FaultKind;
using tests::Random;

constexpr std::uint64_t bit(unsigned n) { return std::uint64_t{1} << n; }
constexpr std::uint64_t low_bits(unsigned n) { return n >= 64 ? ~std::uint64_t{0} : bit(n) - 1; }

/// What the tables in memory mean for one address.
struct Expected {
  FaultKind fault{FaultKind::kNone};
  std::uint64_t page{};
  unsigned page_shift{};
  std::uint64_t output{};
  bool global{};
  bool user_read{}, user_write{}, privileged_read{}, privileged_write{};
  unsigned attributes{};
  std::vector<std::uint64_t> reads;  ///< addresses of the descriptors
  struct Table {
    std::uint64_t start, table;
    int level;
  };
  std::vector<Table> tables;
};

/// Descriptors by address. Missing ones are made up at the first read.
class Tables {
 public:
  explicit Tables(Random& random) : random_(random) {}

  /// False: the bus aborts the read.
  bool read(std::uint64_t address, int level, unsigned output_bits, std::uint64_t& descriptor) {
    auto found = memory_.find(address);
    if (found == memory_.end()) found = memory_.emplace(address, make(level, output_bits)).first;
    descriptor = found->second.value;
    return !found->second.abort;
  }
  bool contains(std::uint64_t address) const { return memory_.contains(address); }
  void set(std::uint64_t address, std::uint64_t descriptor) {
    memory_[address] = {descriptor, false};
  }

 private:
  struct Word {
    std::uint64_t value{};
    bool abort{};
  };
  Word make(int level, unsigned output_bits) {
    if (random_.percent(2)) return {0, true};
    std::uint64_t word = random_.bits();
    // Bits that both sides may treat as address or ignore: 48 to 50 are RES0 here.
    word &= ~(bit(48) | bit(49) | bit(50));
    if (!random_.percent(6)) word &= ~(low_bits(48) & ~low_bits(output_bits));
    word = random_.percent(85) ? word | bit(10) : word & ~bit(10);
    // The restrictions of tables are rare, else every page ends up without rights.
    if (level < 3 && !random_.percent(15)) word &= ~bit(61);
    if (level < 3 && !random_.percent(15)) word &= ~bit(62);
    const auto choice = random_.below(100);
    std::uint64_t type = 3;
    if (choice < 8) {
      type = random_.below(2) * 2;  // invalid
    } else if (choice < (level == 3 ? 16U : 28U)) {
      type = 1;
    }
    return {(word & ~std::uint64_t{3}) | type, false};
  }

  Random& random_;
  std::map<std::uint64_t, Word> memory_;
};

class SlowWalker {
 public:
  SlowWalker(const Stage1Context& context, Tables& tables) : context_(context), tables_(tables) {}

  Expected walk(std::uint64_t va) {
    Expected result;
    const bool lower = in_region(va, context_.half[0].tsz, false);
    const bool upper = in_region(va, context_.half[1].tsz, true);
    if (lower && !context_.half[0].walks_disabled) {
      descend(va, context_.half[0].ttb.value, 64 - context_.half[0].tsz, result);
    } else if (upper && !context_.half[1].walks_disabled) {
      descend(va, context_.half[1].ttb.value, 64 - context_.half[1].tsz, result);
    } else {
      result.fault = FaultKind::kTranslation;
    }
    return result;
  }

 private:
  static bool in_region(std::uint64_t va, unsigned txsz, bool ones) {
    for (unsigned i = 64 - txsz; i < 64; ++i) {
      if (((va >> i & 1) != 0) != ones) return false;
    }
    return true;
  }

  void descend(std::uint64_t va, std::uint64_t table, unsigned input_bits, Expected& result) {
    // The top table resolves the highest input bit; below it each level resolves nine bits.
    int level = 3;
    unsigned covered = 21;
    while (covered < input_bits) {
      covered += 9;
      --level;
    }
    const std::uint64_t input = va & low_bits(input_bits);
    visit(va, input, table, level, false, false, result);
  }

  void visit(std::uint64_t va, std::uint64_t input, std::uint64_t table, int level, bool no_user,
             bool no_write, Expected& result) {
    static constexpr std::array<unsigned, 4> kShift{39, 30, 21, 12};
    const unsigned shift = kShift[static_cast<std::size_t>(level)];
    const std::uint64_t address = table + 8 * (input >> shift & 511);
    result.reads.push_back(address);
    std::uint64_t descriptor = 0;
    if (!tables_.read(address, level, context_.output_bits, descriptor)) {
      result.fault = FaultKind::kWalkAbort;
      return;
    }
    const bool valid = (descriptor & 1) != 0;
    const bool two = (descriptor & 2) != 0;
    const bool is_table = valid && two && level < 3;
    const bool is_page = valid && two && level == 3;
    const bool is_block = valid && !two && (level == 1 || level == 2);
    if (!is_table && !is_page && !is_block) {
      result.fault = FaultKind::kTranslation;
      return;
    }
    std::uint64_t output = descriptor & low_bits(48) & ~low_bits(12);
    if (is_block) output &= ~low_bits(shift);
    if (output >> context_.output_bits != 0) {
      result.fault = FaultKind::kAddressSize;
      return;
    }
    if (is_table) {
      result.tables.push_back({va & ~low_bits(shift), output, level + 1});
      visit(va, input, output, level + 1, no_user || (descriptor & bit(61)) != 0,
            no_write || (descriptor & bit(62)) != 0, result);
      return;
    }
    if ((descriptor & bit(10)) == 0 && context_.access_flag_faults) {
      result.fault = FaultKind::kAccessFlag;
      return;
    }
    const unsigned ap = static_cast<unsigned>(descriptor >> 6 & 3);  // AP[2:1]
    result.page = va & ~low_bits(shift);
    result.page_shift = shift;
    result.output = output;
    result.global = (descriptor & bit(11)) == 0;
    result.user_read = (ap == 1 || ap == 3) && !no_user;
    result.user_write = ap == 1 && !no_user && !no_write;
    result.privileged_read = true;
    result.privileged_write = (ap == 0 || ap == 1) && !no_write;
    result.attributes = static_cast<unsigned>((descriptor >> 8 & 3) << 3 | (descriptor >> 2 & 7));
  }

  const Stage1Context& context_;
  Tables& tables_;
};

/// Feeds a walk to its end from `tables`.
std::vector<std::uint64_t> run(Stage1Walk& walk, Tables& tables, unsigned output_bits) {
  std::vector<std::uint64_t> reads;
  while (!walk.done()) {
    const std::uint64_t address = walk.descriptor_address().value;
    reads.push_back(address);
    if (reads.size() > 4) break;
    if (!tables.contains(address)) {
      ADD_FAILURE() << "reads 0x" << std::hex << address << ", which no walk needs";
      walk.feed_abort();
      break;
    }
    std::uint64_t descriptor = 0;
    if (tables.read(address, walk.level(), output_bits, descriptor)) {
      walk.feed(descriptor);
    } else {
      walk.feed_abort();
    }
  }
  return reads;
}

void expect_equal(const Stage1Walk& walk, const Expected& expected, arch::Asid asid) {
  ASSERT_TRUE(walk.done());
  ASSERT_EQ(walk.fault(), expected.fault)
      << name_of(walk.fault()) << " for " << name_of(expected.fault);
  if (expected.fault != FaultKind::kNone) return;
  const TlbEntry& entry = walk.entry();
  EXPECT_EQ(entry.page.value, expected.page);
  EXPECT_EQ(entry.page_shift, expected.page_shift);
  EXPECT_EQ(entry.output.value, expected.output);
  EXPECT_EQ(entry.space.asid, asid);
  EXPECT_EQ(entry.global, expected.global);
  EXPECT_EQ(entry.permissions.user_read(), expected.user_read);
  EXPECT_EQ(entry.permissions.user_write(), expected.user_write);
  EXPECT_EQ(entry.permissions.privileged_read(), expected.privileged_read);
  EXPECT_EQ(entry.permissions.privileged_write(), expected.privileged_write);
  EXPECT_EQ(entry.attributes, expected.attributes);
}

Stage1Context random_context(Random& random) {
  Stage1Context context;
  context.space.asid = arch::Asid{static_cast<std::uint16_t>(random.bits())};
  context.half[0].tsz = 16 + static_cast<unsigned>(random.below(24));
  context.half[1].tsz = 16 + static_cast<unsigned>(random.below(24));
  context.half[0].walks_disabled = random.percent(8);
  context.half[1].walks_disabled = random.percent(40);
  constexpr std::array<unsigned, 6> kOutputBits{32, 36, 40, 42, 44, 48};
  context.output_bits = kOutputBits[random.below(kOutputBits.size())];
  context.access_flag_faults = random.percent(70);
  context.half[0].ttb = {random.bits() & low_bits(context.output_bits) & ~low_bits(12)};
  context.half[1].ttb = {random.bits() & low_bits(context.output_bits) & ~low_bits(12)};
  return context;
}

std::uint64_t random_va(Random& random, const Stage1Context& context) {
  const auto choice = random.below(100);
  if (choice < 10) return random.bits();  // most of these are in the gap
  const bool upper = choice < 45;
  const unsigned input_bits = 64 - (upper ? context.half[1].tsz : context.half[0].tsz);
  std::uint64_t offset = random.bits() & low_bits(input_bits);
  if (random.percent(10)) offset = 0;
  if (random.percent(10)) offset = low_bits(input_bits);
  std::uint64_t va = upper ? offset | ~low_bits(input_bits) : offset;
  if (random.percent(5))
    va ^= bit(input_bits + static_cast<unsigned>(random.below(64 - input_bits)));
  return va;
}

TEST(Stage1WalkTest, AgreesWithASlowWalkerOnRandomTables) {
  Random random(20240601);
  SCOPED_TRACE(random.where());
  std::map<FaultKind, unsigned> outcomes;
  std::map<unsigned, unsigned> page_shifts;

  for (unsigned round = 0; round < 6000 && !testing::Test::HasFailure(); ++round) {
    const Stage1Context context = random_context(random);
    Tables tables(random);
    std::uint64_t va = 0;
    for (unsigned access = 0; access < 8; ++access) {
      // Neighbours share tables.
      const bool near = access != 0 && random.percent(40);
      va = near ? va ^ (random.bits() & low_bits(22)) : random_va(random, context);
      SCOPED_TRACE("round " + std::to_string(round) + " access " + std::to_string(access));
      const Expected expected = SlowWalker(context, tables).walk(va);
      ++outcomes[expected.fault];
      if (expected.fault == FaultKind::kNone) ++page_shifts[expected.page_shift];

      Stage1Walk walk(context, {va});
      const auto reads = run(walk, tables, context.output_bits);

      expect_equal(walk, expected, context.space.asid);
      EXPECT_EQ(reads, expected.reads);
      ASSERT_EQ(walk.tables(), expected.tables.size());
      for (unsigned i = 0; i < walk.tables(); ++i) {
        SCOPED_TRACE("from table " + std::to_string(i));
        EXPECT_EQ(walk.table(i).start.value, expected.tables[i].start);
        EXPECT_EQ(walk.table(i).table.value, expected.tables[i].table);
        EXPECT_EQ(walk.table(i).level, expected.tables[i].level);
        EXPECT_EQ(walk.table(i).space.asid, context.space.asid);
        const TableReference start = walk.table(i);
        Stage1Walk restarted(context, {va}, &start);
        const auto rest = run(restarted, tables, context.output_bits);
        expect_equal(restarted, expected, context.space.asid);
        EXPECT_EQ(rest.size() + i + 1, reads.size());
      }
    }
  }

  // The generator reached every outcome often enough to mean something.
  for (const FaultKind fault : {FaultKind::kNone, FaultKind::kWalkAbort, FaultKind::kTranslation,
                                FaultKind::kAddressSize, FaultKind::kAccessFlag}) {
    std::cout << name_of(fault) << ": " << outcomes[fault] << " walks\n";
    EXPECT_GT(outcomes[fault], 300U) << name_of(fault);
  }
  for (const unsigned shift : {12U, 21U, 30U}) EXPECT_GT(page_shifts[shift], 300U) << shift;
}

TEST(Stage1WalkTest, StartsAtTheLevelThatTheInputSizeAsksFor) {
  Random random(7);
  for (unsigned t0sz = 16; t0sz <= 39; ++t0sz) {
    SCOPED_TRACE(t0sz);
    const Stage1Context context{.half = {Stage1Half{.ttb = {0x4000'0000}, .tsz = t0sz},
                                         Stage1Half{.walks_disabled = true}}};
    const int expected = t0sz <= 24 ? 0 : t0sz <= 33 ? 1 : 2;

    const Stage1Walk lowest(context, {0});
    const Stage1Walk outside(context, {std::uint64_t{1} << (64 - t0sz)});

    EXPECT_FALSE(lowest.done());
    EXPECT_EQ(lowest.level(), expected);
    EXPECT_EQ(lowest.descriptor_address().value, 0x4000'0000U);
    ASSERT_TRUE(outside.done());
    EXPECT_EQ(outside.fault(), FaultKind::kTranslation);
  }
}

TEST(Stage1WalkTest, UpperTablesAreIndexedWithoutTheSignBits) {
  // T1SZ 20: 44 bits, the top table has 32 entries; the highest address uses the last one.
  const Stage1Context context{.half = {Stage1Half{}, Stage1Half{.ttb = {0x5000'0000}, .tsz = 20}}};

  const Stage1Walk highest(context, {~std::uint64_t{0}});
  const Stage1Walk lowest(context, {~low_bits(44)});

  EXPECT_EQ(highest.descriptor_address().value, 0x5000'0000U + 31 * 8);
  EXPECT_EQ(lowest.descriptor_address().value, 0x5000'0000U);
}

struct LeafCase {
  const char* name;
  int level;
  std::uint64_t descriptor;
  FaultKind fault;
  std::uint64_t output;
};
std::ostream& operator<<(std::ostream& out, const LeafCase& row) { return out << row.name; }

class LeafTest : public testing::TestWithParam<LeafCase> {};

constexpr FaultKind kOk = FaultKind::kNone;
constexpr std::array kLeafCases{
    LeafCase{"Page", 3, 0x8000'1743, kOk, 0x8000'1000},
    LeafCase{"PageReserved", 3, 0x8000'1741, FaultKind::kTranslation, 0},
    LeafCase{"PageInvalid", 3, 0x8000'1742, FaultKind::kTranslation, 0},
    LeafCase{"PageOld", 3, 0x8000'1343, FaultKind::kAccessFlag, 0},
    LeafCase{"PageTooHigh", 3, 0x10'0000'1743, FaultKind::kAddressSize, 0},
    LeafCase{"PageTooHighAndOld", 3, 0x10'0000'1343, FaultKind::kAddressSize, 0},
    LeafCase{"BlockTwoMegabytes", 2, 0x8020'0741, kOk, 0x8020'0000},
    LeafCase{"BlockIgnoresLowAddressBits", 2, 0x803f'f741, kOk, 0x8020'0000},
    LeafCase{"BlockOneGigabyte", 1, 0x8000'0741, kOk, 0x8000'0000},
    LeafCase{"BlockHalfATerabyte", 0, 0x8000'0741, FaultKind::kTranslation, 0},
};
INSTANTIATE_TEST_SUITE_P(Descriptors, LeafTest, testing::ValuesIn(kLeafCases),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(LeafTest, DecidesTheOutcome) {
  const LeafCase& row = GetParam();
  const Stage1Context context{
      .half = {Stage1Half{.ttb = {0x4000'0000}}, Stage1Half{.walks_disabled = true}},
      .output_bits = 36};

  Stage1Walk walk(context, {0x1234'5678});
  for (int level = 0; level < row.level; ++level)
    walk.feed(0x4000'1003 + 0x1000U * unsigned(level));
  walk.feed(row.descriptor);

  ASSERT_TRUE(walk.done());
  EXPECT_EQ(walk.fault(), row.fault) << name_of(walk.fault());
  if (row.fault == kOk) {
    EXPECT_EQ(walk.entry().output.value, row.output);
  }
}

}  // namespace
}  // namespace shootdown::hw
