// The report a program reads.
#ifndef SHOOTDOWN_COSIM_REPORT_JSON_REPORT_H
#define SHOOTDOWN_COSIM_REPORT_JSON_REPORT_H

#include <string>

#include "cosim/config/config.h"
#include "cosim/report/run_result.h"

namespace shootdown::cosim {

/// One object; docs/output.md describes it.
std::string json_report(const Config& config, const RunResult& result,
                        const CounterValues& counters);

}  // namespace shootdown::cosim

#endif
