// The SMMU's registers, as the driver reaches them.
#ifndef SHOOTDOWN_SW_SMMU_REGISTERS_H
#define SHOOTDOWN_SW_SMMU_REGISTERS_H

#include <cstdint>

#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"

namespace shootdown::sw::smmu {

class Registers {
 public:
  explicit Registers(arch::PhysAddr base) : base_(base) {}

  std::uint32_t read(Cpu& cpu, std::uint32_t offset) const {
    return static_cast<std::uint32_t>(cpu.mmio_read(base_ + offset, 4));
  }
  void write(Cpu& cpu, std::uint32_t offset, std::uint64_t value) const {
    cpu.mmio_write(base_ + offset, value, 4);
  }
  void write64(Cpu& cpu, std::uint32_t offset, std::uint64_t value) const {
    cpu.mmio_write(base_ + offset, value, 8);
  }
  /// arm_smmu_write_reg_sync(): until the acknowledgement register reads the same.
  void write_sync(Cpu& cpu, std::uint32_t offset, std::uint32_t ack, std::uint64_t value) const {
    write(cpu, offset, value);
    while (read(cpu, ack) != value) cpu.cpu_relax();
  }

 private:
  arch::PhysAddr base_;
};

}  // namespace shootdown::sw::smmu

#endif
