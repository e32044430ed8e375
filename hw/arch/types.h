// Address and identifier types shared by hardware, software and the co-simulator.
//
// Each kind of address or identifier is a type of its own, so that a virtual address cannot be
// passed where a physical one is meant. Conversions are named and say what they lose.
#ifndef SHOOTDOWN_HW_ARCH_TYPES_H
#define SHOOTDOWN_HW_ARCH_TYPES_H

#include <compare>
#include <cstdint>
#include <string_view>

namespace shootdown::arch {

/// An integer that converts to and from nothing by itself.
template <class Tag, class Rep = std::uint64_t>
struct StrongValue {
  using rep = Rep;
  Rep value{};
  constexpr auto operator<=>(const StrongValue&) const = default;
};

using VirtAddr = StrongValue<struct VirtAddrTag>;  ///< byte address before translation (VA or IOVA)
using PhysAddr = StrongValue<struct PhysAddrTag>;  ///< byte address after translation
using IpaAddr = StrongValue<struct IpaAddrTag>;    ///< byte address between stage 1 and stage 2
using Asid = StrongValue<struct AsidTag, std::uint16_t>;
using Vmid = StrongValue<struct VmidTag, std::uint16_t>;
using StreamId = StrongValue<struct StreamIdTag, std::uint32_t>;
using MmId = StrongValue<struct MmIdTag, unsigned>;  ///< an address space of the kernel; 0: none
using RawWord = StrongValue<struct RawWordTag>;      ///< a word in its architecture's own format
using SubstreamId = StrongValue<struct SubstreamIdTag, std::uint32_t>;  ///< PASID on PCIe

constexpr VirtAddr operator+(VirtAddr a, std::uint64_t bytes) { return {a.value + bytes}; }
constexpr PhysAddr operator+(PhysAddr a, std::uint64_t bytes) { return {a.value + bytes}; }

inline constexpr unsigned kPageShift = 12;  ///< 4 KiB granule
inline constexpr std::uint64_t kPageSize = std::uint64_t{1} << kPageShift;

constexpr std::uint64_t page_bytes(unsigned page_shift) { return std::uint64_t{1} << page_shift; }
/// Drops the offset within a page of 2^page_shift bytes.
constexpr std::uint64_t align_down(std::uint64_t address, unsigned page_shift) {
  return address & ~(page_bytes(page_shift) - 1);
}
constexpr std::uint64_t align_up(std::uint64_t address, unsigned page_shift) {
  return align_down(address + page_bytes(page_shift) - 1, page_shift);
}
constexpr VirtAddr page_of(VirtAddr va, unsigned page_shift = kPageShift) {
  return {align_down(va.value, page_shift)};
}
constexpr PhysAddr page_of(PhysAddr pa, unsigned page_shift = kPageShift) {
  return {align_down(pa.value, page_shift)};
}

/// What an access wants to do with data. An instruction fetch is a read that says so besides.
enum class Access : std::uint8_t { kRead, kWrite };
constexpr std::string_view name_of(Access access) {
  return access == Access::kWrite ? "write" : "read";
}

}  // namespace shootdown::arch

#endif
