// Makes up legal experiments: machines, processes, devices and programs, from a seed.
#ifndef SHOOTDOWN_COSIM_FUZZ_GENERATE_H
#define SHOOTDOWN_COSIM_FUZZ_GENERATE_H

#include <cstdint>
#include <string>

#include "cosim/fuzz/draft.h"

namespace shootdown::cosim {

struct GenerateOptions {
  std::string kernel;  ///< as in a configuration
  std::string inject;  ///< likewise; empty: nothing
};

/// The same seed and options give the same experiment. All of the table of steps can come up; what
/// the loader would refuse does not.
Draft generate(std::uint64_t seed, const GenerateOptions& options);

/// A kernel with every change that is known.
std::string newest_kernel();

}  // namespace shootdown::cosim

#endif
