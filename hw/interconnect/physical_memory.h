// RAM as bytes: sparse, zero at reset, reset in time proportional to the pages touched.
#ifndef SHOOTDOWN_HW_INTERCONNECT_PHYSICAL_MEMORY_H
#define SHOOTDOWN_HW_INTERCONNECT_PHYSICAL_MEMORY_H

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "hw/arch/types.h"

namespace shootdown::hw {

class PhysicalMemory {
 public:
  /// `base` and `size_bytes` are multiples of the page size.
  PhysicalMemory(arch::PhysAddr base, std::uint64_t size_bytes);

  bool contains(arch::PhysAddr address, std::uint64_t bytes) const {
    return address.value >= base_.value && bytes <= size_ &&
           address.value - base_.value <= size_ - bytes;
  }
  /// Copies bytes; the range must be inside. May cross pages.
  void read(arch::PhysAddr address, void* data, std::uint64_t bytes) const;
  void write(arch::PhysAddr address, const void* data, std::uint64_t bytes);
  std::uint64_t read64(arch::PhysAddr address) const {
    const std::uint64_t offset = address.value - base_.value;
    const std::uint64_t in_page = offset % arch::kPageSize;
    if (!contains(address, 8) || in_page > arch::kPageSize - 8) return read64_slow(address);
    const Page* page = pages_[offset / arch::kPageSize].get();
    if (page == nullptr) return 0;
    std::uint64_t value = 0;
    std::memcpy(&value, page->data() + in_page, sizeof value);
    return value;
  }
  void write64(arch::PhysAddr address, std::uint64_t value) { write(address, &value, 8); }
  /// All zero again.
  void reset();

 private:
  using Page = std::array<std::uint8_t, arch::kPageSize>;
  std::uint64_t read64_slow(arch::PhysAddr address) const;
  arch::PhysAddr base_;
  std::uint64_t size_;
  std::vector<std::unique_ptr<Page>> pages_;
  std::vector<std::uint64_t> touched_;
  std::vector<bool> dirty_;
};

}  // namespace shootdown::hw

#endif
