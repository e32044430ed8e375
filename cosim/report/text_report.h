// The report a person reads: verdict first, then the missing hop, then the chain.
#ifndef SHOOTDOWN_COSIM_REPORT_TEXT_REPORT_H
#define SHOOTDOWN_COSIM_REPORT_TEXT_REPORT_H

#include <string>

#include "cosim/config/config.h"
#include "cosim/report/run_result.h"

namespace shootdown::cosim {

/// One line: what was run on what; `which` of its runs, if several are spoken of.
std::string describe_run(const Config& config, const std::string& which);
std::string describe_run(const Config& config);
/// What was found, without what was expected: violations with their chains, or a summary.
std::string verdict_text(const RunResult& result);
std::string text_report(const Config& config, const RunResult& result);

}  // namespace shootdown::cosim

#endif
