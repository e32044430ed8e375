// One input of the SMMU's fuzzer: bytes that are read as registers, commands, STEs, CDs,
// descriptors and accesses.
#ifndef SHOOTDOWN_TESTS_FUZZ_SMMU_FUZZ_H
#define SHOOTDOWN_TESTS_FUZZ_SMMU_FUZZ_H

#include <cstddef>
#include <cstdint>
#include <string>

namespace shootdown::tests {

struct Tampering;

/// Runs the input from reset on the machine that its first byte names. Returns what is wrong with
/// what the SMMU did; nothing if all is well. An input of one kind is run freely, overlapping, and
/// has to come to an end; of the other, every access is judged by the second SMMU and the tables in
/// memory.
/// `tampering`: a defect planted into the judged accesses, which has to be what is wrong.
std::string run_smmu_fuzz_input(const std::uint8_t* data, std::size_t size,
                                const Tampering* tampering = nullptr);

}  // namespace shootdown::tests

#endif
