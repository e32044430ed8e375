// libFuzzer's entry: ./dev fuzz.
#include <cstdlib>
#include <iostream>
#include <systemc>

#include "fuzz/smmu_fuzz.h"

int sc_main(int, char**) { return 0; }  // only there because the library refers to it

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string problem = shootdown::tests::run_smmu_fuzz_input(data, size);
  if (!problem.empty()) {
    std::cerr << problem << '\n';
    std::abort();
  }
  return 0;
}
