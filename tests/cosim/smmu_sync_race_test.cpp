// Accesses on their way when an invalidation and CMD_SYNC come, at every distance in time: both
// orders of each race. Planted defects have to show here. Source: Arm IHI
// 0070, 3.21.1, 3.21.3, 4.7.3.
#include <gtest/gtest.h>

#include <string>

#include "support/smmu_bench.h"

namespace shootdown::tests {
namespace {

constexpr std::uint64_t kVa = 0x12'3456'7000;
constexpr std::uint32_t kSid = 5;
constexpr std::uint16_t kAsid = 7;
constexpr std::uint16_t kOtherAsid = 9;
constexpr Words2 kSync{0x46, 0};
constexpr std::uint64_t kTlbiVaAllLevels = kVa;
constexpr std::uint64_t kTlbiVaLeaf = kVa | 1;

Words2 tlbi_va(std::uint64_t dw1, std::uint64_t vmid) {
  return {0x12 | std::uint64_t{kAsid} << 48 | vmid, dw1};
}
Words2 cfgi_ste() { return {0x03 | std::uint64_t{kSid} << 32, 1}; }
Words2 cfgi_cd() { return {0x05 | std::uint64_t{kSid} << 32, 1}; }

enum class Edit : std::uint8_t { kLeaf, kTable, kCd, kSte, kStage2 };

struct Violations {
  unsigned late{};    ///< an access reached the old page after CMD_SYNC had completed
  unsigned stale{};   ///< an access that began after CMD_SYNC went to the old page
  unsigned raced{};   ///< runs in which the accesses were on their way when the command came
  unsigned before{};  ///< runs in which they had ended
  unsigned total() const { return late + stale; }
};

class Race {
 public:
  /// With stage 2 in the hardware, the stream uses both: then CDs and tables are found by walks.
  explicit Race(const hw::SmmuConfig& config) : bench_(config), nested_(config.features.stage2) {}

  /// The accesses begin `distance` cycles before the update.
  void run(Edit edit, bool warm, unsigned distance) {
    bench_.run([&] { script(edit, warm, distance); });
  }
  void run_all() {
    for (const Edit edit : {Edit::kLeaf, Edit::kTable, Edit::kCd, Edit::kSte, Edit::kStage2}) {
      if (edit == Edit::kStage2 && !nested_) continue;
      for (const bool warm : {false, true}) {
        for (unsigned distance = 0; distance <= (nested_ ? 2000U : 600U); distance += 23)
          run(edit, warm, distance);
      }
    }
  }
  const Violations& found() const { return found_; }

 private:
  void script(Edit edit, bool warm, unsigned distance) {
    bench_.stage1_stream(kSid, kAsid);
    const std::uint64_t old_page = bench_.allocate();
    const std::uint64_t new_page = bench_.allocate();
    bench_.map(kAsid, kVa, nested_ && edit == Edit::kStage2 ? kIpa : old_page);
    if (nested_) {
      bench_.set_ste(kSid, {0xf | SmmuBench::cd_address(kSid), 0, SmmuBench::stage2_word(kVmid),
                            bench_.root(kStage2)});
      bench_.write_word(bench_.descriptor(kStage2, SmmuBench::kRam, 1),
                        SmmuBench::kRam | SmmuBench::kStage2Block);
      bench_.map(kStage2, kIpa, old_page, SmmuBench::kStage2ReadWrite);
    }
    bench_.map(kOtherAsid, kVa, new_page);
    const std::uint64_t other_leaves = bench_.allocate();
    bench_.write_word(other_leaves + (kVa >> 12 & 0x1ff) * 8, new_page | SmmuBench::kReadWrite);
    const std::uint64_t other_cd = SmmuBench::cd_address(kSid + 1);
    bench_.set_cd(kSid + 1, 0, bench_.stage1_cd(kOtherAsid));
    bench_.boot();
    if (warm) bench_.dma(kSid, kVa);

    bench_.board.launch(0, SmmuBench::access(kSid, kVa, true), written_.data(), 4);
    bench_.board.launch(1, SmmuBench::access(kSid, kVa + 8, false), read_.data(), 4);
    bench_.pause(distance);
    (accesses_done() ? found_.before : found_.raced) += 1;
    switch (edit) {
      case Edit::kLeaf:
        bench_.write_word(bench_.descriptor(kAsid, kVa), new_page | SmmuBench::kReadWrite);
        bench_.submit({tlbi_va(kTlbiVaLeaf, vmid()), kSync});
        break;
      case Edit::kTable:
        bench_.write_word(bench_.descriptor(kAsid, kVa, 2), other_leaves | 3);
        bench_.submit({tlbi_va(kTlbiVaAllLevels, vmid()), kSync});
        break;
      case Edit::kCd:  // TTB0
        bench_.write_word(SmmuBench::cd_address(kSid) + 8, bench_.root(kOtherAsid));
        bench_.submit({cfgi_cd(), kSync, {0x11 | vmid() | std::uint64_t{kAsid} << 48, 0}, kSync});
        break;
      case Edit::kSte:  // S1ContextPtr: another CD, of another ASID. No TLBI needed.
        bench_.write_word(SmmuBench::kStreamTable + kSid * 64, (nested_ ? 0xf : 0xb) | other_cd);
        bench_.submit({cfgi_ste(), kSync});
        break;
      case Edit::kStage2:
        bench_.map(kStage2, kIpa, new_page, SmmuBench::kStage2ReadWrite);
        bench_.submit({{0x2a | vmid(), kIpa | 1}, kSync, {0x13 | vmid(), kVa | 1}, kSync});
        break;
    }
    bench_.settle();
    // CMD_SYNC has completed: the old page is put to other use.
    bench_.write_word(old_page, kReused);
    bench_.write_word(old_page + 8, kReused);
    ASSERT_TRUE(bench_.board.wait_until([&] { return accesses_done(); }));
    const bool late_write = bench_.word(old_page) != kReused;
    const bool late_read = read_ == std::array<std::uint8_t, 4>{0x5a, 0x5a, 0x5a, 0x5a};
    if (late_write || late_read) ++found_.late;
    if (bench_.dma(kSid, kVa, true) != new_page) ++found_.stale;
    EXPECT_TRUE(bench_.events().empty());
  }
  bool accesses_done() { return bench_.board.done(0) && bench_.board.done(1); }

  std::uint64_t vmid() const { return nested_ ? std::uint64_t{kVmid} << 32 : 0; }

  static constexpr std::uint64_t kIpa = 0x8'0000'0000;
  static constexpr std::uint16_t kStage2 = 20;
  static constexpr std::uint16_t kVmid = 3;
  static constexpr std::uint64_t kReused = 0x5a5a'5a5a'5a5a'5a5a;
  SmmuBench bench_;
  bool nested_;
  Violations found_;
  std::array<std::uint8_t, 4> written_{1, 2, 3, 4};
  std::array<std::uint8_t, 4> read_{};
};

struct Hardware {
  const char* name;
  void (*change)(hw::SmmuConfig&);
};
void PrintTo(const Hardware& hardware, std::ostream* out) { *out << hardware.name; }
std::string name_of_case(const testing::TestParamInfo<Hardware>& info) { return info.param.name; }

hw::SmmuConfig slow(const Hardware& hardware) {
  hw::SmmuConfig config;
  config.mmu.walk_step_cycles = 100;
  hardware.change(config);
  return config;
}

class SmmuSyncRaceTest : public testing::TestWithParam<Hardware> {};

TEST_P(SmmuSyncRaceTest, AfterSyncNoAccessUsesWhatWasInvalidatedBeforeIt) {
  Race race(slow(GetParam()));
  race.run_all();
  EXPECT_EQ(race.found().late, 0U);
  EXPECT_EQ(race.found().stale, 0U);
  EXPECT_GT(race.found().raced, 0U);
  EXPECT_GT(race.found().before, 0U);
}

INSTANTIATE_TEST_SUITE_P(
    Legal, SmmuSyncRaceTest,
    testing::Values(
        Hardware{"Plain", [](hw::SmmuConfig&) {}},
        Hardware{"OneWalker", [](hw::SmmuConfig& c) { c.mmu.walkers = 1; }},
        Hardware{"SlowHits", [](hw::SmmuConfig& c) { c.mmu.hit_latency_cycles = 200; }},
        Hardware{"SlowInvalidations",
                 [](hw::SmmuConfig& c) { c.mmu.invalidate_latency_cycles = 300; }},
        Hardware{"SmallTlb",
                 [](hw::SmmuConfig& c) { c.mmu.translator.tlb = {.entries = 1, .ways = 1}; }},
        Hardware{"TwoStages", [](hw::SmmuConfig& c) { c.features.stage2 = true; }},
        Hardware{"TwoStagesWithoutIpaCache",
                 [](hw::SmmuConfig& c) {
                   c.features.stage2 = true;
                   c.mmu.cache_stage2 = false;
                 }},
        Hardware{"TwoStagesOneWalker",
                 [](hw::SmmuConfig& c) {
                   c.features.stage2 = true;
                   c.mmu.walkers = 1;
                   c.mmu.invalidate_latency_cycles = 300;
                 }},
        Hardware{"NoWalkCache", [](hw::SmmuConfig& c) { c.mmu.translator.walk_cache_entries = 0; }},
        Hardware{"SlowCommands",
                 [](hw::SmmuConfig& c) { c.commands.command_latency_cycles = 250; }}),
    name_of_case);

class SmmuSyncDefectTest : public testing::TestWithParam<Hardware> {};

TEST_P(SmmuSyncDefectTest, IsSeenByTheRaces) {
  Race race(slow(GetParam()));
  race.run_all();
  EXPECT_GT(race.found().total(), 0U);
}

INSTANTIATE_TEST_SUITE_P(
    Planted, SmmuSyncDefectTest,
    testing::Values(Hardware{"CompleteWithoutDrain",
                             [](hw::SmmuConfig& c) { c.mmu.complete_without_drain = true; }},
                    Hardware{"CompleteWithoutDrainOfTwoStages",
                             [](hw::SmmuConfig& c) {
                               c.features.stage2 = true;
                               c.mmu.complete_without_drain = true;
                             }},
                    Hardware{"OvertakenFillsOfTwoStages",
                             [](hw::SmmuConfig& c) {
                               c.features.stage2 = true;
                               c.mmu.install_overtaken_fills = true;
                             }},
                    Hardware{"InstallOvertakenFills",
                             [](hw::SmmuConfig& c) { c.mmu.install_overtaken_fills = true; }},
                    Hardware{"IgnoreInvalidations",
                             [](hw::SmmuConfig& c) { c.mmu.ignore_invalidations = true; }},
                    Hardware{"SyncIgnoresInvalidations",
                             [](hw::SmmuConfig& c) {
                               c.commands.sync_ignores_invalidations = true;
                               c.mmu.invalidate_latency_cycles = 300;
                             }}),
    name_of_case);

/// Which rule a defect breaks, not only that it breaks one.
TEST(SmmuSyncDefectKindTest, WithoutDrainAccessesArriveLate) {
  hw::SmmuConfig config;
  config.mmu.walk_step_cycles = 100;
  config.mmu.complete_without_drain = true;
  Race race(config);
  race.run_all();
  EXPECT_GT(race.found().late, 0U);
}

TEST(SmmuSyncDefectKindTest, WithoutDrainAccessesThatHitArriveLateToo) {
  hw::SmmuConfig config;
  config.mmu.hit_latency_cycles = 200;
  config.mmu.complete_without_drain = true;
  Race race(config);
  for (unsigned distance = 0; distance <= 300; distance += 23)
    race.run(Edit::kLeaf, true, distance);
  EXPECT_GT(race.found().late, 0U);
}

TEST(SmmuSyncDefectKindTest, OvertakenFillsLeaveStaleEntries) {
  hw::SmmuConfig config;
  config.mmu.walk_step_cycles = 100;
  config.mmu.install_overtaken_fills = true;
  Race race(config);
  race.run_all();
  EXPECT_GT(race.found().stale, 0U);
}

TEST(SmmuSyncDefectKindTest, WithoutDrainConfigurationIsUsedLateToo) {
  hw::SmmuConfig config;
  config.mmu.walk_step_cycles = 100;
  config.mmu.complete_without_drain = true;
  Race race(config);
  for (unsigned distance = 0; distance <= 500; distance += 23)
    race.run(Edit::kSte, false, distance);
  EXPECT_GT(race.found().late, 0U);
}

}  // namespace
}  // namespace shootdown::tests
