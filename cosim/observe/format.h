// How numbers look in reports: addresses in groups of four digits, times in microseconds.
#ifndef SHOOTDOWN_COSIM_OBSERVE_FORMAT_H
#define SHOOTDOWN_COSIM_OBSERVE_FORMAT_H

#include <cstdint>
#include <string>

#include "hw/arch/types.h"

namespace shootdown::cosim {

/// 0x7f80_0001_0000; at least one group.
std::string hex(std::uint64_t value);
inline std::string hex(arch::VirtAddr va) { return hex(va.value); }
inline std::string hex(arch::PhysAddr pa) { return hex(pa.value); }
/// 6.310 us
std::string microseconds(std::uint64_t picoseconds);
/// 4 KiB, 2 MiB, 1 GiB
std::string page_size_name(unsigned page_shift);
/// What a table entry says to hardware: "read-only, clean", "writable, dirty", "table", "empty" ...
std::string describe_entry(std::uint64_t entry, int level);

}  // namespace shootdown::cosim

#endif
