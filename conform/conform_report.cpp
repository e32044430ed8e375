#include "conform/conform_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "cosim/batch/xml.h"

namespace shootdown::conform {

std::string conform_table(const std::vector<ConformFile>& files) {
  std::size_t width = 4;
  std::size_t format_width = 6;
  for (const ConformFile& file : files) {
    width = std::max(width, file.path.size());
    format_width = std::max(format_width, file.format.size());
  }
  std::string text = fmt::format("{:{}}  {:{}} {:>7} {:>7} {:>7}\n", "file", width, "format",
                                 format_width, "cases", "agree", "differ");
  const ConformCase* first = nullptr;
  const ConformFile* first_file = nullptr;
  for (const ConformFile& file : files) {
    const unsigned failed = file.failed();
    text += fmt::format("{:{}}  {:{}} {:>7} {:>7} {:>7}\n", file.path, width, file.format,
                        format_width, file.cases.size(), file.cases.size() - failed, failed);
    if (first != nullptr) continue;
    for (const ConformCase& test : file.cases) {
      if (test.difference.empty()) continue;
      first = &test;
      first_file = &file;
      break;
    }
  }
  std::size_t cases = 0;
  unsigned differ = 0;
  for (const ConformFile& file : files) {
    cases += file.cases.size();
    differ += file.failed();
  }
  text += fmt::format("{} files, {} cases, {} differ\n", files.size(), cases, differ);
  if (first != nullptr) {
    text += fmt::format("\nfirst difference  {}: {}, {}\n  {}\n", first_file->path, first->name,
                        first->configuration, first->difference);
  }
  return text;
}

void write_junit(std::ostream& out, const std::vector<ConformFile>& files) {
  out << "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n";
  for (const ConformFile& file : files) {
    out << fmt::format("  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\">\n",
                       cosim::xml_escaped(file.path), file.cases.size(), file.failed());
    for (const ConformCase& test : file.cases) {
      const std::string head =
          fmt::format("    <testcase classname=\"{}\" name=\"{}\"",
                      cosim::xml_escaped(test.configuration), cosim::xml_escaped(test.name));
      if (test.difference.empty()) {
        out << head << "/>\n";
      } else {
        out << head << "><failure message=\"" << cosim::xml_escaped(test.difference)
            << "\"/></testcase>\n";
      }
    }
    out << "  </testsuite>\n";
  }
  out << "</testsuites>\n";
}

}  // namespace shootdown::conform
