// The generator of experiments, the search and the shrinker.
#include "cosim/fuzz/fuzz.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "cosim/config/injections.h"
#include "cosim/experiment/experiment.h"
#include "cosim/program/step.h"

namespace shootdown::tests {
namespace {

const cosim::GenerateOptions kNewest{.kernel = cosim::newest_kernel(), .inject = {}};

void collect(const std::vector<cosim::Draft::Step>& steps, std::set<std::string>& names) {
  for (const cosim::Draft::Step& step : steps) {
    if (step.steps.empty()) names.insert(step.text.substr(0, step.text.find(':')));
    collect(step.steps, names);
  }
}

TEST(FuzzGeneratorTest, MakesLegalExperimentsOfAllTheTableOfSteps) {
  std::set<std::string> steps;
  std::set<std::string> texts;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    const cosim::Draft draft = cosim::generate(seed, kNewest);
    for (const cosim::Draft::Thread& thread : draft.threads) collect(thread.steps, steps);
    const std::string text = draft.yaml();
    EXPECT_NO_THROW(cosim::load_experiment_text(text, draft.description)) << text;
    EXPECT_EQ(cosim::generate(seed, kNewest).yaml(), text) << "one seed, two experiments";
    EXPECT_TRUE(texts.insert(text).second) << "two seeds, one experiment";
  }
  for (const cosim::StepKind& kind : cosim::step_kinds()) {
    EXPECT_TRUE(steps.contains(std::string(kind.name))) << kind.name;
  }
}

TEST(FuzzGeneratorTest, DraftsAreNestedConfigurations) {
  cosim::Draft draft;
  draft.hardware = {{"cpus", "2"}, {"smmu.tlb.entries", "4"}, {"smmu.tlb.ways", "2"}};
  EXPECT_NE(draft.yaml().find("hardware: {cpus: 2, smmu: {tlb: {entries: 4, ways: 2}}}\n"),
            std::string::npos)
      << draft.yaml();
}

TEST(FuzzTest, FindsNothingOnAKernelThatIsRight) {
  cosim::FuzzOptions options{.experiments = kNewest};
  options.experiments_at_most = 150;
  const cosim::FuzzResult result = cosim::run_fuzz(options);
  EXPECT_EQ(result.experiments, 150U);
  EXPECT_EQ(result.runs, 600U);
  EXPECT_EQ(result.failing, 0U) << cosim::fuzz_text(options, result);
  EXPECT_TRUE(result.crashed.empty());
}

TEST(FuzzTest, FindsAPlantedDefectAndTakesItApart) {
  cosim::FuzzOptions options{.experiments = kNewest};
  options.experiments.inject = "[skip_dsb]";
  options.experiments.kernel = "v6.7";
  // Broadcast is not everybody's: those that cannot have the defect are left out.
  options.experiments_at_most = 40;
  const cosim::FuzzResult result = cosim::run_fuzz(options);
  EXPECT_TRUE(result.crashed.empty());
  ASSERT_GT(result.failing, 0U);
  const auto group =
      std::find_if(result.groups.begin(), result.groups.end(), [](const auto& candidate) {
        return candidate.first.hop == "dsb" && !candidate.second.file.empty();
      });
  ASSERT_NE(group, result.groups.end()) << cosim::fuzz_text(options, result);
  const std::string& file = group->second.file;
  EXPECT_LT(std::count(file.begin(), file.end(), '\n'), 40) << file;
  // What is written fails again, in the order that is written down.
  const auto config = cosim::load_experiment_text(file, "shrunk");
  cosim::Experiment experiment(config);
  if (const auto& schedule = group->second.shortest.schedule) {
    experiment.platform().set_random_schedule(*schedule);
  }
  const auto again = experiment.run();
  ASSERT_FALSE(again.violations.empty());
  EXPECT_EQ(cosim::name_of(again.violations.front().missing_hop), "dsb");
}

}  // namespace
}  // namespace shootdown::tests
