#include "hw/interconnect/physical_memory.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "hw/arch/check.h"

namespace shootdown::hw {

static_assert(std::endian::native == std::endian::little, "simulated memory is little-endian");

PhysicalMemory::PhysicalMemory(arch::PhysAddr base, std::uint64_t size_bytes)
    : base_(base), size_(size_bytes) {
  SHOOTDOWN_CHECK(base.value % arch::kPageSize == 0 && size_bytes % arch::kPageSize == 0,
                  "memory must be page-aligned");
  pages_.resize(size_bytes / arch::kPageSize);
  dirty_.resize(pages_.size());
}

void PhysicalMemory::read(arch::PhysAddr address, void* data, std::uint64_t bytes) const {
  SHOOTDOWN_CHECK(contains(address, bytes), "read outside memory");
  auto* out = static_cast<std::uint8_t*>(data);
  std::uint64_t offset = address.value - base_.value;
  while (bytes != 0) {
    const std::uint64_t in_page = offset % arch::kPageSize;
    const std::uint64_t chunk = std::min(bytes, arch::kPageSize - in_page);
    const auto& page = pages_[offset / arch::kPageSize];
    if (page) {
      std::memcpy(out, page->data() + in_page, chunk);
    } else {
      std::memset(out, 0, chunk);
    }
    out += chunk;
    offset += chunk;
    bytes -= chunk;
  }
}

std::uint64_t PhysicalMemory::read64_slow(arch::PhysAddr address) const {
  std::uint64_t value = 0;
  read(address, &value, 8);
  return value;
}

void PhysicalMemory::write(arch::PhysAddr address, const void* data, std::uint64_t bytes) {
  SHOOTDOWN_CHECK(contains(address, bytes), "write outside memory");
  const auto* in = static_cast<const std::uint8_t*>(data);
  std::uint64_t offset = address.value - base_.value;
  while (bytes != 0) {
    const std::uint64_t number = offset / arch::kPageSize;
    const std::uint64_t in_page = offset % arch::kPageSize;
    const std::uint64_t chunk = std::min(bytes, arch::kPageSize - in_page);
    auto& page = pages_[number];
    if (!page) page = std::make_unique<Page>();  // zeroed
    if (!dirty_[number]) {
      dirty_[number] = true;
      touched_.push_back(number);
    }
    std::memcpy(page->data() + in_page, in, chunk);
    in += chunk;
    offset += chunk;
    bytes -= chunk;
  }
}

void PhysicalMemory::reset() {
  for (const std::uint64_t number : touched_) {
    pages_[number]->fill(0);
    dirty_[number] = false;
  }
  touched_.clear();
}

}  // namespace shootdown::hw
