// Changing an STE or a CD while the SMMU reads it: whatever mixture of old and new qwords it sees
// means the old entry, the new one, or none.
#include "sw/smmu/entry_writer.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "fake_cpu.h"

namespace shootdown::sw::smmu {
namespace {

constexpr arch::PhysAddr kAddress{0x4000};

/// STEs and CDs: what is looked at, and where V is.
struct Kind {
  EntryWriter::Used used;
  std::uint64_t valid;
};
constexpr Kind kSte{ste_used, 1};
constexpr Kind kCd{cd_used, std::uint64_t{1} << 31};

/// What the SMMU makes of an entry; nothing: V = 0.
std::optional<Entry> meaning(const Entry& entry, const Kind& kind) {
  if ((entry[0] & kind.valid) == 0) return std::nullopt;
  Entry result = kind.used(entry);
  for (std::size_t i = 0; i < result.size(); ++i) result[i] &= entry[i];
  return result;
}

struct Finding {
  bool mixture{};       ///< something was seen that is neither old nor new
  bool break_seen{};    ///< a valid entry was invalid in between
  bool without_sync{};  ///< the SMMU may still hold something else than the target at the end
  unsigned syncs{};
};

/// Whether both are valid, and how many qwords the SMMU reads otherwise in the second one, once all
/// that it ignores in the first has been made ready.
std::optional<unsigned> qwords_between(const Entry& before, const Entry& target, const Kind& kind) {
  if (!meaning(before, kind) || !meaning(target, kind)) return std::nullopt;
  const Entry looked_at = kind.used(before);
  const Entry wanted = kind.used(target);
  unsigned count = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (((before[i] ^ target[i]) & looked_at[i] & wanted[i]) != 0) ++count;
  }
  return count;
}

/// Looks at an entry while it changes. Between two syncs the SMMU may have read each word before or
/// after any store to it, since the last sync.
class Watcher : public tests::FakeCpu {
 public:
  Watcher(const Entry& before, const Entry& target, const Kind& kind)
      : old_(meaning(before, kind)), new_(meaning(target, kind)), target_(target), kind_(kind) {
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
    ++finding_.syncs;
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
    const auto now = meaning(entry, kind_);
    if (!now) {
      finding_.break_seen = finding_.break_seen || (old_ && new_);
    } else if (now != old_ && now != new_) {
      finding_.mixture = true;
    }
  }

  std::optional<Entry> old_;
  std::optional<Entry> new_;
  Entry target_;
  Kind kind_;
  std::array<std::vector<std::uint64_t>, arch::smmuv3::kStructureWords> seen_;
  Finding finding_;
};

Finding change(const Entry& before, const Entry& target, const Kind& kind) {
  Watcher cpu(before, target, kind);
  EntryWriter(cpu, kAddress, kind.used, [&] { cpu.sync(); }).write(target);
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
      const Finding finding = change(before.words, target.words, kSte);
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
    return change(words[0], words[1], kSte).break_seen;
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

// CDs (5.4): V AA64 R A IPS EPD1, then what the name says.
constexpr std::uint64_t kCdWord = 0x0007'6205'c000'3510;
struct Cd {
  const char* name;
  Entry words;
};
const Cd kCds[] = {
    {"invalid", {}},
    {"ASID 7", {kCdWord, 0x8000'1000, 0, 0xff}},
    {"ASID 9", {kCdWord ^ std::uint64_t{7 ^ 9} << 48, 0x8000'1000, 0, 0xff}},
    {"stalls", {kCdWord | std::uint64_t{1} << 44, 0x8000'1000, 0, 0xff}},
    {"another table", {kCdWord, 0x8000'2000, 0, 0xff}},
    {"another ASID and table", {kCdWord ^ std::uint64_t{7 ^ 9} << 48, 0x8000'2000, 0, 0xff}},
    {"quiet", {(kCdWord & ~std::uint64_t{0x3f3f}) | 1 << 14, 0, 0, 0xff}},
};

TEST(EntryWriterTest, ACdNeverMeansWhatNobodyWrote) {
  for (const Cd& before : kCds) {
    for (const Cd& target : kCds) {
      SCOPED_TRACE(std::string(before.name) + " to " + target.name);
      const Finding finding = change(before.words, target.words, kCd);
      EXPECT_FALSE(finding.mixture);
      EXPECT_FALSE(finding.without_sync);
      const auto qwords = qwords_between(before.words, target.words, kCd);
      EXPECT_EQ(finding.break_seen, qwords.value_or(0) > 1);
    }
  }
  // What a process's going and a change of domain are.
  EXPECT_FALSE(change(kCds[1].words, kCds[6].words, kCd).break_seen) << "EPD0 hides the table";
  EXPECT_TRUE(change(kCds[1].words, kCds[5].words, kCd).break_seen);
}

// As many syncs as Linux's own unit tests of arm_smmu_write_entry() have.
TEST(EntryWriterTest, SyncsNoMoreOftenThanItMust) {
  EXPECT_EQ(change(kStes[1].words, kStes[1].words, kSte).syncs, 0U) << "nothing changes";
  EXPECT_EQ(change(kStes[2].words, kStes[1].words, kSte).syncs, 2U) << "bypass to abort";
  EXPECT_EQ(change(kStes[1].words, kStes[2].words, kSte).syncs, 2U) << "abort to bypass";
  EXPECT_EQ(change(kStes[3].words, kStes[1].words, kSte).syncs, 2U) << "stage 1 to abort";
  EXPECT_EQ(change(kStes[1].words, kStes[3].words, kSte).syncs, 2U) << "abort to stage 1";
  EXPECT_EQ(change(kStes[3].words, kStes[4].words, kSte).syncs, 1U) << "one qword";
  EXPECT_EQ(change(kStes[7].words, kStes[1].words, kSte).syncs, 2U) << "stage 2 to abort";
  EXPECT_EQ(change(kStes[3].words, kStes[7].words, kSte).syncs, 3U) << "with a break";
  EXPECT_EQ(change(kCds[1].words, kCds[2].words, kCd).syncs, 1U) << "another ASID";
  EXPECT_EQ(change(kCds[0].words, kCds[1].words, kCd).syncs, 2U) << "set up";
  EXPECT_EQ(change(kCds[1].words, kCds[0].words, kCd).syncs, 2U) << "cleared";
}

TEST(EntryWriterTest, RandomEntriesNeverMeanWhatNobodyWrote) {
  std::mt19937_64 random(1);
  const auto masked = [](Entry entry, const Kind& kind) {
    const Entry mask = kind.used(entry);
    for (std::size_t i = 0; i < entry.size(); ++i) entry[i] &= mask[i];
    return entry;
  };
  // Few bits differ, so that all cases come about.
  const auto random_entry = [&](const Kind& kind) {
    Entry entry{};
    for (auto& word : entry) word = random() & random() & random();
    entry[0] &= ~kind.valid;
    if (random() % 8 != 0) entry[0] |= kind.valid;
    if (kind.valid == kSte.valid) {  // Config: abort, bypass, stage 1, stage 2, both
      constexpr std::uint64_t kConfigs[] = {0, 4, 5, 6, 7};
      entry[0] = (entry[0] & ~std::uint64_t{0xe}) | kConfigs[random() % 5] << 1;
    }
    return masked(entry, kind);
  };
  for (const Kind& kind : {kSte, kCd}) {
    unsigned hitless = 0;
    unsigned broken = 0;
    for (unsigned round = 0; round < 2000; ++round) {
      const Entry before = random_entry(kind);
      Entry target = before;
      if (random() % 2 == 0) {
        target = random_entry(kind);
      } else {
        const std::size_t word = random() % 4;
        target[word] ^= random() & random() & ~(word == 0 ? kind.valid : 0);
      }
      target = masked(target, kind);
      const Finding finding = change(before, target, kind);
      ASSERT_FALSE(finding.mixture) << "round " << round;
      ASSERT_FALSE(finding.without_sync) << "round " << round;
      const auto qwords = qwords_between(before, target, kind);
      ASSERT_EQ(finding.break_seen, qwords.value_or(0) > 1) << "round " << round;
      if (qwords) ++(*qwords > 1 ? broken : hitless);
    }
    EXPECT_GT(hitless, 300U);
    EXPECT_GT(broken, 300U);
  }
}

/// Planted defects: what Watcher has to see.
TEST(EntryWriterTest, AWriterThatStoresInOrderIsCaught) {
  const Entry& before = kStes[3].words;
  const Entry& target = kStes[7].words;
  Watcher in_order(before, target, kSte);
  for (std::size_t i = 0; i < target.size(); ++i) in_order.store(kAddress + 8 * i, target[i]);
  in_order.sync();
  EXPECT_TRUE(in_order.finding().mixture);

  Watcher no_sync_between(before, target, kSte);
  no_sync_between.store(kAddress, 0);
  for (std::size_t i = 1; i < target.size(); ++i)
    no_sync_between.store(kAddress + 8 * i, target[i]);
  no_sync_between.store(kAddress, target[0]);
  no_sync_between.sync();
  EXPECT_TRUE(no_sync_between.finding().mixture) << "the SMMU may have kept the old first qword";

  Watcher no_sync_at_all(kStes[1].words, kStes[2].words, kSte);
  no_sync_at_all.store(kAddress, kBypass);
  EXPECT_TRUE(no_sync_at_all.finding().without_sync);
}

}  // namespace
}  // namespace shootdown::sw::smmu
