// Changing an STE or a CD while the SMMU reads it: whatever mixture of old and new qwords it sees
// means the old entry, the new one, or none.
#include "sw/smmu/entry_writer.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "fake_cpu.h"

namespace shootdown::sw::smmu {
namespace {

constexpr arch::PhysAddr kAddress{0x4000};
using Used = EntryWriter::Used;

/// What the SMMU makes of an entry; nothing: V = 0.
std::optional<Entry> meaning(const Entry& entry, Used used) {
  if ((entry[0] & 1) == 0) return std::nullopt;
  Entry result = used(entry);
  for (std::size_t i = 0; i < result.size(); ++i) result[i] &= entry[i];
  return result;
}

struct Finding {
  bool mixture{};       ///< something was seen that is neither old nor new
  bool break_seen{};    ///< a valid entry was invalid in between
  bool without_sync{};  ///< the SMMU may still hold something else than the target at the end
};

/// Looks at an entry while it changes. Between two syncs the SMMU may have read each word before or
/// after any store to it, since the last sync.
class Watcher : public tests::FakeCpu {
 public:
  Watcher(const Entry& before, const Entry& target, Used used)
      : old_(meaning(before, used)), new_(meaning(target, used)), target_(target), used_(used) {
    for (std::size_t i = 0; i < before.size(); ++i) {
      memory[kAddress.value + 8 * i] = before[i];
      seen_[i] = {before[i]};
    }
  }
  void store(arch::PhysAddr address, std::uint64_t value) override {
    FakeCpu::store(address, value);
    seen_[(address.value - kAddress.value) / 8].push_back(value);
    look();
  }
  void sync() {
    for (std::size_t i = 0; i < seen_.size(); ++i) seen_[i] = {memory[kAddress.value + 8 * i]};
  }
  Finding finding() {
    for (std::size_t i = 0; i < seen_.size(); ++i) {
      if (seen_[i].size() != 1 || seen_[i][0] != target_[i]) finding_.without_sync = true;
    }
    return finding_;
  }

 private:
  void look() {
    Entry entry{};
    combine(entry, 0);
  }
  void combine(Entry& entry, std::size_t word) {
    if (word < seen_.size()) {
      for (const std::uint64_t value : seen_[word]) {
        entry[word] = value;
        combine(entry, word + 1);
      }
      return;
    }
    const auto now = meaning(entry, used_);
    if (!now) {
      finding_.break_seen = finding_.break_seen || (old_ && new_);
    } else if (now != old_ && now != new_) {
      finding_.mixture = true;
    }
  }

  std::optional<Entry> old_;
  std::optional<Entry> new_;
  Entry target_;
  Used used_;
  std::array<std::vector<std::uint64_t>, arch::smmuv3::kStructureWords> seen_;
  Finding finding_;
};

Finding change(const Entry& before, const Entry& target, Used used) {
  Watcher cpu(before, target, used);
  EntryWriter(cpu, kAddress, used, [&] { cpu.sync(); }).write(target);
  return cpu.finding();
}

// Entries as the specification prints them (IHI 0070, 5.2 and 5.4).
constexpr std::uint64_t kCdTable = 0x8'0000'1000;
constexpr std::uint64_t kEats = std::uint64_t{1} << 28;
constexpr std::uint64_t kShcfg = std::uint64_t{1} << 44;
constexpr std::uint64_t kS1 = 0xb, kS2 = 0xd, kBypass = 0x9, kAbort = 0x1;
constexpr std::uint64_t kS1Attributes = 0xd4;  // S1CIR, S1COR, S1CSH
constexpr std::uint64_t kS2Word = 0x0608'3591'0000'0000;

struct Ste {
  const char* name;
  Entry words;
};
const Ste kStes[] = {
    {"invalid", {}},
    {"abort", {kAbort}},
    {"bypass", {kBypass, kShcfg}},
    {"stage 1", {kS1 | kCdTable, kS1Attributes | 2}},
    {"stage 1, ATS", {kS1 | kCdTable, kS1Attributes | 2 | kEats}},
    {"stage 1, S1DSS = 1", {kS1 | kCdTable, kS1Attributes | 1 | kShcfg}},
    {"stage 1, another table", {kS1 | (kCdTable + 0x1000), kS1Attributes | 2}},
    {"stage 2", {kS2, kShcfg, kS2Word | 3, 0x9'0000'0000}},
    {"stage 2, another VMID", {kS2, kShcfg, kS2Word | 4, 0x9'0000'0000}},
};

TEST(EntryWriterTest, AnSteNeverMeansWhatNobodyWrote) {
  for (const Ste& before : kStes) {
    for (const Ste& target : kStes) {
      SCOPED_TRACE(std::string(before.name) + " to " + target.name);
      const Finding finding = change(before.words, target.words, ste_used);
      EXPECT_FALSE(finding.mixture);
      EXPECT_FALSE(finding.without_sync);
    }
  }
}

TEST(EntryWriterTest, OneQwordIsEnoughWithoutABreak) {
  const auto breaks = [](const char* before, const char* target) {
    Entry words[2]{};
    for (const Ste& ste : kStes) {
      if (std::string(before) == ste.name) words[0] = ste.words;
      if (std::string(target) == ste.name) words[1] = ste.words;
    }
    return change(words[0], words[1], ste_used).break_seen;
  };
  EXPECT_FALSE(breaks("abort", "stage 1"));
  EXPECT_FALSE(breaks("stage 1", "abort"));
  EXPECT_FALSE(breaks("bypass", "stage 2"));
  EXPECT_FALSE(breaks("stage 1", "stage 1, ATS"));
  EXPECT_FALSE(breaks("stage 1, another table", "stage 1"));
  EXPECT_FALSE(breaks("bypass", "stage 1, S1DSS = 1")) << "SHCFG is the same";
  EXPECT_FALSE(breaks("stage 2", "stage 2, another VMID"));
  EXPECT_TRUE(breaks("stage 1, another table", "stage 1, ATS")) << "two qwords";
}

TEST(EntryWriterTest, RandomEntriesNeverMeanWhatNobodyWrote) {
  std::mt19937_64 random(1);
  // Few bits differ, so that all cases come about.
  const auto random_entry = [&](Used used) {
    Entry entry{};
    for (auto& word : entry) word = random() & random() & random();
    entry[0] = (entry[0] & ~std::uint64_t{0xf}) | (random() % 8 == 0 ? 0 : 1) | (random() & 7) << 1;
    if (used == cd_used) entry[0] |= (random() & 1) << 14;  // EPD0
    const Entry mask = used(entry);
    for (std::size_t i = 0; i < entry.size(); ++i) entry[i] &= mask[i];
    return entry;
  };
  unsigned hitless = 0;
  for (const Used used : {Used{ste_used}, Used{cd_used}}) {
    for (unsigned round = 0; round < 2000; ++round) {
      const Entry before = random_entry(used);
      Entry target = before;
      if (random() % 2 == 0) {
        target = random_entry(used);
      } else {
        const std::size_t word = random() % 4;
        target[word] ^= used(before)[word] & random() & ~std::uint64_t{0x400f};
      }
      const Entry mask = used(target);
      for (std::size_t i = 0; i < target.size(); ++i) target[i] &= mask[i];
      const Finding finding = change(before, target, used);
      ASSERT_FALSE(finding.mixture) << "round " << round;
      ASSERT_FALSE(finding.without_sync) << "round " << round;
      if (!finding.break_seen) ++hitless;
    }
  }
  EXPECT_GT(hitless, 1000U);
}

/// Planted defects: what Watcher has to see.
TEST(EntryWriterTest, AWriterThatStoresInOrderIsCaught) {
  const Entry& before = kStes[3].words;
  const Entry& target = kStes[7].words;
  Watcher in_order(before, target, ste_used);
  for (std::size_t i = 0; i < target.size(); ++i) in_order.store(kAddress + 8 * i, target[i]);
  in_order.sync();
  EXPECT_TRUE(in_order.finding().mixture);

  Watcher no_sync_between(before, target, ste_used);
  no_sync_between.store(kAddress, 0);
  for (std::size_t i = 1; i < target.size(); ++i)
    no_sync_between.store(kAddress + 8 * i, target[i]);
  no_sync_between.store(kAddress, target[0]);
  no_sync_between.sync();
  EXPECT_TRUE(no_sync_between.finding().mixture) << "the SMMU may have kept the old first qword";

  Watcher no_sync_at_all(kStes[1].words, kStes[2].words, ste_used);
  no_sync_at_all.store(kAddress, kBypass);
  EXPECT_TRUE(no_sync_at_all.finding().without_sync);
}

}  // namespace
}  // namespace shootdown::sw::smmu
