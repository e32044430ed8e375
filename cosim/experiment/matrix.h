// Configurations against kernel releases and hardware models.
#ifndef SHOOTDOWN_COSIM_EXPERIMENT_MATRIX_H
#define SHOOTDOWN_COSIM_EXPERIMENT_MATRIX_H

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "cosim/observe/vocabulary.h"

namespace shootdown::cosim {

struct MatrixCell {
  std::string config;
  std::string model;  ///< of all TLBs: systemc, rtl, lockstep
  std::string kernel;
  std::string found;  ///< "pass", "limit", or kinds with their missing hops
  std::string expected;
  bool met{};
  Cost cost{};
  std::uint64_t simulated_ps{};
  std::string not_run;  ///< why the model cannot serve this configuration; empty: it ran
};

/// Runs one configuration on one release and model.
MatrixCell run_cell(const std::string& config, const std::string& kernel, const std::string& model);
/// The releases of the matrix, oldest first.
std::vector<std::string> matrix_kernels();
/// The models of the matrix, the reference first.
std::vector<std::string> matrix_models();
/// Why the RTL cannot stand for the TLBs of a configuration; nothing if it can. Throws ConfigError
/// for a bad file.
std::optional<std::string> rtl_obstacle_of(const std::string& config);
/// The cells of one configuration and model, one for each release, or one that says why not.
void run_cells(const std::string& config, const std::string& model,
               const std::optional<std::string>& rtl_obstacle,
               const std::function<void(MatrixCell)>& done);

/// One line.
std::string cell_text(const MatrixCell& cell);
std::string matrix_json(const std::vector<MatrixCell>& cells);
/// A suite for each configuration and model, a case for each kernel.
void write_matrix_junit(std::ostream& out, const std::vector<MatrixCell>& cells);

}  // namespace shootdown::cosim

#endif
