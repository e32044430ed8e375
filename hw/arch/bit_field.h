// Bit fields by position, written as the specifications print them: BitField<hi, lo>.
#ifndef SHOOTDOWN_HW_ARCH_BIT_FIELD_H
#define SHOOTDOWN_HW_ARCH_BIT_FIELD_H

#include <cstdint>

namespace shootdown::arch {

/// Bits [Hi:Lo] of a 64-bit word (or of a 32-bit one, if Hi < 32).
template <unsigned Hi, unsigned Lo>
struct BitField {
  static_assert(Hi < 64 && Lo <= Hi);
  static constexpr unsigned kWidth = Hi - Lo + 1;
  static constexpr std::uint64_t kMax =
      kWidth == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << kWidth) - 1;
  static constexpr std::uint64_t kMask = kMax << Lo;

  static constexpr std::uint64_t get(std::uint64_t word) { return (word & kMask) >> Lo; }
  /// Returns `word` with the field replaced; bits of `value` beyond the field are dropped.
  static constexpr std::uint64_t set(std::uint64_t word, std::uint64_t value) {
    return (word & ~kMask) | ((value << Lo) & kMask);
  }
  static constexpr std::uint64_t of(std::uint64_t value) { return set(0, value); }
};

/// An address field: the address keeps its own bit positions, the rest of the word is dropped.
template <unsigned Hi, unsigned Lo>
struct AddressField {
  static constexpr std::uint64_t kMask = BitField<Hi, Lo>::kMask;
  static constexpr std::uint64_t get(std::uint64_t word) { return word & kMask; }
  static constexpr std::uint64_t set(std::uint64_t word, std::uint64_t address) {
    return (word & ~kMask) | (address & kMask);
  }
};

static_assert(BitField<15, 8>::get(0x1234) == 0x12);
static_assert(BitField<63, 0>::kMax == ~std::uint64_t{0});
static_assert(AddressField<47, 12>::get(0xffff'8123'4567'8fffU) == 0x8123'4567'8000U);

}  // namespace shootdown::arch

#endif
