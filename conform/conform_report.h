// What `shootdown conform` prints and writes.
#ifndef SHOOTDOWN_CONFORM_CONFORM_REPORT_H
#define SHOOTDOWN_CONFORM_CONFORM_REPORT_H

#include <iosfwd>
#include <string>
#include <vector>

#include "conform/conform.h"

namespace shootdown::conform {

/// A table, a line a file, and the first difference in full.
std::string conform_table(const std::vector<ConformFile>& files);
/// JUnit XML: a suite a file, a test case a recorded case.
void write_junit(std::ostream& out, const std::vector<ConformFile>& files);

}  // namespace shootdown::conform

#endif
