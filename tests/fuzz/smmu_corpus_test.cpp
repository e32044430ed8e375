// What the fuzzer has found worth keeping, as a regression test of every build.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "fuzz/smmu_fuzz.h"

namespace shootdown::tests {
namespace {

TEST(SmmuCorpusTest, EveryInputEndsAndEveryJudgedAccessIsByTheTables) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry :
       std::filesystem::directory_iterator(SHOOTDOWN_SOURCE_DIR "/tests/fuzz/corpus")) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  EXPECT_GE(files.size(), 50U);
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    EXPECT_EQ(
        run_smmu_fuzz_input(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()), "")
        << file;
  }
}

}  // namespace
}  // namespace shootdown::tests
