// Configurations against kernel releases and hardware models.
#ifndef SHOOTDOWN_COSIM_CLI_MATRIX_H
#define SHOOTDOWN_COSIM_CLI_MATRIX_H

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "cosim/report/cost.h"

namespace shootdown::cosim {

struct MatrixCell {
  std::string config;
  std::string model;  ///< of all TLBs: systemc, rtl, lockstep
  std::string kernel;
  std::string found;  ///< "pass", "limit", or kinds with their missing hops
  std::string expected;
  bool met{};
  Cost cost;
  std::uint64_t simulated_ps{};
};

/// Runs one configuration on one release and model.
MatrixCell run_cell(const std::string& config, const std::string& kernel, const std::string& model);
/// The releases of the matrix, oldest first.
std::vector<std::string> matrix_kernels();
/// The models a configuration can have: the RTL is built for some sizes of TLB only, and replaces
/// by PLRU. Throws ConfigError for a bad file.
std::vector<std::string> matrix_models(const std::string& config);

/// One line.
std::string cell_text(const MatrixCell& cell);
std::string matrix_json(const std::vector<MatrixCell>& cells);
/// A suite for each configuration and model, a case for each kernel.
void write_matrix_junit(std::ostream& out, const std::vector<MatrixCell>& cells);

}  // namespace shootdown::cosim

#endif
