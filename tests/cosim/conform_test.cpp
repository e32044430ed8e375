// Recorded behaviour is replayed in full, and a recording that is not what this stack does is
// found.
#include "conform/conform.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "conform/conform_report.h"
#include "conform/smmu_board.h"
#include "tests/vectors/gzip_json.h"

namespace shootdown::tests {
namespace {

using conform::ConformFile;
using nlohmann::json;

TEST(ConformTest, EveryRecordedGatherOfLinux61And612Agrees) {
  const auto files = conform::conform_folder(SHOOTDOWN_SOURCE_DIR "/tests/vectors/mmu_gather");
  ASSERT_EQ(files.size(), 2U);
  EXPECT_EQ(files[0].cases.size(), 3778U);
  EXPECT_EQ(files[1].cases.size(), 540U);
  for (const ConformFile& file : files) {
    EXPECT_EQ(file.failed(), 0U) << conform::conform_table(files);
  }
}

TEST(ConformTest, EveryRecordedArm64FlushOfLinux61And612Agrees) {
  const auto files = conform::conform_folder(SHOOTDOWN_SOURCE_DIR "/tests/vectors/arm64_tlbi");
  ASSERT_EQ(files.size(), 6U);  // two kernels, three page sizes
  std::size_t cases = 0;
  for (const ConformFile& file : files) {
    EXPECT_EQ(file.failed(), 0U) << conform::conform_table(files);
    cases += file.cases.size();
  }
  EXPECT_EQ(cases, 23730U);
}

TEST(ConformTest, AWrongOperandBarrierOrEntryOfAnArm64FlushIsNamed) {
  const json all = read_vectors("arm64_tlbi/linux-6.12-4k.json.gz");
  const auto first_difference = [&](const char* op, auto&& plant) {
    json file = all;
    file["groups"] = json::array();
    for (const json& group : all["groups"]) {
      for (const json& test : group["cases"]) {
        if (test["op"] != op || (test.contains("ret") && test["ret"] == 0)) continue;
        json planted = test;
        plant(planted);
        file["groups"].push_back({{"features", group["features"]}, {"cases", {planted}}});
        return conform::replay_arm64_tlbi(file).cases.at(0).difference;
      }
    }
    return std::string("no such case");
  };
  EXPECT_NE(first_difference("flush_tlb_mm", [](json& t) { t["out"][1] = "tlbi aside1is 0x1"; })
                .find("Linux \"tlbi aside1is 0x1\""),
            std::string::npos);
  EXPECT_NE(first_difference("flush_tlb_page", [](json& t) { t["out"].erase(0); })
                .find("is \"dsb ishst\""),
            std::string::npos);
  EXPECT_NE(first_difference("ptep_set_access_flags", [](json& t) { t["ret"] = 0; })
                .find("returns 1, Linux 0"),
            std::string::npos);
  EXPECT_NE(first_difference("ptep_test_and_clear_young", [](json& t) { t["after"] = "same"; })
                .find("entry "),
            std::string::npos);
}

TEST(ConformTest, EverySessionAndCommandOfLinuxsSmmuDriverAgrees) {
  const auto files = conform::conform_folder(SHOOTDOWN_SOURCE_DIR "/tests/vectors/smmu_driver");
  ASSERT_EQ(files.size(), 9U);
  std::map<std::string, std::size_t> cases;
  for (const ConformFile& file : files) {
    EXPECT_EQ(file.failed(), 0U) << conform::conform_table({file});
    cases[file.format] += file.cases.size();
  }
  EXPECT_EQ(cases["smmuv3-driver/1"], 76U);  // sessions: two kernels, three page sizes
  EXPECT_EQ(cases["smmuv3-commands/1"], 1018U);
  EXPECT_EQ(cases["smmu-tlb-inv-range/1"], 6553U);
  EXPECT_EQ(cases["smmuv3-nonterminating/1"], 4U);
}

TEST(ConformTest, AWrongCommandStoreWordOrOrderOfTheSmmuDriverIsNamed) {
  json file = read_vectors("smmu_driver/linux-6.12-4k.json.gz");
  const json session = file["sessions"][0];
  const auto first_difference = [&](const std::string& op, auto&& plant) {
    json planted = session;
    for (json& step : planted["steps"]) {
      if (step["op"] != op) continue;
      plant(step);
      break;
    }
    file["sessions"] = json::array({planted});
    return conform::replay_smmu_driver(file).cases.at(0).difference;
  };
  const auto nothing = [](json&) {};
  EXPECT_EQ(first_difference("dev", nothing), "");
  const auto contains = [](const std::string& text, const std::string& part) {
    return testing::AssertionResult(text.find(part) != std::string::npos) << text;
  };
  EXPECT_TRUE(
      contains(first_difference("inv", [](json& s) { s["out"][0]["submit"][0] = "0x11 0x0"; }),
               "Linux: [0x11 0x0]"));
  EXPECT_TRUE(contains(first_difference("attach", [](json& s) { s["out"][0]["value"] = "0x5"; }),
                       "cd:dev0:0:1=0x5"));
  EXPECT_TRUE(contains(first_difference("attach", [](json& s) { s["out"].erase(2); }), "Linux"));
  EXPECT_TRUE(contains(
      first_difference("sync", [](json& s) { std::swap(s["out"][0], s["out"][1]); }), "Linux"));
  EXPECT_TRUE(contains(
      first_difference("attach", [](json& s) { s["out"].erase(s["out"].size() - 1); }), "ATS"));
  EXPECT_TRUE(contains(
      first_difference("make_ste", [](json& s) { s["out"][0]["words"][0] = "0x3"; }), "word 0"));
  EXPECT_TRUE(contains(first_difference("resume", [](json& s) { s["prod"] = 1; }), "CMDQ_PROD"));
  EXPECT_TRUE(contains(first_difference("identity", [](json& s) { s["ret"] = -22; }), "succeeds"));
}

TEST(ConformTest, EveryRecordedSmmuSequenceAgreesInEveryMode) {
  const auto files = conform::conform_folder(SHOOTDOWN_SOURCE_DIR "/tests/vectors/smmuv3");
  EXPECT_EQ(files.size(), 252U);
  for (const ConformFile& file : files) {
    ASSERT_EQ(file.cases.size(), 3U);
    EXPECT_EQ(file.failed(), 0U) << conform::conform_table({file});
  }
}

/// The first difference of a recorded sequence in which `plant` has changed something.
std::string smmu_difference(const char* vector, const std::function<void(json&)>& plant) {
  json file = read_vectors(vector);
  plant(file);
  for (const auto& test : conform::replay_smmuv3(file).cases) {
    if (!test.difference.empty()) return test.difference;
  }
  return {};
}
json& first_dma(json& file) {
  for (json& step : file["steps"]) {
    if (step["op"] == "dma") return step;
  }
  throw std::runtime_error("no DMA");
}

TEST(ConformTest, ARecordingOfNothingOrWithANumberThatIsNoneIsRefused) {
  constexpr const char* kVector = "smmuv3/xlate/xlate-4k-tsz16.json";
  EXPECT_THROW(smmu_difference(kVector, [](json& f) { f["steps"] = json::array(); }),
               std::runtime_error);
  EXPECT_THROW(smmu_difference(kVector, [](json& f) { first_dma(f)["a"] = "0x12zz"; }),
               std::runtime_error);
}

TEST(ConformTest, AWrongSmmuOutcomeIsNamed) {
  constexpr const char* kVector = "smmuv3/xlate/xlate-4k-tsz16.json";
  EXPECT_EQ(smmu_difference(kVector, [](json&) {}), "");
  EXPECT_NE(smmu_difference(kVector, [](json& f) { first_dma(f)["obs"]["pa"] = "0x40000000"; })
                .find("recorded ok"),
            std::string::npos);
  EXPECT_NE(smmu_difference(kVector,
                            [](json& f) {
                              first_dma(f)["obs"] = {{"r", "abort"}};
                            })
                .find("recorded abort"),
            std::string::npos);
  const auto plant_event = [](std::size_t word, const char* value) {
    return smmu_difference("smmuv3/cmdq/cmdq-wrap-log2_0.json", [&](json& file) {
      for (json& step : file["steps"]) {
        if (step["op"] == "dma" && step["obs"].contains("ev")) step["obs"]["ev"][0][word] = value;
      }
    });
  };
  EXPECT_NE(plant_event(0, "0x2100000010"), "") << "the type";
  EXPECT_NE(plant_event(0, "0x2200000013"), "") << "the StreamID";
  EXPECT_NE(plant_event(1, "0x20800000000"), "") << "RnW";
  EXPECT_NE(plant_event(1, "0x10000000000"), "") << "CLASS";
  EXPECT_NE(plant_event(2, "0x1004"), "") << "the address";
  EXPECT_NE(smmu_difference(kVector,
                            [](json& f) {
                              for (json& step : f["steps"]) {
                                if (step["op"] == "rr" && step["reg"] == "CMDQ_CONS")
                                  step["obs"]["v"] = "0x7";
                              }
                            })
                .find("CMDQ_CONS"),
            std::string::npos);
}

TEST(ConformTest, TheNaturalRunsSeeAnSmmuThatKeepsWhatWasInvalidated) {
  // What was recorded only steers memory in these runs: the second SMMU has to find it.
  const auto natural = [](const std::function<void(hw::SmmuConfig&)>& plant) {
    unsigned differ = 0;
    for (const auto& entry :
         std::filesystem::directory_iterator(SHOOTDOWN_SOURCE_DIR "/tests/vectors/smmuv3/tlb")) {
      const json file = read_vectors("smmuv3/tlb/" + entry.path().filename().string());
      for (const auto& test : conform::replay_smmuv3(file, plant).cases) {
        if (test.configuration != "fresh" && !test.difference.empty()) ++differ;
      }
    }
    return differ;
  };
  EXPECT_EQ(natural({}), 0U);
  EXPECT_GT(natural([](hw::SmmuConfig& config) { config.mmu.ignore_invalidations = true; }), 0U);
}

/// What CMD_CFGI_* do to a cached STE, through the command queue. The recorded sequences run on a
/// board without configuration caches, and would not notice.
struct ConfigInvalidation {
  const char* name;
  std::uint64_t dw0, dw1;
  bool drops_ste;
};
class ConfigInvalidationTest : public testing::TestWithParam<ConfigInvalidation> {};
INSTANTIATE_TEST_SUITE_P(
    Commands, ConfigInvalidationTest,
    testing::Values(ConfigInvalidation{"Ste", 0x1'0000'0003, 1, true},
                    ConfigInvalidation{"SteOfAnotherStream", 0x2'0000'0003, 1, false},
                    ConfigInvalidation{"SteRange", 0x0'0000'0004, 0, true},
                    ConfigInvalidation{"SteRangeElsewhere", 0x2'0000'0004, 0, false},
                    ConfigInvalidation{"All", 0x4, 31, true},
                    ConfigInvalidation{"Cd", 0x1'0000'0005, 1, false},
                    ConfigInvalidation{"CdAll", 0x1'0000'0006, 0, false}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_P(ConfigInvalidationTest, DropsTheSteOrLeavesIt) {
  constexpr arch::PhysAddr kBase{0x4000'0000};
  constexpr std::uint64_t kSteOfStream1 = 0x4000'0040;
  constexpr std::uint64_t kBypass = 0x9;
  constexpr std::uint64_t kAbort = 0x1;
  conform::SmmuBoard board({}, kBase, 1 << 20);
  bool cached = false;
  bool after = false;
  board.run([&] {
    const auto accepted = [&] {
      std::uint8_t byte = 0;
      return board.dma({.stream_id = {1}, .substream_id = {}, .address = {0x4000'8000}}, &byte, 1)
          .ok;
    };
    board.memory().write64({kSteOfStream1}, kBypass);
    board.write_register(0x80, kBase.value, 8);      // STRTAB_BASE
    board.write_register(0x88, 4, 4);                // 16 STEs
    board.write_register(0x90, 0x4000'1000 | 4, 8);  // CMDQ_BASE
    board.write_register(0x20, 0x9, 4);              // CR0: CMDQEN, SMMUEN
    ASSERT_TRUE(accepted());
    board.memory().write64({kSteOfStream1}, kAbort);
    cached = accepted();
    board.memory().write64({0x4000'1000}, GetParam().dw0);
    board.memory().write64({0x4000'1008}, GetParam().dw1);
    board.memory().write64({0x4000'1010}, 0x46);  // CMD_SYNC
    board.write_register(0x98, 2, 4);             // CMDQ_PROD
    ASSERT_TRUE(board.wait_until([&] { return board.read_register(0x9c, 4) == 2; }));
    after = accepted();
  });
  EXPECT_TRUE(cached) << "the STE is used from the cache until it is invalidated";
  EXPECT_EQ(after, !GetParam().drops_ste);
}

/// The recordings of one case, for planting something wrong in one of them.
class PlantedTest : public testing::Test {
 protected:
  PlantedTest() {
    const json all = read_vectors("mmu_gather/directed.json.gz");
    file_ = {{"format", all["format"]}, {"configs", all["configs"]}};
    for (const json& test : all["cases"]) {
      if (test["name"] == "op_munmap") file_["cases"] = {test};
    }
  }
  json& trace(const std::string& configuration) {
    for (json& trace : file_["cases"][0]["traces"]) {
      for (const json& name : trace["configs"]) {
        if (name == configuration) return trace["t"];
      }
    }
    throw std::runtime_error("no trace of " + configuration);
  }
  /// The first record that satisfies `wanted`.
  template <class Wanted>
  json& record(const std::string& configuration, Wanted&& wanted) {
    for (json& record : trace(configuration)) {
      if (!record.is_null() && wanted(record)) return record;
    }
    throw std::runtime_error("no such record");
  }
  std::string difference() {
    const ConformFile result = conform::replay_mmu_gather(file_);
    EXPECT_GE(result.failed(), 1U);
    for (const auto& test : result.cases) {
      if (!test.difference.empty()) return test.difference;
    }
    return {};
  }
  static bool has_event(const json& record, const char* kind) {
    for (const json& event : record[1]) {
      if (event[0] == kind) return true;
    }
    return false;
  }

  json file_;
};

TEST_F(PlantedTest, TheCaseItselfAgrees) {
  EXPECT_EQ(conform::replay_mmu_gather(file_).failed(), 0U);
}

TEST_F(PlantedTest, AnEventThatLinuxDidNotHaveIsNamed) {
  json& found = record("6.1/arm64", [](const json& r) { return has_event(r, "arm64_flush"); });
  found[1].erase(found[1].begin());
  EXPECT_NE(difference().find("arm64_flush"), std::string::npos) << difference();
}

TEST_F(PlantedTest, AnEventThatOnlyLinuxHadIsNamed) {
  json& found = record("6.12/x86_pv", [](const json& r) { return has_event(r, "x86_flush"); });
  found[1].push_back({"ipi", 1});
  EXPECT_NE(difference().find("[\"ipi\",1] is missing"), std::string::npos) << difference();
}

TEST_F(PlantedTest, OrderCounts) {
  json& found = record(
      "6.1/arm64", [](const json& r) { return has_event(r, "arm64_flush") && r[1].size() > 1; });
  std::swap(found[1][0], found[1][1]);
  EXPECT_NE(difference().find("event 0 is"), std::string::npos) << difference();
}

TEST_F(PlantedTest, AFieldThatDiffersIsNamed) {
  json& found =
      record("6.1/generic", [](const json& r) { return r.size() > 2 && r[2].contains("cleared"); });
  found[2]["cleared"] = "tmu4";
  EXPECT_NE(difference().find("cleared is"), std::string::npos) << difference();
}

TEST_F(PlantedTest, TheFirstDifferenceIsPrintedAndWrittenAsJunit) {
  record("6.1/generic",
         [](const json& r) { return r.size() > 2 && r[2].contains("end"); })[2]["end"] = "0x1";
  ConformFile result = conform::replay_mmu_gather(file_);
  result.path = "a<b.json";
  const std::string table = conform::conform_table({result});
  EXPECT_NE(table.find("first difference  a<b.json: op_munmap, 6.1/generic"), std::string::npos)
      << table;
  std::ostringstream junit;
  conform::write_junit(junit, {result});
  EXPECT_NE(junit.str().find("<testsuite name=\"a&lt;b.json\""), std::string::npos);
  EXPECT_NE(junit.str().find("<failure message=\"operation"), std::string::npos);
}

TEST_F(PlantedTest, AFieldNobodyKnowsIsADifference) {
  record("6.1/generic", [](const json& r) { return r.size() > 2; })[2]["rss"] = 7;
  EXPECT_NE(difference().find("field rss is not known"), std::string::npos) << difference();
}

TEST_F(PlantedTest, ARecordTooManyIsADifference) {
  trace("6.1/generic").push_back(nullptr);
  EXPECT_NE(difference().find("records"), std::string::npos) << difference();
}

TEST_F(PlantedTest, OtherConstantsOrKnobsAreADifference) {
  file_["configs"]["6.1/generic"]["max_gather_batch"] = 3;
  EXPECT_NE(difference().find("max_gather_batch is 510, Linux 3"), std::string::npos);
  file_["configs"]["6.1/generic"]["max_gather_batch"] = 510;
  file_["configs"]["6.1/generic"]["knobs"].push_back("MMU_GATHER_NO_RANGE");
  EXPECT_NE(difference().find("knobs differ"), std::string::npos) << difference();
}

TEST_F(PlantedTest, AnUnknownConfigurationIsRefused) {
  file_["cases"][0]["traces"][0]["configs"][0] = "6.1/vax";
  EXPECT_THROW(conform::replay_mmu_gather(file_), std::runtime_error);
}

}  // namespace
}  // namespace shootdown::tests
