// The command line when all is well: exit status, outputs, what goes where.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "../support/program.h"

namespace shootdown::tests {
namespace {

TEST(CommandLineTest, ExitStatusFollowsTheExpectation) {
  EXPECT_EQ(run_program("run configs/permission_upgrade.yaml").status, 0);
  EXPECT_EQ(run_program("run configs/permission_upgrade.yaml --kernel v6.6").status, 0);
  EXPECT_EQ(run_program("run configs/permission_upgrade.yaml --set "
                        "'expect=[{violation: none}]'")
                .status,
            1);
  EXPECT_EQ(run_program("run configs/permission_upgrade.yaml --kernel v6.6 --set "
                        "limits.simulated_us=1 --set 'expect=[{violation: none}]'")
                .status,
            3);
}

TEST(CommandLineTest, ReportStartsWithTheVerdictAndNamesTheHop) {
  const auto result = run_program("run configs/permission_upgrade.yaml");
  EXPECT_EQ(result.err, "");
  std::istringstream lines(result.out);
  std::string line;
  std::getline(lines, line);
  EXPECT_NE(line.find("Linux v6.5"), std::string::npos);
  std::getline(lines, line);
  std::getline(lines, line);
  EXPECT_EQ(line.rfind("FAULT LOOP   nic0 writes 0x7f80_0001_0010", 0), 0U) << line;
  std::getline(lines, line);
  EXPECT_EQ(line.rfind("missing hop  notifier", 0), 0U) << line;
  EXPECT_EQ(result.out.find('\033'), std::string::npos) << "colour without a terminal";
}

TEST(CommandLineTest, JsonHoldsVerdictViolationsAndCounters) {
  const ScratchFolder scratch;
  const std::string file = scratch / "run.json";
  ASSERT_EQ(run_program("run configs/permission_upgrade.yaml --seed 7 --json " + file).status, 0);
  const auto json = nlohmann::json::parse(read_file(file));
  EXPECT_EQ(json["schema_version"], 1);
  EXPECT_EQ(json["kernel"], "v6.5");
  EXPECT_EQ(json["seed"], 7);
  EXPECT_EQ(json["verdict"], "violation");
  EXPECT_EQ(json["met"], true);
  const auto& violation = json["violations"].at(0);
  EXPECT_EQ(violation["kind"], "fault-loop");
  EXPECT_EQ(violation["missing_hop"], "notifier");
  EXPECT_EQ(violation["actor"], "nic0");
  EXPECT_GT(violation["chain"].size(), 4U);
  EXPECT_GT(json["counters"]["smmu0.faults"], 10);
  EXPECT_EQ(scratch.files(), 1U) << "temporary files are left";
}

TEST(CommandLineTest, EventsAreOneJsonObjectALineInOrder) {
  const ScratchFolder scratch;
  const std::string file = scratch / "events.jsonl";
  ASSERT_EQ(
      run_program("run configs/permission_upgrade.yaml --kernel v6.6 --events " + file).status, 0);
  std::istringstream lines(read_file(file));
  std::string line;
  std::uint64_t sequence = 0;
  std::uint64_t time = 0;
  while (std::getline(lines, line)) {
    const auto event = nlohmann::json::parse(line);
    EXPECT_EQ(event["seq"], ++sequence);
    EXPECT_GE(event["time_ps"], time);
    time = event["time_ps"];
  }
  EXPECT_GT(sequence, 100U);
}

TEST(CommandLineTest, ListsWhatThereIs) {
  EXPECT_NE(run_program("list configs").out.find("permission_upgrade.yaml"), std::string::npos);
  EXPECT_NE(run_program("list kernels").out.find("v6.7"), std::string::npos);
  EXPECT_NE(run_program("list changes").out.find("6bbd42e2df8f"), std::string::npos);
  EXPECT_NE(run_program("list checkers").out.find("use-after-free"), std::string::npos);
  EXPECT_NE(run_program("list injections").out.find("skip_atc_inv"), std::string::npos);
}

TEST(CommandLineTest, HelpAndVersionGoToStandardOutput) {
  for (const char* arguments : {"--help", "run --help", "--version"}) {
    const auto result = run_program(arguments);
    EXPECT_EQ(result.status, 0);
    EXPECT_EQ(result.err, "");
    EXPECT_NE(result.out, "");
  }
}

}  // namespace
}  // namespace shootdown::tests
