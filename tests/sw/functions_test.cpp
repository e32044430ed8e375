// The list of traced functions against the sources that trace them.
#include "sw/kernel/functions.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace shootdown::sw {
namespace {

struct Source {
  std::string name;  ///< from the root of the project
  std::string text;
};

/// The C++ of the software stack, and of the platform that runs it.
std::vector<Source> sources() {
  const std::filesystem::path root = SHOOTDOWN_SOURCE_DIR;
  std::vector<Source> result;
  for (const char* room : {"sw", "cosim/platform", "cosim/program"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / room)) {
      const auto ending = entry.path().extension();
      if (ending != ".h" && ending != ".cpp") continue;
      std::ostringstream text;
      text << std::ifstream(entry.path()).rdbuf();
      result.push_back({std::filesystem::relative(entry.path(), root).string(), text.str()});
    }
  }
  return result;
}

/// Every part of `text` that `pattern` matches.
std::vector<std::string> matches(const std::string& text, const std::regex& pattern) {
  std::vector<std::string> result;
  for (std::sregex_iterator it(text.begin(), text.end(), pattern), end; it != end; ++it) {
    result.push_back(it->str());
  }
  return result;
}

std::vector<std::string> literals(const std::string& text) {
  static const std::regex kLiteral("\"[^\"\n]*\"");
  std::vector<std::string> result = matches(text, kLiteral);
  for (std::string& literal : result) literal = literal.substr(1, literal.size() - 2);
  return result;
}

/// Where a FunctionTrace is given a name that stands elsewhere, and what passes it the name.
struct PassedOn {
  const char* file;
  const char* name;    ///< the last argument of the FunctionTrace
  const char* caller;  ///< a pattern; its match holds the literals
  const char* callers_in;
};
constexpr PassedOn kPassedOn[] = {
    {"sw/mm/kernel_gather.cpp", "hook", R"(\bvma_hook\([^;{]*;)", "sw/mm/mmu_gather.cpp"},
    {"sw/mm/rmap.cpp", "function_one", R"(\bunmap_everywhere\([^;{]*;)", "sw/mm/rmap.cpp"},
    {"sw/mm/gup.cpp", "kNames.at(static_cast<std::size_t>(slot.level))", R"(\bkNames\{[^;]*;)",
     "sw/mm/gup.cpp"},
    {"sw/arch/generic/generic_mmu.cpp", "function", R"(\bflush\(cpu, mm, [^;{]*")",
     "sw/arch/generic/generic_mmu.cpp"},
};

std::set<std::string> listed() {
  const auto functions = traced_functions();
  return {functions.begin(), functions.end()};
}

TEST(FunctionsTest, AreWhatTheSourcesTrace) {
  // A FunctionTrace of its own, or one of an optional `..._trace_`.
  const std::regex trace(
      R"(\bFunctionTrace [a-z_]+\([^;{]*;|\bFunctionTrace\{[^;]*;|_trace_?\.emplace\([^;]*;)");
  std::set<std::string> traced;
  unsigned passed_on = 0;
  for (const Source& source : sources()) {
    for (const std::string& statement : matches(source.text, trace)) {
      const auto names = literals(statement);
      traced.insert(names.begin(), names.end());
      if (!names.empty()) continue;
      bool known = false;
      for (const PassedOn& way : kPassedOn) {
        const std::string end = std::string(", ") + way.name + ");";
        known |= source.name == way.file && statement.ends_with(end);
      }
      EXPECT_TRUE(known) << source.name << ": " << statement << " has no name that this test knows";
      ++passed_on;
    }
    for (const PassedOn& way : kPassedOn) {
      if (source.name != way.callers_in) continue;
      const auto calls = matches(source.text, std::regex(way.caller));
      EXPECT_FALSE(calls.empty()) << way.caller;
      for (const std::string& call : calls) {
        const auto names = literals(call);
        traced.insert(names.begin(), names.end());
      }
    }
  }
  EXPECT_EQ(passed_on, std::size(kPassedOn));

  const std::set<std::string> list = listed();
  EXPECT_EQ(list.size(), traced_functions().size()) << "a function stands there twice";
  for (const std::string& name : traced) {
    EXPECT_TRUE(list.contains(name)) << name << " is traced and not listed";
  }
  for (const std::string& name : list) {
    EXPECT_TRUE(traced.contains(name)) << name << " is listed and not traced";
  }
}

}  // namespace
}  // namespace shootdown::sw
