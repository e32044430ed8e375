// What Linux's SMMUv3 driver was recorded on: an SMMU that acknowledges registers and consumes its
// command queue at once. Writes down what the driver does.
#ifndef SHOOTDOWN_CONFORM_SMMU_DRIVER_BOARD_H
#define SHOOTDOWN_CONFORM_SMMU_DRIVER_BOARD_H

#include <cstdint>
#include <stdexcept>
#include <unordered_map>
#include <variant>
#include <vector>

#include "hw/arch/smmuv3_commands.h"
#include "hw/arch/types.h"
#include "sw/kernel/cpu.h"
#include "sw/smmu/features.h"

namespace shootdown::conform {

/// The driver waits for something that only another CPU can do.
class DriverSleeps : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

class SmmuDriverBoard : public sw::Cpu {
 public:
  struct Submit {
    std::vector<arch::smmuv3::Command> commands;
  };
  struct Store {
    std::uint64_t address{};
    std::uint64_t value{};
  };
  struct RegisterWrite {
    std::uint32_t offset{};
    std::uint64_t value{};
    unsigned bytes{};
  };
  struct SwitchAts {
    std::size_t device{};
    bool on{};
  };
  using Action = std::variant<Submit, Store, RegisterWrite, SwitchAts>;

  /// The SMMU's registers are at `registers`; everything else is memory.
  SmmuDriverBoard(arch::PhysAddr registers, const sw::smmu::IdRegisterValues& id);

  std::vector<Action> actions;  ///< since they were last cleared
  std::uint64_t word(arch::PhysAddr address) const;

  unsigned id() const override { return 0; }
  std::uint64_t load(arch::PhysAddr address) override { return word(address); }
  void store(arch::PhysAddr address, std::uint64_t value) override;
  std::uint64_t compare_exchange(arch::PhysAddr address, std::uint64_t expected,
                                 std::uint64_t desired) override;
  void clear_page(arch::PhysAddr page) override;
  void copy_page(arch::PhysAddr to, arch::PhysAddr from) override;
  std::uint64_t mmio_read(arch::PhysAddr address, unsigned bytes) override;
  void mmio_write(arch::PhysAddr address, std::uint64_t value, unsigned bytes) override;
  void tlbi(arch::TlbiOp, std::uint64_t) override {}
  void dsb(sw::Barrier) override {}
  void isb() override {}
  void tlbi_local(const arch::Invalidation&) override {}
  void local_irq_disable() override {}
  void local_irq_enable() override {}
  void send_ipi(unsigned) override {}
  void set_user_context(const sw::UserContext&) override {}
  void sleep_on(sw::WaitQueue&) override;
  void spin_on(sw::WaitQueue&) override;
  void wake_all(sw::WaitQueue&) override {}
  void preempt_disable() override {}
  void preempt_enable() override {}
  void cpu_relax() override;
  void trace(const sw::TraceEvent&) override {}

 private:
  void consume_commands(std::uint32_t prod);

  std::uint64_t registers_;
  unsigned idle_turns_{};                                    // of polling, since the last command
  std::unordered_map<std::uint32_t, std::uint64_t> values_;  // of registers, by offset
  std::unordered_map<std::uint64_t, std::uint64_t> memory_;  // words, by address
};

}  // namespace shootdown::conform

#endif
