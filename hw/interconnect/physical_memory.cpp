#include "hw/interconnect/physical_memory.h"

#include <sys/mman.h>

#include <bit>
#include <cstddef>
#include <cstring>
#include <new>
#include <utility>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace shootdown::hw {

static_assert(std::endian::native == std::endian::little, "simulated memory is little-endian");

PhysicalMemory::PhysicalMemory(arch::PhysAddr base, std::uint64_t size_bytes)
    : base_(base), size_(size_bytes), resident_(size_bytes / arch::kPageSize) {
  SHOOTDOWN_CHECK(base.value % arch::kPageSize == 0 && size_bytes % arch::kPageSize == 0,
                  "memory must be page-aligned");
  void* mapping = ::mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) throw std::bad_alloc();
  // Huge pages would be cleared whole at the first touch after every reset(). Advice only.
  ::madvise(mapping, size_bytes, MADV_NOHUGEPAGE);
#ifdef __SANITIZE_ADDRESS__
  // Where the stack of a thread of an earlier simulation was, its red zones are still marked.
  __asan_unpoison_memory_region(mapping, size_bytes);
#endif
  bytes_ = static_cast<std::uint8_t*>(mapping);
}

PhysicalMemory::~PhysicalMemory() { ::munmap(bytes_, size_); }

void PhysicalMemory::reset() {
  // What the host holds is cleared where it is: to give it back and to fault it in again would cost
  // ten times as much. The rest, if there is any, the host takes back.
  constexpr unsigned char kResident = 1;  // the bits above are not defined
  SHOOTDOWN_CHECK(::mincore(bytes_, size_, resident_.data()) == 0, "cannot look at the memory");
  for (unsigned char& page : resident_) page &= kResident;
  const unsigned char* const pages = resident_.data();
  const unsigned char* const end = pages + resident_.size();
  const auto next = [&](const unsigned char* from, unsigned char state) {
    const void* found = std::memchr(from, state, static_cast<std::size_t>(end - from));
    return found == nullptr ? end : static_cast<const unsigned char*>(found);
  };
  const auto range_of = [&](const unsigned char* from, const unsigned char* to) {
    return std::pair(bytes_ + (from - pages) * static_cast<std::ptrdiff_t>(arch::kPageSize),
                     static_cast<std::size_t>(to - from) * arch::kPageSize);
  };
  for (const unsigned char* page = pages; page != end;) {
    const unsigned char* const held = next(page, kResident);
    if (held != page) {
      const auto [start, bytes] = range_of(page, held);
      SHOOTDOWN_CHECK(::madvise(start, bytes, MADV_DONTNEED) == 0, "cannot clear the memory");
    }
    page = next(held, 0);
    if (page != held) {
      const auto [start, bytes] = range_of(held, page);
      std::memset(start, 0, bytes);
    }
  }
}

}  // namespace shootdown::hw
