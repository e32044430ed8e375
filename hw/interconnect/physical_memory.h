// RAM as bytes: zero at reset, of which the host gives only the pages that are touched.
#ifndef SHOOTDOWN_HW_INTERCONNECT_PHYSICAL_MEMORY_H
#define SHOOTDOWN_HW_INTERCONNECT_PHYSICAL_MEMORY_H

#include <cstdint>
#include <cstring>
#include <vector>

#include "hw/arch/check.h"
#include "hw/arch/types.h"

namespace shootdown::hw {

class PhysicalMemory {
 public:
  /// `base` and `size_bytes` are multiples of the page size. Throws std::bad_alloc if the host
  /// refuses the address space.
  PhysicalMemory(arch::PhysAddr base, std::uint64_t size_bytes);
  ~PhysicalMemory();
  PhysicalMemory(const PhysicalMemory&) = delete;
  PhysicalMemory& operator=(const PhysicalMemory&) = delete;

  arch::PhysAddr base() const { return base_; }
  std::uint64_t size_bytes() const { return size_; }
  /// All of it, for direct access. Stays where it is, also over reset().
  std::uint8_t* bytes() { return bytes_; }

  bool contains(arch::PhysAddr address, std::uint64_t bytes) const {
    // An address below the base wraps to an offset beyond any size.
    return bytes <= size_ && address.value - base_.value <= size_ - bytes;
  }
  /// Copies bytes; the range must be inside.
  void read(arch::PhysAddr address, void* data, std::uint64_t bytes) const {
    SHOOTDOWN_CHECK(contains(address, bytes), "read outside memory");
    std::memcpy(data, bytes_ + (address.value - base_.value), bytes);
  }
  void write(arch::PhysAddr address, const void* data, std::uint64_t bytes) {
    SHOOTDOWN_CHECK(contains(address, bytes), "write outside memory");
    std::memcpy(bytes_ + (address.value - base_.value), data, bytes);
  }
  std::uint64_t read64(arch::PhysAddr address) const {
    std::uint64_t value = 0;
    read(address, &value, sizeof value);
    return value;
  }
  void write64(arch::PhysAddr address, std::uint64_t value) {
    write(address, &value, sizeof value);
  }
  /// All zero again; takes time for the pages touched.
  void reset();

 private:
  arch::PhysAddr base_;
  std::uint64_t size_;
  std::uint8_t* bytes_;
  std::vector<unsigned char> resident_;  // of reset(): by page
};

}  // namespace shootdown::hw

#endif
