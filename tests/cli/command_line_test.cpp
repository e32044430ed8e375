// The command line when all is well: exit status, outputs, what goes where.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
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
  EXPECT_EQ(result.out.find("preset"), std::string::npos);
  const auto preset =
      run_program("run configs/permission_upgrade.yaml --set hardware.preset=embedded");
  EXPECT_NE(preset.out.find(", preset embedded   seed 1\n"), std::string::npos) << preset.out;
}

TEST(CommandLineTest, TheReadmeShowsWhatTheProgramPrints) {
  const auto report = [](const std::string& text) {
    const std::size_t start = text.find("FAULT LOOP");
    const std::size_t end = text.find("next: ");
    return start < end ? text.substr(start, end - start) : "";
  };
  const std::string printed = report(run_program("run configs/permission_upgrade.yaml").out);
  EXPECT_FALSE(printed.empty());
  EXPECT_EQ(printed, report(read_file("README.md")));
}

TEST(CommandLineTest, JsonHoldsVerdictViolationsAndCounters) {
  const ScratchFolder scratch;
  const std::string file = scratch / "run.json";
  ASSERT_EQ(run_program("run configs/permission_upgrade.yaml --seed 7 --json " + file).status, 0);
  const auto json = nlohmann::json::parse(read_file(file));
  EXPECT_EQ(json["schema_version"], 1);
  EXPECT_EQ(json["kernel"], "v6.5");
  EXPECT_EQ(json["random_schedule"], 7);
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
  EXPECT_NE(run_program("list functions").out.find("\ntlb_finish_mmu\n"), std::string::npos);
  EXPECT_NE(run_program("list steps").out.find("\npunch_hole "), std::string::npos);
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

TEST(CommandLineTest, MatrixRunsEveryReleaseAndModelAndWritesItsCells) {
  const ScratchFolder scratch;
  const std::string json_file = scratch / "matrix.json";
  const std::string junit_file = scratch / "matrix.xml";
  const auto result =
      run_program("matrix configs/permission_upgrade.yaml configs/unmap.yaml --json " + json_file +
                  " --junit " + junit_file);
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_NE(result.out.find("48 cells, 0 not as expected"), std::string::npos) << result.out;
  const auto json = nlohmann::json::parse(read_file(json_file));
  ASSERT_EQ(json["cells"].size(), 48U);
  EXPECT_EQ(json["cells"][0]["found"], "fault-loop (notifier)");
  EXPECT_GT(json["cells"][0]["tlbis"], 0);
  EXPECT_EQ(json["cells"][7]["kernel"], "v6.7");
  EXPECT_EQ(json["cells"][7]["found"], "pass");
  const std::string junit = read_file(junit_file);
  EXPECT_NE(junit.find("<testsuite name=\"configs/permission_upgrade.yaml lockstep\" tests=\"8\" "
                       "failures=\"0\">"),
            std::string::npos)
      << junit;
}

TEST(CommandLineTest, MatrixFailsWhereACellDiffersFromTheExpectation) {
  const ScratchFolder scratch;
  std::string text = read_file("configs/unmap.yaml");
  const std::size_t expect = text.find("\nexpect:");
  ASSERT_NE(expect, std::string::npos);
  const std::string config = scratch / "wrong.yaml";
  const std::string junit = scratch / "wrong.xml";
  std::ofstream(config) << text.substr(0, expect)
                        << "\nexpect:\n  - {kernel: \"< v6.1\", violation: fault-loop}\n"
                           "  - {kernel: \">= v6.1\", violation: none}\n";
  const auto result = run_program("matrix " + config + " --junit " + junit);
  EXPECT_EQ(result.status, 1);
  EXPECT_NE(result.out.find("24 cells, 9 not as expected"), std::string::npos) << result.out;
  EXPECT_NE(read_file(junit).find("<failure message=\"found pass, expected fault-loop"),
            std::string::npos);
}

TEST(CommandLineTest, MatrixFailsWhereAViolationIsNotSpokenOf) {
  const ScratchFolder scratch;
  const std::string text = read_file("configs/permission_upgrade.yaml");
  const std::string config = scratch / "silent.yaml";
  std::ofstream(config) << text.substr(0, text.find("\nexpect:") + 1);
  const auto result = run_program("matrix " + config);
  EXPECT_EQ(result.status, 1);
  EXPECT_NE(result.out.find("NOT AS EXPECTED: nothing is expected of this kernel"),
            std::string::npos);
  EXPECT_NE(result.out.find("24 cells, 18 not as expected"), std::string::npos) << result.out;
}

TEST(CommandLineTest, ACellThatTheRtlCannotServeSaysSoAndTheRestRuns) {
  const auto result = run_program("matrix tests/cosim/cases/stage2_matrix.yaml");
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_NE(result.out.find("not run"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("8 cells, 0 not as expected, 2 not run"), std::string::npos)
      << result.out;
}

TEST(CommandLineTest, EventsCanBeChosen) {
  const ScratchFolder scratch;
  const std::string file = scratch / "chosen.jsonl";
  const std::string run = "run configs/permission_upgrade.yaml --events " + file;
  EXPECT_EQ(run_program(run + " --event-kinds tlb_fill,tlb_evict --event-actors smmu0").status, 0);
  const std::string fills = read_file(file);
  EXPECT_NE(fills.find("\"tlb_fill\""), std::string::npos);
  EXPECT_EQ(fills.find("\"pte_store\""), std::string::npos);
  EXPECT_EQ(fills.find("\"cpu0\""), std::string::npos);
  EXPECT_EQ(run_program(run + " --event-window 5").status, 0);
  const std::string window = read_file(file);
  const auto lines = std::count(window.begin(), window.end(), '\n');
  EXPECT_GE(lines, 5);
  EXPECT_LE(lines, 10) << "the run ends soon after the violation";
  const auto passed = run_program(run + " --kernel v6.6 --event-window 5");
  EXPECT_EQ(passed.status, 0);
  EXPECT_NE(passed.err.find("no violation"), std::string::npos) << passed.err;
  EXPECT_TRUE(read_file(file).empty());
  // The notation of reports is taken.
  EXPECT_EQ(run_program(run + " --event-addresses 0x7f80_0001_0000:0x7f80_0001_0fff").status, 0);
  EXPECT_NE(read_file(file).find("0x7f8000010010"), std::string::npos);
  for (const char* wrong : {"--event-kinds bogus", "--event-actors nobody",
                            "--event-addresses 0x2000:0x1000", "--event-addresses heap"}) {
    const auto refused = run_program(run + " " + wrong);
    EXPECT_EQ(refused.status, 2) << wrong;
    EXPECT_EQ(refused.err.rfind("--event-", 0), 0U) << refused.err;
  }
  EXPECT_EQ(run_program("run configs/permission_upgrade.yaml --event-window 5").status, 2);
}

TEST(CommandLineTest, BisectNamesTheChangeWithBothChains) {
  const auto result = run_program("bisect configs/permission_upgrade.yaml");
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.out.rfind("the verdict turns at 6bbd42e2df8f (v6.6)", 0), 0U) << result.out;
  EXPECT_LT(result.out.find("FAULT LOOP"), result.out.find("with it\n\nPASS")) << result.out;
}

TEST(CommandLineTest, BisectNamesAChangeThatMakesThingsWorse) {
  // This driver encodes ranges wrongly. Up to v6.5 nothing here makes it send one.
  const auto result =
      run_program("bisect configs/access_flag.yaml --set 'inject=[reserved_range_command]'");
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.out.rfind("the verdict turns at 6bbd42e2df8f (v6.6)", 0), 0U) << result.out;
  EXPECT_LT(result.out.find("PASS"), result.out.find("with it\n\nDRIVER MISUSE")) << result.out;
}

TEST(CommandLineTest, BisectFallsBackOnTheCost) {
  const auto result = run_program("bisect configs/changes/mprotect_needs_flush.yaml");
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.out.rfind("no change of the kernel's history turns the verdict\n", 0), 0U);
  EXPECT_NE(result.out.find("the cost changes at c9fe66560bf2 (v5.19)"), std::string::npos)
      << result.out;
}

TEST(CommandLineTest, BisectFallsBackOnTheEvents) {
  const auto result = run_program("bisect configs/changes/vma_hooks_single.yaml");
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.out.find("the cost changes"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("only events change at 18ba064e42df (v5.19)"), std::string::npos)
      << result.out;
}

TEST(CommandLineTest, FuzzWritesWhatFailsAndItFailsAgain) {
  const ScratchFolder scratch;
  const auto result = run_program(
      "fuzz --kernel v6.7 --inject skip_notifier --experiments 40 --out " + (scratch / "found"));
  EXPECT_EQ(result.status, 1) << result.out << result.err;
  EXPECT_NE(result.out.find("injected: [skip_notifier]"), std::string::npos) << result.out;
  // The lines at the end are commands.
  const auto last = result.out.rfind("shootdown run ");
  ASSERT_NE(last, std::string::npos) << result.out;
  const std::string command = result.out.substr(last + std::string("shootdown ").size());
  const auto again = run_program(command.substr(0, command.find('\n')));
  EXPECT_EQ(again.status, 1) << again.out << again.err;
  EXPECT_NE(again.out.find("NOT AS EXPECTED"), std::string::npos) << again.out;
}

TEST(CommandLineTest, FuzzPrintsAnExperimentThatCheckTakes) {
  const ScratchFolder scratch;
  const auto printed = run_program("fuzz --print 7");
  EXPECT_EQ(printed.status, 0);
  std::ofstream(scratch / "seven.yaml") << printed.out;
  EXPECT_EQ(run_program("check " + (scratch / "seven.yaml")).status, 0);
}

}  // namespace
}  // namespace shootdown::tests
