// What the fuzzer has found worth keeping, as a regression test of every build.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "fuzz/smmu_fuzz.h"
#include "support/smmu_outcome.h"

namespace shootdown::tests {
namespace {

std::vector<std::string> corpus() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry :
       std::filesystem::directory_iterator(SHOOTDOWN_SOURCE_DIR "/tests/fuzz/corpus")) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::vector<std::string> inputs;
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  return inputs;
}
std::string run(const std::string& bytes, const Tampering* tampering = nullptr) {
  return run_smmu_fuzz_input(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(),
                             tampering);
}

TEST(SmmuCorpusTest, EveryInputEndsAndEveryJudgedAccessIsByTheTables) {
  const auto inputs = corpus();
  EXPECT_GE(inputs.size(), 50U);
  for (std::size_t i = 0; i < inputs.size(); ++i) EXPECT_EQ(run(inputs[i]), "") << "input " << i;
}

TEST(SmmuCorpusTest, TheJudgeSeesEveryPlantedDefect) {
  const auto inputs = corpus();
  for (const Tampering& tampering : kTamperings) {
    EXPECT_TRUE(std::any_of(inputs.begin(), inputs.end(), [&](const std::string& input) {
      return !run(input, &tampering).empty();
    })) << tampering.name;
  }
}

}  // namespace
}  // namespace shootdown::tests
