#include "hw/interconnect/physical_memory.h"

#include <sys/mman.h>

#include <bit>
#include <new>

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
  // The host takes the pages back and gives zeroes when they are touched again.
  SHOOTDOWN_CHECK(::madvise(bytes_, size_, MADV_DONTNEED) == 0, "cannot clear the memory");
}

}  // namespace shootdown::hw
