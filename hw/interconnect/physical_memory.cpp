#include "hw/interconnect/physical_memory.h"

#include <sys/mman.h>

#include <bit>
#include <cstring>
#include <new>
#include <vector>

namespace shootdown::hw {

static_assert(std::endian::native == std::endian::little, "simulated memory is little-endian");

PhysicalMemory::PhysicalMemory(arch::PhysAddr base, std::uint64_t size_bytes)
    : base_(base), size_(size_bytes) {
  SHOOTDOWN_CHECK(base.value % arch::kPageSize == 0 && size_bytes % arch::kPageSize == 0,
                  "memory must be page-aligned");
  void* mapping = ::mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) throw std::bad_alloc();
  // Huge pages would be cleared whole at the first touch after every reset(). Advice only.
  ::madvise(mapping, size_bytes, MADV_NOHUGEPAGE);
  bytes_ = static_cast<std::uint8_t*>(mapping);
}

PhysicalMemory::~PhysicalMemory() { ::munmap(bytes_, size_); }

void PhysicalMemory::reset() {
  // What the host holds is cleared where it is: to give it back and to fault it in again would cost
  // ten times as much. The rest, if there is any, the host takes back.
  std::vector<unsigned char> resident(size_ / arch::kPageSize);
  SHOOTDOWN_CHECK(::mincore(bytes_, size_, resident.data()) == 0, "cannot look at the memory");
  constexpr unsigned char kResident = 1;
  for (std::size_t first = 0; first < resident.size();) {
    const bool held = (resident[first] & kResident) != 0;
    std::size_t end = first + 1;
    while (end < resident.size() && ((resident[end] & kResident) != 0) == held) ++end;
    std::uint8_t* const start = bytes_ + first * arch::kPageSize;
    const std::size_t bytes = (end - first) * arch::kPageSize;
    if (held) {
      std::memset(start, 0, bytes);
    } else {
      SHOOTDOWN_CHECK(::madvise(start, bytes, MADV_DONTNEED) == 0, "cannot clear the memory");
    }
    first = end;
  }
}

}  // namespace shootdown::hw
