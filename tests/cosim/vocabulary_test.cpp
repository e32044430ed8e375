// The tables of words, and what lives from them: docs/checkers.md, the table of steps.
#include "cosim/observe/vocabulary.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "cosim/program/step.h"

namespace shootdown::tests {
namespace {

std::string document(const std::string& name) {
  std::ostringstream text;
  text << std::ifstream(std::string(SHOOTDOWN_SOURCE_DIR) + "/docs/" + name).rdbuf();
  return text.str();
}

TEST(VocabularyTest, TheDocumentHasEveryWordWithItsMeaning) {
  const std::string text = document("checkers.md");
  const auto check = [&](const auto& words) {
    for (const auto& word : words) {
      const std::string row =
          "\n| `" + std::string(word.name) + "` | " + std::string(word.meaning) + " |\n";
      EXPECT_NE(text.find(row), std::string::npos) << row;
    }
  };
  check(cosim::violation_words());
  check(cosim::hop_words());
  check(cosim::note_words());
  check(cosim::cost_words());
}

TEST(StepsTest, EveryEntryIsWholeAndItsFailureCanBeSaid) {
  std::set<std::string_view> names;
  for (const cosim::StepKind& kind : cosim::step_kinds()) {
    EXPECT_TRUE(names.insert(kind.name).second) << kind.name << " stands there twice";
    EXPECT_FALSE(kind.what.empty()) << kind.name;
    EXPECT_NE(kind.read, nullptr) << kind.name;
    EXPECT_NE(kind.perform, nullptr) << kind.name;
    EXPECT_EQ(cosim::find_step(kind.name), &kind);
    cosim::MemoryOperation step{};
    step.kind = &kind;
    step.*kind.failure_at = {0x1000};
    EXPECT_NE(cosim::failure_of(step).find("0x1000"), std::string::npos) << kind.name;
  }
  for (const cosim::PlainStep& step : cosim::plain_steps()) {
    EXPECT_TRUE(names.insert(step.name).second) << step.name;
  }
}

TEST(StepsTest, TheDocumentHasEveryStep) {
  const std::string text = document("configuration.md");
  for (const cosim::StepKind& kind : cosim::step_kinds()) {
    EXPECT_NE(text.find("`" + std::string(kind.name)), std::string::npos) << kind.name;
  }
}

}  // namespace
}  // namespace shootdown::tests
