#include "cosim/experiment/matrix.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <utility>

#include "cosim/batch/xml.h"
#include "cosim/config/rtl_support.h"
#include "cosim/experiment/experiment.h"
#include "cosim/program/load.h"
#include "cosim/rtl/tlb_dut.h"

namespace shootdown::cosim {

namespace {

Config load(const std::string& config, const std::optional<std::string>& kernel,
            const std::string& model) {
  return load_experiment(
      config, {"hardware.smmu.tlb.model=" + model, "hardware.cpu_tlb.model=" + model}, kernel);
}

std::string found_text(const RunResult& result) {
  if (result.violations.empty()) return name_of(result.verdict);
  std::vector<std::string> found;
  for (const Outcome& outcome : outcomes_of(result)) found.push_back(to_string(outcome));
  return fmt::format("{}", fmt::join(found, ", "));
}

/// In words; a violation that `expect` does not speak of is not as expected either.
std::string expectation(const MatrixCell& cell) {
  return cell.expected.empty() ? "nothing is expected of this kernel" : cell.expected;
}

}  // namespace

std::vector<std::string> matrix_kernels() {
  return {"v5.18", "v5.19", "v6.0", "v6.1", "v6.2", "v6.5", "v6.6", "v6.7"};
}

std::vector<std::string> matrix_models() { return {"systemc", "rtl", "lockstep"}; }

std::optional<std::string> rtl_obstacle_of(const std::string& config) {
  return rtl_obstacle(load(config, std::nullopt, "systemc").hardware, tlb_dut_geometries());
}

MatrixCell run_cell(const std::string& config, const std::string& kernel,
                    const std::string& model) {
  const Config loaded = load(config, kernel, model);
  const RunResult result = Experiment(loaded).run();
  return {.config = config,
          .model = model,
          .kernel = kernel,
          .found = found_text(result),
          .expected = result.expected,
          .met = result.met,
          .cost = cost_of(result.totals),
          .simulated_ps = result.simulated_ps,
          .not_run = {}};
}

void run_cells(const std::string& config, const std::string& model,
               const std::optional<std::string>& rtl_obstacle,
               const std::function<void(MatrixCell)>& done) {
  if (rtl_obstacle && model != "systemc") {
    return done({.config = config,
                 .model = model,
                 .kernel = "any",
                 .found = "not run",
                 .expected = {},
                 .met = true,
                 .cost = {},
                 .simulated_ps = 0,
                 .not_run = *rtl_obstacle});
  }
  for (const std::string& kernel : matrix_kernels()) done(run_cell(config, kernel, model));
}

std::string cell_text(const MatrixCell& cell) {
  if (!cell.not_run.empty()) {
    return fmt::format("{:32} {:8} {:6} not run: {}\n",
                       std::filesystem::path(cell.config).stem().string(), cell.model, cell.kernel,
                       cell.not_run);
  }
  return fmt::format(
      "{:32} {:8} {:6} {:40} {:>4} flushes {:>5} TLBIs {:>5} IPIs {:>5} commands {:>9.3f} us  "
      "{}\n",
      std::filesystem::path(cell.config).stem().string(), cell.model, cell.kernel, cell.found,
      cell.cost[0], cell.cost[1], cell.cost[2], cell.cost[3],
      static_cast<double>(cell.simulated_ps) / 1e6,
      !cell.met               ? "NOT AS EXPECTED: " + expectation(cell)
      : cell.expected.empty() ? "nothing expected"
                              : "as expected");
}

std::string matrix_json(const std::vector<MatrixCell>& cells) {
  nlohmann::json array = nlohmann::json::array();
  for (const MatrixCell& cell : cells) {
    array.push_back({{"config", cell.config},
                     {"model", cell.model},
                     {"kernel", cell.kernel},
                     {"found", cell.found},
                     {"expected", cell.expected},
                     {"met", cell.met},
                     {"simulated_ps", cell.simulated_ps}});
    for (const Word<CostKind>& cost : cost_words()) {
      array.back()[std::string(cost.name)] = cell.cost[static_cast<std::size_t>(cost.kind)];
    }
    if (!cell.not_run.empty()) array.back()["not_run"] = cell.not_run;
  }
  return nlohmann::json{{"schema_version", 1}, {"cells", array}}.dump(2) + "\n";
}

void write_matrix_junit(std::ostream& out, const std::vector<MatrixCell>& cells) {
  const auto same_suite = [](const MatrixCell& a, const MatrixCell& b) {
    return a.config == b.config && a.model == b.model;
  };
  out << "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n";
  for (auto first = cells.begin(); first != cells.end();) {
    const auto last = std::find_if(
        first, cells.end(), [&](const MatrixCell& cell) { return !same_suite(cell, *first); });
    out << fmt::format("  <testsuite name=\"{} {}\" tests=\"{}\" failures=\"{}\">\n",
                       xml_escaped(first->config), first->model, last - first,
                       std::count_if(first, last, [](const auto& cell) { return !cell.met; }));
    for (auto cell = first; cell != last; ++cell) {
      out << fmt::format("    <testcase classname=\"{}\" name=\"{}\"", xml_escaped(cell->config),
                         cell->kernel);
      if (!cell->not_run.empty()) {
        out << fmt::format("><skipped message=\"{}\"/></testcase>\n", xml_escaped(cell->not_run));
      } else if (cell->met) {
        out << "/>\n";
      } else {
        out << fmt::format("><failure message=\"found {}, expected {}\"/></testcase>\n",
                           xml_escaped(cell->found), xml_escaped(expectation(*cell)));
      }
    }
    out << "  </testsuite>\n";
    first = last;
  }
  out << "</testsuites>\n";
}

}  // namespace shootdown::cosim
