// Bit fields of 64-bit words, as the architecture writes them: both ends included.
#ifndef SHOOTDOWN_CONFORM_REFERENCE_REFERENCE_BITS_H
#define SHOOTDOWN_CONFORM_REFERENCE_REFERENCE_BITS_H

#include <cstdint>

namespace shootdown::conform::reference {

/// 2^width - 1, for a width of 0 to 64.
constexpr std::uint64_t ones(unsigned width) {
  return width >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << width) - 1;
}

constexpr std::uint64_t bits(std::uint64_t word, unsigned high, unsigned low) {
  return (word >> low) & ones(high - low + 1);
}

constexpr bool bit(std::uint64_t word, unsigned position) { return bits(word, position, position); }

/// The field of an address, in place: the bits around it are zero.
constexpr std::uint64_t address_bits(std::uint64_t word, unsigned high, unsigned low) {
  return bits(word, high, low) << low;
}

constexpr std::uint64_t align_down(std::uint64_t address, unsigned log2_size) {
  return address & ~ones(log2_size);
}

/// Whether an address has no bit beyond `width` bits.
constexpr bool fits(std::uint64_t address, unsigned width) { return (address & ~ones(width)) == 0; }

}  // namespace shootdown::conform::reference

#endif
